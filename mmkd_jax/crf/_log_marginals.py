"""Marginals as logarithms: also those too small for a probability, and their gradients."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from mmkd_jax.crf._chain import Batch, LinearChain, as_batch, check, is_inside, largest_finite
from mmkd_jax.crf._log_space import logsumexp
from mmkd_jax.crf._time import scan_steps

# Only the messages are kept for the gradient, not the N² terms of every step.
_forgets = partial(jax.checkpoint, prevent_cse=False)


@jax.jit
def log_marginals(chain: LinearChain) -> Float[Array, "*batch T N"]:
    r"""The log probability :math:`\log P(y_t = j)` of each tag at each step.

    `marginals` is faster, but gives what is below 1e-20 (in float32) as 0, whose logarithm has no
    gradient. This one is exact however small a probability is, and so is its gradient
    :math:`\partial \log P(y_t = j) / \partial \theta_u = P(u \mid y_t = j) - P(u)`, which never
    leaves [-1, 1]. Where every transition is within 40 of the largest it costs products of
    matrices, otherwise N² exponentials a step; either way, memory for N numbers a step.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> chain = crf.LinearChain(jnp.array([[0., -500.]]), jnp.zeros((2, 2)))
      >>> print(crf.log_marginals(chain), crf.marginals(chain))
      [[   0. -500.]] [[1. 0.]]

    Args:
      chain: the scores.

    Returns:
      ``[..., T, N]``, -inf for what is impossible and in the padding.
    """
    check(chain)
    batch = as_batch(chain)
    log_probs, _ = normalised_rows(_log_posterior(batch))
    inside = is_inside(batch.lengths, batch.unary.shape[1])
    return jnp.where(inside[..., None], log_probs, -jnp.inf).reshape(chain.emissions.shape)


def normalised_rows(scores: Float[Array, "*n N"]) -> tuple[Array, Array]:
    """Scores as log probabilities, and the logarithm of their sum; all -inf stays all -inf."""
    total = logsumexp(scores, axis=-1, keepdims=True)
    return scores - jnp.where(total > -jnp.inf, total, 0.0), total


def _log_posterior(batch: Batch) -> Float[Array, "B T N"]:
    """The log marginals, up to a constant a step, by the cheaper sums where they are exact."""
    # With every transition above e^-40 of the largest, no sum over the tags before can lose the
    # likeliest one, and what underflows beside it is below the last digit.
    spread = batch.transitions - batch.transitions.max(axis=(-2, -1), keepdims=True)
    return lax.cond(
        (spread > _SMALLEST).all(),
        lambda batch: _both_messages(batch, _reached_by_product),
        lambda batch: _both_messages(batch, _reached_by_logsumexp),
        batch,
    )


_SMALLEST = -40.0


def _reached_by_logsumexp(before: Array, transitions: Array) -> Array:
    """log Σ_i exp(before_i + transitions_ij), whatever the numbers are."""
    return logsumexp(before[..., None] + transitions, axis=1)


def _reached_by_product(before: Array, transitions: Array) -> Array:
    """The same by N exponentials a step and a product of matrices."""
    weights = jnp.exp(transitions - transitions.max(axis=(-2, -1), keepdims=True))
    shared = len(transitions) == 1
    sums = jnp.einsum(
        "bi,ij->bj" if shared else "bi,bij->bj",
        jnp.exp(before),
        weights[0] if shared else weights,
        precision=lax.Precision.HIGHEST,
    )
    some = sums > 0  # nothing but where no tag before is possible
    return jnp.where(some, jnp.log(jnp.where(some, sums, 1.0)), -jnp.inf)


def _both_messages(batch: Batch, reached: Callable) -> Float[Array, "B T N"]:
    """Sum of the messages from both sides, each up to a constant a step."""
    scores = jnp.moveaxis(batch.unary, 1, 0)
    time = jnp.arange(len(scores))
    last_step = batch.lengths[:, None] - 1

    @_forgets
    def forward(before, transitions, scores, t):
        message = scores + jnp.where(t == 0, 0.0, reached(before, transitions))
        message = _below_zero(message)
        return message, message

    @_forgets
    def backward(after, transitions, scores, t):
        message = reached(after, jnp.swapaxes(transitions, -1, -2))
        message = jnp.where(t >= last_step, 0.0, message)
        return _below_zero(scores + message), message

    nothing = jnp.zeros_like(scores[0])
    _, forwards = scan_steps(forward, nothing, batch.transitions, scores, time)
    _, backwards = scan_steps(backward, nothing, batch.transitions, scores, time, reverse=True)
    return jnp.moveaxis(forwards + backwards, 0, 1)


def _below_zero(message: Array) -> Array:
    """The largest made 0. What is taken away is the same for all tags, so nobody asks for it."""
    return message - lax.stop_gradient(largest_finite(message, -1))
