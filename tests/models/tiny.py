"""Small encoders, inputs, and the checkpoints under tests/golden/models/."""

import functools
from pathlib import Path

import jax
import numpy as np
from safetensors.numpy import load_file

from mmkd_jax import models

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "models"
NAMES = ("bert", "roberta", "xlm-roberta", "distilbert")
HEADS = ("masked_lm", "next_sentence", "pooler")


def config(**changes) -> models.EncoderConfig:
    fields = {
        "vocabulary_size": 29,
        "width": 8,
        "layers": 2,
        "heads": 2,
        "hidden_width": 12,
        "positions": 14,
        "initial_scale": 0.3,
    }
    return models.EncoderConfig(**fields | changes)


@functools.cache
def params(heads: tuple[str, ...] = HEADS, **changes) -> dict:
    """Parameters without zeros and ones, which would hide a mistake; not for donation."""
    tree = models.initial_params(config(**changes), jax.random.key(0), heads)
    leaves, shape = jax.tree.flatten(tree)
    random = np.random.default_rng(0)
    return shape.unflatten([x + 0.2 * random.normal(size=x.shape).astype("f") for x in leaves])


def batch(*lead: int, length: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and mask; the lengths run down from all to none."""
    ids = np.random.default_rng(1).integers(1, 29, (*lead, length)).astype(np.int32)
    size = int(np.prod(lead))
    lengths = np.linspace(length, 0, size).astype(int).reshape(*lead, 1)
    mask = np.arange(length) < lengths
    return np.where(mask, ids, 0), mask


@functools.partial(jax.jit, static_argnames=("config", "deterministic"))
def run(config, params, ids, mask, token_types=None, key=None, deterministic=True):
    rngs = None if key is None else {"dropout": key}
    return models.Encoder(config).apply(
        {"params": params}, ids, mask, token_types, deterministic, rngs=rngs
    )


def loss(config, params, ids, mask, key=None):
    """Something with a gradient by all that the encoder has."""
    hidden, extras = run(config, params, ids, mask, None, key, key is None)
    return (hidden.astype("f") ** 3).sum() + (extras["layers"].astype("f") ** 2).sum()


gradient = jax.jit(jax.grad(loss, argnums=1), static_argnums=0)


def golden(name: str) -> dict[str, np.ndarray]:
    return load_file(GOLDEN / name / "expected.safetensors")


def leaves(tree) -> dict[str, np.ndarray]:
    """Arrays by path."""
    found = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in found}


def assert_same(one, other):
    """Bit by bit."""
    one, other = leaves(one), leaves(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def assert_close(one, other, **tolerance):
    one, other = leaves(one), leaves(other)
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_allclose(one[name], other[name], err_msg=name, **tolerance)
