"""The divergence, tag by tag, behind the losses that compare single tags."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mmkd_jax.crf._log_marginals import normalised_rows
from mmkd_jax.losses._checks import compute_dtype
from mmkd_jax.losses._masking import cleared


def tempered_kl(
    student: Float[Array, "*batch T N"],
    teacher: Float[Array, "*batch T N"],
    where: Bool[Array, "*batch T"],
    temperature: Array,
) -> Float[Array, "*batch"]:
    """T² · Σ_t KL(softmax(teacher_t / T) ‖ softmax(student_t / T)), of log scores.

    -inf is a probability of 0: a row of nothing else in the teacher counts 0; where it is the
    student's and not the teacher's, the value is +inf and the gradient that of all other tags.
    """
    dtype = compute_dtype(student, teacher)
    log_q, log_p = (
        normalised_rows(_divided(cleared(scores.astype(dtype), where), temperature))[0]
        for scores in (student, teacher)
    )
    p = jnp.exp(log_p)
    # Twice `where`: 0 · -inf must be met neither here nor in the gradient.
    some, possible = p > 0, log_q > -jnp.inf
    terms = jnp.where(some, log_p, 0.0) - jnp.where(some & possible, log_q, 0.0)
    forbidden = (some & ~possible).any(axis=(-2, -1))
    total = (p * terms).sum(axis=(-2, -1)) * jnp.square(jnp.asarray(temperature, dtype))
    return total + jnp.where(forbidden, jnp.inf, 0.0)


def _divided(scores: Array, temperature: Array) -> Array:
    # -inf stays -inf, and its derivative by the temperature is 0, not NaN.
    some = scores > -jnp.inf
    divided = jnp.where(some, scores, 0.0) / jnp.asarray(temperature, scores.dtype)
    return jnp.where(some, divided, -jnp.inf)
