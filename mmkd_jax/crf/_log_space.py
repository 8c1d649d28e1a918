"""Forward and backward messages as logarithms, renormalised at every step: the sure path.

Nothing underflows here, and the renormalisation keeps the digits that absolute log-space messages
lose on long chains. It costs N² exponentials a step, so it runs only where `_scaled` is not
certain. `-inf` is an ordinary value: sums over nothing are -inf, and never NaN.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mmkd_jax.crf._chain import is_inside, largest_finite
from mmkd_jax.crf._time import scan_steps


def forward_messages(
    unary: Float[Array, "B T N"], transitions: Array
) -> tuple[Float[Array, "T B N"], Float[Array, "T B"]]:
    """log p(tag t | what lies before), and the logarithm of the mass that survives step t."""

    def step(before, transitions, scores, t):
        reached = logsumexp(before[..., None] + transitions, axis=1)
        message, mass = normalised(scores + jnp.where(t == 0, 0.0, reached))
        return message, (message, mass[:, 0])

    scores = jnp.moveaxis(unary, 1, 0)
    time = jnp.arange(len(scores))
    return scan_steps(step, jnp.zeros_like(scores[0]), transitions, scores, time)[1]


def posterior(
    unary: Float[Array, "B T N"], transitions: Array, lengths: Int[Array, "B"]
) -> tuple[Float[Array, "B T"], Float[Array, "B T N"], Array]:
    """The log mass that survives each step, the marginals and the pair counts.

    The counts are [B, N, N], summed over time, or [B, T-1, N, N] where there is a matrix a step.
    """
    batch, steps, tags = unary.shape
    per_step = transitions.ndim == 4
    scores, time = jnp.moveaxis(unary, 1, 0), jnp.arange(steps)
    forwards, mass = forward_messages(unary, transitions)
    last_step = lengths[:, None] - 1

    def backward(carry, transitions, forward, scores, t):
        after, counts = carry
        pairs = _softmax(forward[..., None] + transitions + after[:, None], axes=(1, 2))
        pairs = jnp.where((t < last_step)[..., None], pairs, 0.0)
        message = logsumexp(transitions + after[:, None], axis=2)
        message = jnp.where(t >= last_step, 0.0, message)
        carry = normalised(scores + message)[0], None if per_step else counts + pairs
        return carry, (message, pairs if per_step else None)

    # `lengths` lends its placement to the zeros: under shard_map a carry must keep its own.
    zeros = jnp.zeros((batch, tags, tags), unary.dtype) + 0 * lengths[:, None, None]
    carry = jnp.zeros_like(scores[0]), None if per_step else zeros
    (_, counts), (backwards, pairs) = scan_steps(
        backward, carry, transitions, forwards, scores, time, reverse=True
    )
    inside = is_inside(lengths, steps)
    marginals = jnp.moveaxis(_softmax(forwards + backwards, axes=(-1,)), 0, 1)
    return (
        jnp.where(inside, mass.T, 0.0),
        jnp.where(inside[..., None], marginals, 0.0),
        jnp.moveaxis(pairs[:-1], 0, 1) if per_step else counts,
    )


def logsumexp(scores: Array, axis: int, keepdims: bool = False) -> Array:
    """log Σ exp, -inf with a finite gradient where all scores are -inf."""
    largest = largest_finite(scores, axis)
    total = jnp.exp(scores - largest).sum(axis=axis, keepdims=True)
    some = total > 0
    result = jnp.where(some, jnp.log(jnp.where(some, total, 1.0)) + largest, -jnp.inf)
    return result if keepdims else jnp.squeeze(result, axis)


def normalised(scores: Float[Array, "B N"]) -> tuple[Float[Array, "B N"], Float[Array, "B 1"]]:
    """Scores as log probabilities, and the logarithm of their sum; all -inf stays all -inf."""
    total = logsumexp(scores, axis=-1, keepdims=True)
    return scores - jnp.where(total > -jnp.inf, total, 0.0), total


def _softmax(scores: Array, axes: tuple[int, ...]) -> Array:
    """0 everywhere where all scores are -inf."""
    largest = largest_finite(scores, axes)
    weights = jnp.exp(scores - largest)
    total = weights.sum(axis=axes, keepdims=True)
    return weights / jnp.where(total > 0, total, 1.0)
