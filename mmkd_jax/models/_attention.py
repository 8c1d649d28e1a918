"""Attention weights and what they pick, by XLA or by cuDNN's fused kernel.

Axes: T tokens, S tokens that are looked at, H heads, K width of a head.
"""

import jax
import jax.numpy as jnp
from jax import Array

from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._dropout import dropout

# Below every score, and far from the end of float32: a row without any token to look at gets equal
# weights, finite like their gradient.
_NOT_A_TOKEN = -1e30


def attend(
    config: EncoderConfig,
    query: Array,
    key: Array,
    value: Array,
    mask: Array,
    randomness: Array | None,
) -> Array:
    """``softmax(query keyᵀ / √K) value`` over the tokens that the mask allows.

    Args:
      config: Says how to compute it.
      query: ``[..., T, H, K]``.
      key: ``[..., S, H, K]``.
      value: ``[..., S, H, K]``.
      mask: ``[..., S]`` booleans.
      randomness: A key for dropout of the weights, or None.

    Returns:
      ``[..., T, H, K]``.
    """
    if config.attention == "cudnn":
        if randomness is not None and config.attention_dropout > 0:
            raise ValueError(
                "attention_dropout must be 0 in training with attention='cudnn', whose kernel "
                f"has none, got {config.attention_dropout}"
            )
        return _cudnn(query, key, value, mask)
    wide = jnp.promote_types(query.dtype, jnp.float32)
    query = query * query.shape[-1] ** -0.5
    scores = jnp.einsum("...thk,...shk->...hts", query, key, preferred_element_type=wide)
    scores += jnp.where(mask, 0.0, _NOT_A_TOKEN).astype(wide)[..., None, None, :]
    weights = softmax(scores).astype(value.dtype)
    weights = dropout(weights, config.attention_dropout, randomness)
    return jnp.einsum("...hts,...shk->...thk", weights, value)


@jax.custom_vjp
def softmax(scores: Array) -> Array:
    """Over the last axis; the backward pass keeps the weights and nothing else."""
    return jax.nn.softmax(scores, axis=-1)


def _softmax_forward(scores: Array) -> tuple[Array, Array]:
    weights = softmax(scores)
    return weights, weights


def _softmax_backward(weights: Array, gradient: Array) -> tuple[Array]:
    weighted = weights * gradient
    return (weighted - weights * weighted.sum(axis=-1, keepdims=True),)


softmax.defvjp(_softmax_forward, _softmax_backward)


def _cudnn(query: Array, key: Array, value: Array, mask: Array) -> Array:
    # cuDNN takes one batch axis, and lengths in place of a mask: what is masked must come last.
    # No length is 0, which would divide by nothing: an empty sentence sees its first position.
    lengths = jnp.maximum(mask.sum(axis=-1, dtype=jnp.int32), 1).reshape(-1)
    flat = [array.reshape(-1, *array.shape[-3:]) for array in (query, key, value)]
    attended = jax.nn.dot_product_attention(
        *flat, key_value_seq_lengths=lengths, implementation="cudnn"
    )
    return attended.reshape(query.shape)
