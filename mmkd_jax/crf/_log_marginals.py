"""Marginals as logarithms: also those too small for a probability, and their gradients."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmkd_jax.crf._chain import Batch, LinearChain, as_batch, check, is_inside
from mmkd_jax.crf._log_space import logsumexp, normalised
from mmkd_jax.crf._time import scan_steps

# Only the messages are kept for the gradient, not the N² terms of every step.
_forgets = partial(jax.checkpoint, prevent_cse=False)


@jax.jit
def log_marginals(chain: LinearChain) -> Float[Array, "*batch T N"]:
    r"""The log probability :math:`\log P(y_t = j)` of each tag at each step.

    `marginals` is faster, but gives what is below 1e-20 (in float32) as 0, whose logarithm has no
    gradient. This one is exact however small a probability is, and so is its gradient
    :math:`\partial \log P(y_t = j) / \partial \theta_u = P(u \mid y_t = j) - P(u)`, which never
    leaves [-1, 1]. It costs N² exponentials a step, and memory for N numbers a step.

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
    log_probs, _ = normalised_rows(_both_messages(batch))
    inside = is_inside(batch.lengths, batch.unary.shape[1])
    return jnp.where(inside[..., None], log_probs, -jnp.inf).reshape(chain.emissions.shape)


def normalised_rows(scores: Float[Array, "*n N"]) -> tuple[Array, Array]:
    """Scores as log probabilities, and the logarithm of their sum; all -inf stays all -inf."""
    total = logsumexp(scores, axis=-1, keepdims=True)
    return scores - jnp.where(total > -jnp.inf, total, 0.0), total


def _both_messages(batch: Batch) -> Float[Array, "B T N"]:
    """The log marginals, up to a constant a step."""
    scores = jnp.moveaxis(batch.unary, 1, 0)
    time = jnp.arange(len(scores))
    last_step = batch.lengths[:, None] - 1

    @_forgets
    def forward(before, transitions, scores, t):
        reached = logsumexp(before[..., None] + transitions, axis=1)
        message, _ = normalised(scores + jnp.where(t == 0, 0.0, reached))
        return message, message

    @_forgets
    def backward(after, transitions, scores, t):
        message = logsumexp(transitions + after[:, None], axis=2)
        message = jnp.where(t >= last_step, 0.0, message)
        return normalised(scores + message)[0], message

    nothing = jnp.zeros_like(scores[0])
    _, forwards = scan_steps(forward, nothing, batch.transitions, scores, time)
    _, backwards = scan_steps(backward, nothing, batch.transitions, scores, time, reverse=True)
    return jnp.moveaxis(forwards + backwards, 0, 1)
