"""Dropout."""

import jax
import jax.numpy as jnp
from jax import Array


def dropout(x: Array, rate: float, key: Array | None) -> Array:
    """Zeroes entries at random and scales up the others; as it was without a key."""
    if key is None or rate == 0:
        return x
    # Whole numbers are compared: to make fractions of them first compiles for longer.
    keep = jax.random.bits(key, x.shape, jnp.uint32) >= jnp.uint32(round(rate * 2**32))
    return jnp.where(keep, x / (1 - rate), 0).astype(x.dtype)
