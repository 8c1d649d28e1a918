"""The recurrent encoder: what it reads, and what it leaves alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import models

CONFIG = models.RecurrentConfig(
    words=9, word_width=4, characters=7, character_width=3, filters=5, width=3, layers=2
)
ENCODER = models.RecurrentEncoder(CONFIG)
MASK = jnp.array([[True] * 4, [True, True, False, False]])
RANDOM = np.random.default_rng(0)
WORDS = jnp.asarray(RANDOM.integers(0, 9, MASK.shape))
CHARACTERS = jnp.asarray(RANDOM.integers(1, 7, (*MASK.shape, 6)))
FEATURES = jnp.asarray(RANDOM.standard_normal((*MASK.shape, 2)), jnp.float32)
INPUTS = (MASK, WORDS, CHARACTERS, FEATURES)
VARIABLES = ENCODER.init(jax.random.key(0), *INPUTS)


def test_shapes():
    hidden, extras = ENCODER.apply(VARIABLES, *INPUTS)
    assert hidden.shape == (2, 4, 6)
    assert extras["embeddings"].shape == (2, 4, 4 + 5 + 2)
    assert extras["layers"].shape == (2, 2, 4, 6)
    np.testing.assert_array_equal(extras["layers"][-1], hidden)
    assert set(VARIABLES["params"]) == {"words", "characters", "lstm"}


def test_what_is_behind_the_mask_is_never_read():
    spoiled = (
        MASK,
        jnp.where(MASK, WORDS, -100),
        jnp.where(MASK[..., None], CHARACTERS, 6),
        jnp.where(MASK[..., None], FEATURES, jnp.nan),
    )

    def total(variables, inputs):
        hidden, _ = ENCODER.apply(variables, *inputs)
        return jnp.square(hidden).sum()

    both = jax.jit(jax.value_and_grad(total))
    found, expected = both(VARIABLES, spoiled), both(VARIABLES, INPUTS)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(found))


def test_a_batch_is_its_sentences():
    hidden, _ = ENCODER.apply(VARIABLES, *INPUTS)
    alone, _ = ENCODER.apply(VARIABLES, *(x[1, :2] for x in INPUTS))
    np.testing.assert_allclose(hidden[1, :2], alone, atol=1e-6)


def test_dropout_is_keyed_and_off_by_default():
    one, same, other = (
        ENCODER.apply(
            VARIABLES, *INPUTS, deterministic=False, rngs={"dropout": jax.random.key(seed)}
        )[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (np.asarray(one) != other).any()
    assert (np.asarray(one)[~MASK] == 0).all()


def test_bfloat16():
    narrow = models.RecurrentEncoder(dataclasses.replace(CONFIG, dtype="bfloat16"))
    found, _ = narrow.apply(VARIABLES, *INPUTS)
    np.testing.assert_allclose(found, ENCODER.apply(VARIABLES, *INPUTS)[0], atol=2e-2)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"words must be \[\.\.\., W\].*got None"):
        ENCODER.init(jax.random.key(0), MASK, characters=CHARACTERS)
    with pytest.raises(ValueError, match="must not all be missing"):
        models.RecurrentEncoder(models.RecurrentConfig()).init(jax.random.key(0), MASK)
    with pytest.raises(ValueError, match=r"dropout must lie in \[0, 1\)"):
        models.RecurrentConfig(dropout=1.0)
    with pytest.raises(ValueError, match="width must be at least 1"):
        models.RecurrentConfig(width=0)
