"""Where a student's first weights come from: some layers of a deeper model, another vocabulary."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from mmkd_jax.models._config import EncoderConfig


def layers_of(
    config: EncoderConfig, params: dict, keep: int | Sequence[int]
) -> tuple[EncoderConfig, dict]:
    """A shallower encoder of some layers; embeddings and heads stay.

    Example:
      >>> import jax
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=4, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0))
      >>> small, student = models.layers_of(config, params, keep=2)
      >>> print(small.layers, student["layers"]["1"] is params["layers"]["3"])
      2 True

    Args:
      config: Of the deeper encoder.
      params: Its parameters, whose arrays are shared, not copied.
      keep: k for every k-th layer, counted so that the last one is kept where k divides their
        number; or the numbers of the layers, from 0.

    Returns:
      The config and parameters of the shallower one.
    """
    every = isinstance(keep, int)
    if every and not 1 <= keep <= config.layers:
        raise ValueError(f"keep must be in 1..layers = {config.layers}, got {keep}")
    numbers = list(range(keep - 1, config.layers, keep)) if every else [int(n) for n in keep]
    if not numbers or not all(0 <= number < config.layers for number in numbers):
        raise ValueError(f"keep must number layers in 0..{config.layers - 1}, got {keep}")
    if len(set(numbers)) < len(numbers):
        # Two entries for one array would be one buffer, which a step that donates gives up twice.
        raise ValueError(f"keep must name no layer twice, got {keep}")
    layers = {str(new): params["layers"][str(old)] for new, old in enumerate(numbers)}
    return dataclasses.replace(config, layers=len(numbers)), params | {"layers": layers}


def new_vocabulary(
    config: EncoderConfig,
    params: dict,
    old: Mapping[str, int],
    new: Mapping[str, int],
    key: Array,
    pad: str | None = None,
) -> tuple[EncoderConfig, dict]:
    """The same encoder for another vocabulary.

    Pieces that both vocabularies have keep their rows of the table and their bias in the
    masked-LM head. The others' rows are drawn from a normal distribution with the mean and the
    standard deviation of the old table in each dimension, and their bias is the old ones' mean.

    Example:
      >>> import jax
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=3, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0))
      >>> old = {"[PAD]": 0, "house": 1, "tree": 2}
      >>> new = {"[PAD]": 0, "Haus": 1, "tree": 2, "Baum": 3}
      >>> config, student = models.new_vocabulary(config, params, old, new, jax.random.key(1))
      >>> print(config.vocabulary_size, student["embeddings"]["words"].shape)
      4 (4, 8)

    Args:
      config: Of the encoder.
      params: Its parameters, which are not changed.
      old: Piece -> row, as ``tokenizer.get_vocab()`` gives it.
      new: The same of the new tokenizer: all rows from 0 on, each once.
      key: For the rows that are drawn.
      pad: The piece that fills sentences up; the old one if not given. Both must have it. Under
        RoBERTa's numbering of positions its row must stay.

    Returns:
      The config and parameters with the new vocabulary.
    """
    rows = sorted(new.values())
    if not rows or rows != list(range(len(rows))):
        raise ValueError("new must hold each row from 0 on once")
    if old and not 0 <= min(old.values()) <= max(old.values()) < config.vocabulary_size:
        raise ValueError(f"old must hold rows in 0..{config.vocabulary_size - 1} = config's")
    if pad is None:
        pad = next((piece for piece, row in old.items() if row == config.pad_id), None)
    if pad not in old or pad not in new:
        raise ValueError(f"pad must be a piece of both vocabularies, got {pad!r}")
    if config.position_offset and new[pad] != config.pad_id:
        raise ValueError(
            f"new must keep {pad!r} at row {config.pad_id}, from which positions count, "
            f"got {new[pad]}"
        )
    changed = dataclasses.replace(config, vocabulary_size=len(rows), pad_id=new[pad])
    source = np.full(changed.vocabulary_rows, -1)  # -1: drawn
    for piece, row in new.items():
        source[row] = old.get(piece, -1)
    words = _new_rows(params["embeddings"]["words"], source, config, changed, key)
    student = params | {"embeddings": params["embeddings"] | {"words": words}}
    if "masked_lm" in params:
        bias = params["masked_lm"]["bias"]
        mean = bias[: config.vocabulary_size].mean()
        copied = jnp.where(source >= 0, bias[source], mean)
        bias = jnp.where(jnp.arange(len(source)) < len(rows), copied, 0)
        student["masked_lm"] = params["masked_lm"] | {"bias": bias}
    return changed, student


def _new_rows(
    table: Array, source: np.ndarray, config: EncoderConfig, changed: EncoderConfig, key: Array
) -> Array:
    known = table[: config.vocabulary_size]
    # Drawn without the padding, so that the same key gives the same tokens with any.
    drawn = jax.random.normal(key, (changed.vocabulary_size, changed.width), table.dtype)
    drawn = known.mean(axis=0, keepdims=True) + drawn * known.std(axis=0, keepdims=True)
    padding = changed.vocabulary_rows - changed.vocabulary_size
    drawn = jnp.pad(drawn, ((0, padding), (0, 0)))
    return jnp.where(source[:, None] >= 0, table[source], drawn)
