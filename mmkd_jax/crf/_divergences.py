"""Entropy, cross-entropy and KL divergence of whole sequence distributions, exact.

All of them are log Z's less expected scores. KL as a difference of such large numbers would lose
its digits where p and q are close, so it takes the difference of the scores, and of the log Z's
step by step, before anything is summed: KL(p, p) is 0 to the last bit.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from mmkd_jax.crf._chain import (
    Batch,
    LinearChain,
    as_batch,
    check,
    check_same_shape,
    leading_shape,
)
from mmkd_jax.crf._forward_backward import Posterior, forward_backward
from mmkd_jax.crf._marginals import per_step


@jax.jit
def entropy(p: LinearChain) -> Float[Array, "*batch"]:
    r"""The entropy :math:`H(p) = -\sum_y p(y) \log p(y)`, in nats.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> print(crf.entropy(crf.LinearChain(jnp.zeros((10, 2)), jnp.zeros((2, 2)))))  # 10 log 2
      6.931472

    Args:
      p: the chain.

    Returns:
      ``[...]``, 0 for length 0 and where no sequence is possible.
    """
    check(p, "p")
    batch = as_batch(p)
    posterior = forward_backward(batch.unary, batch.transitions, batch.lengths)
    return _expected_surprise(posterior, posterior, batch).reshape(leading_shape(p))


@jax.jit
def cross_entropy(p: LinearChain, q: LinearChain) -> Float[Array, "*batch"]:
    r"""The cross-entropy :math:`H(p, q) = -\sum_y p(y) \log q(y)`, in nats.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> p = crf.LinearChain(jnp.array([[0., -jnp.inf]] * 3), jnp.zeros((2, 2)))
      >>> q = crf.LinearChain(jnp.zeros((3, 2)), jnp.zeros((2, 2)))
      >>> print(crf.cross_entropy(p, q))  # 3 log 2
      2.0794415

    Args:
      p: the distribution the expectation is taken in. Its lengths rule both.
      q: the distribution whose surprise is measured; same shape of emissions.

    Returns:
      ``[...]``, +inf (with a finite gradient) where q forbids what p allows.
    """
    check_same_shape(p, q)
    p_batch, q_batch = _batches(p, q)
    p_posterior, q_posterior = (forward_backward(*b[:3]) for b in (p_batch, q_batch))
    value = _expected_surprise(p_posterior, q_posterior, q_batch)
    return (value + _forbidden(p_posterior, q_batch)).reshape(leading_shape(p))


@jax.jit
def kl_divergence(p: LinearChain, q: LinearChain) -> Float[Array, "*batch"]:
    r"""The divergence :math:`KL(p \| q) = \sum_y p(y) \log (p(y) / q(y))`, in nats.

    The sum over all sequences is exact:
    :math:`\log Z_q - \log Z_p + \langle \mu_p, \theta_p - \theta_q \rangle` with p's marginals
    :math:`\mu_p` and the scores :math:`\theta`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> p = crf.LinearChain(jnp.array([[0., -jnp.inf]] * 3), jnp.zeros((2, 2)))
      >>> q = crf.LinearChain(jnp.zeros((3, 2)), jnp.zeros((2, 2)))
      >>> print(crf.kl_divergence(p, q), crf.kl_divergence(q, p))
      2.0794415 inf

    Args:
      p: the distribution the expectation is taken in (in distillation, the teacher). Its lengths
        rule both.
      q: the other distribution (the student); same shape of emissions, transitions of any kind.

    Returns:
      ``[...]``, +inf (with a finite gradient) where q forbids what p allows; 0 for length 0 and
      where p allows nothing.
    """
    check_same_shape(p, q)
    p_batch, q_batch = _batches(p, q)
    p_posterior, q_posterior = (forward_backward(*b[:3]) for b in (p_batch, q_batch))
    unary = _finite(q_batch.unary) - _finite(p_batch.unary)
    p_transitions, q_transitions = (
        _finite(_with_axes(batch.transitions, p_posterior.counts)) for batch in (p_batch, q_batch)
    )
    value = _log_ratio(q_posterior, p_posterior) - _expected_score(
        p_posterior, unary, q_transitions - p_transitions
    )
    value = jnp.where(_possible(p_posterior), value, 0.0)
    return (value + _forbidden(p_posterior, q_batch)).reshape(leading_shape(p))


def _batches(p: LinearChain, q: LinearChain) -> tuple[Batch, Batch]:
    """Both with p's lengths, and p with as many transition matrices as q asks counts of."""
    p_batch, q_batch = as_batch(p), as_batch(dataclasses.replace(q, lengths=p.lengths))
    if q_batch.transitions.ndim == 4:
        transitions = per_step(p_batch.transitions, p_batch.unary.shape)
        p_batch = p_batch._replace(transitions=transitions)
    return p_batch, q_batch


def _expected_surprise(p: Posterior, q: Posterior, scores: Batch) -> Float[Array, "B"]:
    """E_p[-log q] for q of these scores, as if what q forbids were not there."""
    transitions = _finite(_with_axes(scores.transitions, p.counts))
    value = _finite(q.log_z) - _expected_score(p, _finite(scores.unary), transitions)
    return jnp.where(_possible(p), value, 0.0)


def _expected_score(
    p: Posterior, unary: Float[Array, "B T N"], transitions: Array
) -> Float[Array, "B"]:
    over_counts = tuple(range(1, p.counts.ndim))
    return (p.marginals * unary).sum(axis=(1, 2)) + (p.counts * transitions).sum(axis=over_counts)


def _log_ratio(q: Posterior, p: Posterior) -> Float[Array, "B"]:
    """log Z_q - log Z_p: the value from the differences step by step, the gradient from both."""
    rough = _finite(q.log_z) - _finite(p.log_z)
    exact = (_finite(q.log_mass) - _finite(p.log_mass)).sum(axis=-1)
    return rough + lax.stop_gradient(exact - rough)


def _forbidden(p: Posterior, q: Batch) -> Float[Array, "B"]:
    """+inf where q rules out something that has a share in p, else 0."""
    tags = (p.marginals > 0) & (q.unary == -jnp.inf)
    pairs = (p.counts > 0) & (_with_axes(q.transitions, p.counts) == -jnp.inf)
    forbidden = tags.any(axis=(1, 2)) | pairs.any(axis=tuple(range(1, pairs.ndim)))
    return jnp.where(forbidden, jnp.inf, 0.0)


def _with_axes(transitions: Array, counts: Array) -> Array:
    """Gives transitions a time axis where the counts have one."""
    return transitions[:, None] if transitions.ndim < counts.ndim else transitions


def _possible(p: Posterior) -> Bool[Array, "B"]:
    return p.log_z > -jnp.inf


def _finite(scores: Array) -> Array:
    """Scores with 0 for -inf: what is impossible has no share, so its score is not asked."""
    return jnp.where(scores > -jnp.inf, scores, 0.0)
