"""One layer of an encoder, and what it is made of, as functions of parameters.

Axes: T tokens, S tokens that are looked at, D width, H heads, K width of a head, M hidden width;
any batch axes come first.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array

from mmkd_jax.models._attention import attend
from mmkd_jax.models._config import ACTIVATIONS, EncoderConfig
from mmkd_jax.models._dropout import dropout


def layer(config: EncoderConfig, params: dict, x: Array, mask: Array, key: Array | None) -> Array:
    """Attention, then the dense maps; each added to what it is made from, then normalised.

    Args:
      config: The encoder.
      params: This layer's.
      x: ``[..., T, D]``.
      mask: ``[..., T]`` booleans, the tokens that may be looked at.
      key: For dropout; None for none.

    Returns:
      ``[..., T, D]``.
    """
    in_attention, after_attention, after_mlp = (
        (None,) * 3 if key is None else jax.random.split(key, 3)
    )
    attended = attention(config, params["attention"], x, mask, in_attention)
    attended = dropout(attended, config.dropout, after_attention)
    x = layer_norm(config, params["attention"]["norm"], x + attended)
    changed = dropout(mlp(config, params["mlp"], x), config.dropout, after_mlp)
    return layer_norm(config, params["mlp"]["norm"], x + changed)


def attention(
    config: EncoderConfig, params: dict, x: Array, mask: Array, key: Array | None
) -> Array:
    """Multi-head attention of every token to all that ``mask`` allows."""
    query, key_, value = (project(params[name], x) for name in ("query", "key", "value"))
    attended = attend(config, query, key_, value, mask, key)
    return project(params["output"], attended, inputs=2)


def mlp(config: EncoderConfig, params: dict, x: Array) -> Array:
    """The two dense maps with the activation between them."""
    hidden = ACTIVATIONS[config.activation](project(params["up"], x))
    return project(params["down"], hidden)


def project(params: dict, x: Array, inputs: int = 1) -> Array:
    """A dense map of the last ``inputs`` axes, in the dtype of what comes in.

    As a product of two matrices: its gradients then are such products too, while an einsum over
    all axes has them transposed.
    """
    kernel, bias = (params[name].astype(x.dtype) for name in ("kernel", "bias"))
    rows = x.reshape(-1, math.prod(kernel.shape[:inputs]))
    product = rows @ kernel.reshape(rows.shape[1], -1) + bias.reshape(1, -1)
    return product.reshape(*x.shape[: x.ndim - inputs], *kernel.shape[inputs:])


def layer_norm(config: EncoderConfig, params: dict, x: Array) -> Array:
    """Mean 0 and variance 1 over the last axis, scaled and shifted; in float32 inside."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    centred = wide - wide.mean(axis=-1, keepdims=True)
    variance = jnp.square(centred).mean(axis=-1, keepdims=True)
    normal = centred * jax.lax.rsqrt(variance + config.layer_norm_epsilon)
    scale, bias = (batched(params[name], x.ndim) for name in ("scale", "bias"))
    return (normal * scale + bias).astype(x.dtype)


def batched(array: Array, rank: int) -> Array:
    """Puts axes of size 1 before an array's own."""
    return array.reshape((1,) * (rank - array.ndim) + array.shape)
