"""Vectors of sentences in every layer."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from mmkd_jax import models
from mmkd_jax.inference._sentence_encoder import SentenceEncoder


def layer_vectors(
    encoder: SentenceEncoder, sentences: Sequence[str], batch_size: int = 64
) -> Float[np.ndarray, "layers n D"]:
    """The mean hidden state of each sentence after the embeddings and after each layer.

    Args:
      encoder: Whatever its vectors are; parameters on one device.
      sentences: Cut where the encoder cuts them.
      batch_size: Rows of every call.

    Returns:
      ``[L + 1, n, D]`` in float32.
    """
    config = encoder.config
    found = np.empty((config.layers + 1, len(sentences), config.width), np.float32)
    params = {name: encoder.params[name] for name in ("embeddings", "layers")}
    for numbers, ids, mask in encoder.batches(sentences, batch_size):
        found[:, numbers] = np.asarray(_means(config, params, ids, mask))[:, : len(numbers)]
    return found


@functools.partial(jax.jit, static_argnums=0)
def _means(config: models.EncoderConfig, params: dict, ids: Array, mask: Array) -> Array:
    _, extras = models.Encoder(config).apply({"params": params}, ids, mask)
    states = jnp.concatenate([extras["embeddings"][None], extras["layers"]]).astype(jnp.float32)
    inside = jnp.broadcast_to(mask[None, ..., None], (1, *mask.shape, 1))
    total = jnp.where(inside, states, 0.0).sum(axis=-2)
    return total / jnp.maximum(inside.sum(axis=-2), 1)
