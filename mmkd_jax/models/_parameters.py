"""Which parameters a model has: one table, and what can be read off it.

Every parameter is one tensor of a checkpoint, never several in one, so that checkpoints can be read
one tensor at a time, layers picked by name, and nothing depends on how the layers are run.
"""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax import Array

from mmkd_jax.models._config import EncoderConfig

HEADS = ("masked_lm", "next_sentence", "pooler")


@dataclasses.dataclass(frozen=True)
class Parameter:
    """Shape, name of each axis, and what a new one is filled with."""

    shape: tuple[int, ...]
    axes: tuple[str | None, ...]
    fill: str  # normal, zeros, ones


def parameters(config: EncoderConfig, heads: Sequence[str] = ()) -> dict:
    """The tree of `Parameter` of an encoder and of these heads of its checkpoint."""
    for head in heads:
        if head not in HEADS:
            raise ValueError(f"heads must be among {', '.join(HEADS)}, got {head!r}")
    tree = encoder_parameters(config)
    return tree | {head: _HEADS[head](config) for head in sorted(heads)}


def encoder_parameters(config: EncoderConfig) -> dict:
    layers = {str(number): _layer(config) for number in range(config.layers)}
    return {"embeddings": _embeddings(config), "layers": layers}


def abstract_params(config: EncoderConfig, heads: Sequence[str] = ()) -> dict:
    """The shapes of the parameters, without weights.

    Example:
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.abstract_params(config)
      >>> print(params["layers"]["1"]["attention"]["query"]["kernel"].shape)
      (8, 2, 4)

    Args:
      config: The encoder.
      heads: Those of masked_lm, next_sentence and pooler that are wanted too.

    Returns:
      Nested dicts of ``jax.ShapeDtypeStruct``, all float32.
    """
    return jax.tree.map(
        lambda p: jax.ShapeDtypeStruct(p.shape, jnp.float32), parameters(config, heads)
    )


def logical_axes(config: EncoderConfig, heads: Sequence[str] = ()) -> dict:
    """A name for each axis of each parameter, from which shardings follow.

    Example:
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> axes = models.logical_axes(config)
      >>> print(axes["embeddings"]["words"], axes["layers"]["0"]["mlp"]["up"]["kernel"])
      ('vocabulary', 'width') ('width', 'hidden')

    Args:
      config: The encoder.
      heads: Those of masked_lm, next_sentence and pooler that are wanted too.

    Returns:
      Nested dicts as of `abstract_params`, of tuples: vocabulary, width, heads, head, hidden, or
      None for an axis that is not to be split.
    """
    return jax.tree.map(lambda p: p.axes, parameters(config, heads))


def initial_params(config: EncoderConfig, key: Array, heads: Sequence[str] = ()) -> dict:
    """New weights: normal of the config's scale, biases 0, LayerNorms 1 and 0.

    Example:
      >>> import jax
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0), heads=["masked_lm"])
      >>> print(*params)
      embeddings layers masked_lm

    Args:
      config: The encoder.
      key: A random key.
      heads: Those of masked_lm, next_sentence and pooler that are wanted too.

    Returns:
      Nested dicts of float32 arrays. Rows of the word table that are no tokens are 0.
    """
    return filled(parameters(config, heads), config, key)


def filled(tree: dict, config: EncoderConfig, key: Array) -> dict:
    """Arrays for a tree of `Parameter`, each from a key of its own."""
    leaves, shape = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    return shape.unflatten([_fill(p, config, key) for p, key in zip(leaves, keys, strict=True)])


def initialiser(tree: dict, config: EncoderConfig) -> Callable[[Array], dict]:
    """`filled` as Linen's ``self.param`` wants it."""
    return lambda key: filled(tree, config, key)


def _fill(parameter: Parameter, config: EncoderConfig, key: Array) -> Array:
    if parameter.fill != "normal":
        return getattr(jnp, parameter.fill)(parameter.shape, jnp.float32)
    shape = parameter.shape
    padding = [(0, 0)] * len(shape)
    if parameter.axes[0] == "vocabulary":
        # Drawn without the padding, so that the same key gives the same tokens with any.
        shape = (config.vocabulary_size, *shape[1:])
        padding[0] = (0, config.vocabulary_rows - config.vocabulary_size)
    return jnp.pad(config.initial_scale * jax.random.normal(key, shape, jnp.float32), padding)


# --- The table ----------------------------------------------------------------------------------


def _norm(config: EncoderConfig) -> dict:
    return {
        "scale": Parameter((config.width,), (None,), "ones"),
        "bias": Parameter((config.width,), (None,), "zeros"),
    }


def _table(rows: int, axis: str | None, config: EncoderConfig) -> Parameter:
    return Parameter((rows, config.width), (axis, "width"), "normal")


def _dense(*axes: tuple[int, str | None], inputs: int = 1) -> dict:
    """A kernel over all the axes, and a bias over those that are not inputs."""
    shape, names = zip(*axes, strict=True)
    # A bias is small: only an axis over which its activations are split is worth a split.
    kept = tuple(name if name in ("heads", "hidden") else None for name in names[inputs:])
    return {
        "kernel": Parameter(shape, names, "normal"),
        "bias": Parameter(shape[inputs:], kept, "zeros"),
    }


def _embeddings(config: EncoderConfig) -> dict:
    tables = {
        "words": _table(config.vocabulary_rows, "vocabulary", config),
        "positions": _table(config.positions, None, config),
        "norm": _norm(config),
    }
    if config.token_types:
        tables["token_types"] = _table(config.token_types, None, config)
    return tables


def _layer(config: EncoderConfig) -> dict:
    width, hidden = (config.width, "width"), (config.hidden_width, "hidden")
    heads, head = (config.heads, "heads"), (config.head_width, "head")
    attention = {name: _dense(width, heads, head) for name in ("query", "key", "value")}
    attention["output"] = _dense(heads, head, width, inputs=2)
    mlp = {"up": _dense(width, hidden), "down": _dense(hidden, width)}
    return {
        "attention": attention | {"norm": _norm(config)},
        "mlp": mlp | {"norm": _norm(config)},
    }


def _square(config: EncoderConfig) -> dict:
    return _dense((config.width, "width"), (config.width, None))


def _masked_lm(config: EncoderConfig) -> dict:
    bias = Parameter((config.vocabulary_rows,), ("vocabulary",), "zeros")
    return {"dense": _square(config), "norm": _norm(config), "bias": bias}


def _next_sentence(config: EncoderConfig) -> dict:
    return _dense((config.width, "width"), (2, None))


_HEADS = {"masked_lm": _masked_lm, "next_sentence": _next_sentence, "pooler": _square}
