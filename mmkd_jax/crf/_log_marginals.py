"""Marginals as logarithms: also those too small for a probability, and their gradients."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Bool, Float, Int

from mmkd_jax.crf import _log_scaled
from mmkd_jax.crf._chain import Batch, LinearChain, as_batch, check, is_inside, largest_finite
from mmkd_jax.crf._folding import folds_vmap
from mmkd_jax.crf._log_space import logsumexp
from mmkd_jax.crf._scaled import exp_transitions
from mmkd_jax.crf._time import scan_steps


@jax.jit
def log_marginals(chain: LinearChain) -> Float[Array, "*batch T N"]:
    r"""The log probability :math:`\log P(y_t = j)` of each tag at each step.

    `marginals` is faster, but gives what is below 1e-20 (in float32) as 0, whose logarithm has no
    gradient. This one is exact however small a probability is, and so is its gradient
    :math:`\partial \log P(y_t = j) / \partial \theta_u = P(u \mid y_t = j) - P(u)`, which never
    leaves [-1, 1]. Where no tag is all but unreachable from those beside it (below about 1e-28, in
    float32) it costs products of matrices, otherwise N² exponentials a step; either way, memory
    for N numbers a step.

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
    log_probs, _ = normalised_rows(log_scores(batch))
    inside = is_inside(batch.lengths, batch.unary.shape[1])
    return jnp.where(inside[..., None], log_probs, -jnp.inf).reshape(chain.emissions.shape)


def normalised_rows(scores: Float[Array, "*n N"]) -> tuple[Array, Array]:
    """Scores as log probabilities, and the logarithm of their sum; all -inf stays all -inf."""
    total = logsumexp(scores, axis=-1, keepdims=True)
    return scores - jnp.where(total > -jnp.inf, total, 0.0), total


def log_scores(batch: Batch) -> Float[Array, "B T N"]:
    """The log marginals, up to a constant a step; anything in the padding."""
    return _found(batch.unary, batch.transitions, batch.lengths).scores


class Found(NamedTuple):
    """Log marginals up to a constant a step, and what their gradient is made of."""

    scores: Float[Array, "B T N"]
    messages: _log_scaled.Messages  # batch first; they have no gradient
    certain: Bool[Array, "B"]  # the same for all: whether the messages tell the scores


def _search(unary: Array, transitions: Array, lengths: Array) -> Found:
    kernel, _ = exp_transitions(transitions)
    messages = _log_scaled.messages(unary, kernel, lengths)
    certain = _log_scaled.certain(messages, unary, transitions, lengths)
    scores = lax.cond(
        certain,
        lambda: _log_scaled.log_scores(messages, unary),
        lambda: _sure_scores(unary, transitions, lengths),
    )
    return Found(scores, _turned(messages), jnp.broadcast_to(certain, lengths.shape))


_folded_search = folds_vmap(_search)


@jax.custom_vjp
def _found(unary: Array, transitions: Array, lengths: Array) -> Found:
    return _folded_search(unary, transitions, lengths)


def _found_forward(*primals):
    found = _found(*primals)
    return found, (primals, found)


def _found_backward(residuals, cotangents):
    primals, found = residuals
    return (*_pullback(*primals, found.messages, found.certain, cotangents.scores), None)


_found.defvjp(_found_forward, _found_backward)


def _pull(unary, transitions, lengths, messages, certain, cotangent, apart):
    """What the weights of the scores become as weights of unary scores and transitions."""
    kernel, _ = exp_transitions(transitions)

    def fast():
        return _log_scaled.pullback(_turned(messages), kernel, lengths, cotangent, apart)

    def sure():
        copies = jnp.broadcast_to(transitions, (len(unary), *transitions.shape[1:]))
        primals = unary, copies if apart else transitions
        return jax.vjp(lambda *scores: _sure_scores(*scores, lengths), *primals)[1](cotangent)

    return lax.cond(certain.all(), fast, sure)


_pull_apart = folds_vmap(partial(_pull, apart=True))


@custom_vmap
def _pull_folded(*arguments):
    return _pull(*arguments, apart=False)


@_pull_folded.def_vmap
def _pull_mapped(size, mapped, *arguments):
    """The parts of sequences that share transitions come apart, and are summed again."""
    axes = jax.tree.map(lambda is_mapped: 0 if is_mapped else None, mapped)
    unary, transitions = jax.vmap(_pull_apart, axes)(*arguments)
    if arguments[1].shape[1 if mapped[1] else 0] == 1:
        transitions = transitions.sum(axis=1, keepdims=True)
    return (unary, transitions), (True, True)


@jax.custom_vjp
def _pullback(unary, transitions, lengths, messages, certain, cotangent):
    """`_pull` that knows vmap and, by the sure way, reverse mode."""
    return _pull_folded(unary, transitions, lengths, messages, certain, cotangent)


def _pullback_forward(*primals):
    return _pullback(*primals), (*primals[:3], primals[-1])


def _pullback_backward(residuals, cotangents):
    unary, transitions, lengths, weights = residuals

    def pullback(unary, transitions, weights):
        def scores(unary, transitions):
            return _sure_scores(unary, transitions, lengths)

        return jax.vjp(scores, unary, transitions)[1](weights)

    _, pull = jax.vjp(pullback, unary, transitions, weights)
    unary, transitions, weights = pull(cotangents)
    return unary, transitions, None, None, None, weights


_pullback.defvjp(_pullback_forward, _pullback_backward)


def _turned(messages: _log_scaled.Messages) -> _log_scaled.Messages:
    """Time first to batch first, and back."""
    return jax.tree.map(lambda x: jnp.swapaxes(x, 0, 1), messages)


# Only the messages are kept for the gradient, not the N² terms of every step.
_forgets = partial(jax.checkpoint, prevent_cse=False)


def _sure_scores(
    unary: Float[Array, "B T N"], transitions: Array, lengths: Int[Array, "B"]
) -> Float[Array, "B T N"]:
    """The log marginals up to a constant a step, by messages that are logarithms."""
    scores = jnp.moveaxis(unary, 1, 0)
    time = jnp.arange(len(scores))
    last_step = lengths[:, None] - 1

    @_forgets
    def forward(before, transitions, scores, t):
        reached = logsumexp(before[..., None] + transitions, axis=1)
        message = _below_zero(scores + jnp.where(t == 0, 0.0, reached))
        return message, message

    @_forgets
    def backward(after, transitions, scores, t):
        message = logsumexp(transitions + after[:, None], axis=2)
        message = jnp.where(t >= last_step, 0.0, message)
        return _below_zero(scores + message), message

    nothing = jnp.zeros_like(scores[0])
    _, forwards = scan_steps(forward, nothing, transitions, scores, time)
    _, backwards = scan_steps(backward, nothing, transitions, scores, time, reverse=True)
    return jnp.moveaxis(forwards + backwards, 0, 1)


def _below_zero(message: Array) -> Array:
    """The largest made 0. What is taken away is the same for all tags, so nobody asks for it."""
    return message - lax.stop_gradient(largest_finite(message, -1))
