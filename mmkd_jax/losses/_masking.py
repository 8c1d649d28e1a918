"""Arithmetic that never reads behind a false mask and has finite gradients everywhere.

Replacing a result is not enough: the gradient of the branch not taken is multiplied by 0, and
0 · NaN is NaN. So the *inputs* behind a false mask are replaced, before anything is computed.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float


def cleared(vectors: Float[Array, "*n D"], where: Bool[Array, "*n"]) -> Float[Array, "*n D"]:
    """The vectors, with zeros behind the false mask."""
    return jnp.where(where[..., None], vectors, 0.0)


def mean_where(values: Float[Array, "*batch n"], where: Bool[Array, "*batch n"]) -> Array:
    """The mean over the last axis of what the mask chooses; 0 if it chooses nothing."""
    total = jnp.where(where, values, 0.0).sum(axis=-1)
    return total / jnp.maximum(where.sum(axis=-1), 1).astype(values.dtype)


def log_softmax_where(
    scores: Float[Array, "*rows n"], where: Bool[Array, "*rows n"]
) -> Float[Array, "*rows n"]:
    """The log-softmax over what the mask chooses of each row, and 0 elsewhere."""
    some = where.any(axis=-1, keepdims=True)
    scores = jnp.where(where, scores, jnp.where(some, -jnp.inf, 0.0))
    return jnp.where(where, jax.nn.log_softmax(scores, axis=-1), 0.0)


def unit_vectors(vectors: Float[Array, "*n D"]) -> Float[Array, "*n D"]:
    """The vectors divided by their lengths; a zero vector stays zero, with a finite gradient.

    Dividing by the largest entry first keeps squares, and the powers in the gradient, from
    overflowing or underflowing. It changes no direction, so it needs no gradient of its own. The
    gradient itself grows as the vector shrinks: below about 1e-19 a vector counts as zero, or
    else the gradient might leave the range of float32.
    """
    largest = lax.stop_gradient(jnp.abs(vectors).max(axis=-1, keepdims=True))
    some = largest > jnp.finfo(vectors.dtype).tiny ** 0.5
    scaled = vectors / jnp.where(some, largest, 1.0)
    squares = jnp.where(some, jnp.square(scaled).sum(axis=-1, keepdims=True), 1.0)
    return scaled * lax.rsqrt(squares)
