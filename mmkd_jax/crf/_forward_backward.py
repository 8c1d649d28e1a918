"""The one routine behind log Z, marginals, counts, entropies and divergences.

`forward_backward` returns log Z, unary marginals and pair counts from one pass in each direction.
Its derivative is written by hand: the gradient of log Z is the other two outputs, already there;
that of a marginal or a count is a product with the Hessian of log Z, taken as the forward
derivative of the same routine. That product can itself be differentiated, by plain autodiff.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int

from mmkd_jax.crf import _log_space, _scaled
from mmkd_jax.crf._folding import folds_vmap


class Posterior(NamedTuple):
    """What one pass in each direction tells of a batch."""

    log_z: Float[Array, "B"]
    marginals: Float[Array, "B T N"]
    counts: Array  # expected transitions: [B, N, N], summed over time, or [B, T-1, N, N]
    log_mass: Float[Array, "B T"]  # the terms of log_z, one a step; they have no gradient


@jax.custom_vjp
def forward_backward(
    unary: Float[Array, "B T N"], transitions: Array, lengths: Int[Array, "B"]
) -> Posterior:
    """Log Z and all its first derivatives.

    Args:
      unary: scores, as in `Batch`.
      transitions: [1, N, N] shared, [B, N, N], or [B, T-1, N, N].
      lengths: steps in use.

    Returns:
      The posterior; counts come apart for every sequence, also where transitions are shared.
    """
    return _folded_posterior(unary, transitions, lengths)


def _posterior(unary: Array, transitions: Array, lengths: Array) -> Posterior:
    kernel, largest = _scaled.exp_transitions(transitions)
    messages = _scaled.messages(unary, kernel, lengths)
    fast = _scaled.posterior(messages, kernel, largest, lengths)
    log_mass, marginals, counts = lax.cond(
        messages.certain, lambda: fast, lambda: _log_space.posterior(unary, transitions, lengths)
    )
    return Posterior(log_mass.sum(axis=-1), marginals, counts, log_mass)


def _hessian_product(
    unary: Array, transitions: Array, lengths: Array, marginals: Array, counts: Array | None
) -> tuple[Array, Array]:
    """The derivative of all marginals and counts along scores that change by the last two.

    The Hessian is symmetric, so this is also what cotangents of marginals and counts become.
    """
    primals, directions = (unary,), (marginals,)
    if counts is not None:
        primals += (jnp.broadcast_to(transitions, counts.shape),)
        directions += (counts,)

    def posterior(unary, transitions=transitions):
        return _posterior(unary, transitions, lengths)

    _, tangent = jax.jvp(posterior, primals, directions)
    return tangent.marginals, tangent.counts


_folded_posterior = folds_vmap(_posterior)
_folded_hessian_product = folds_vmap(_hessian_product)


def _hessian_product_pullback(primals, cotangents):
    unary, transitions, lengths, marginals, counts = primals
    full = jnp.broadcast_to(transitions, (len(unary), *transitions.shape[1:]))

    def product(unary, transitions, *directions):
        return _hessian_product(unary, transitions, lengths, *directions)

    return jax.vjp(product, unary, full, marginals, counts)[1](cotangents)


_folded_pullback = folds_vmap(_hessian_product_pullback)


@jax.custom_vjp
def hessian_product(unary, transitions, lengths, marginals, counts):
    """`_hessian_product` that knows vmap and reverse mode."""
    return _folded_hessian_product(unary, transitions, lengths, marginals, counts)


def _hessian_product_forward(*primals):
    return hessian_product(*primals), primals


def _hessian_product_backward(primals, cotangents):
    unary, transitions, marginals, counts = _folded_pullback(primals, cotangents)
    return unary, _to_shape(transitions, primals[1]), None, marginals, counts


hessian_product.defvjp(_hessian_product_forward, _hessian_product_backward)


def _forward(unary, transitions, lengths):
    primals = unary.value, transitions.value, lengths.value
    posterior = forward_backward(*primals)
    return posterior, (primals, posterior.marginals, posterior.counts)


def _backward(residuals, cotangents):
    (unary, transitions, lengths), marginals, counts = residuals
    to_log_z, to_marginals, to_counts, _ = cotangents
    d_unary, d_counts = jnp.zeros_like(unary), jnp.zeros_like(counts)
    if not isinstance(to_log_z, SymbolicZero):
        d_unary = _scale(to_log_z, marginals)
        d_counts = _scale(to_log_z, counts)
    if not (isinstance(to_marginals, SymbolicZero) and isinstance(to_counts, SymbolicZero)):
        if isinstance(to_marginals, SymbolicZero):
            to_marginals = jnp.zeros_like(unary)
        if isinstance(to_counts, SymbolicZero):
            to_counts = None
        second = hessian_product(unary, transitions, lengths, to_marginals, to_counts)
        d_unary, d_counts = d_unary + second[0], d_counts + second[1]
    return d_unary, _to_shape(d_counts, transitions), None


forward_backward.defvjp(_forward, _backward, symbolic_zeros=True)


def _scale(weights: Float[Array, "B"], values: Array) -> Array:
    return values * weights.reshape(-1, *(1,) * (values.ndim - 1))


def _to_shape(gradient: Array, transitions: Array) -> Array:
    """Sums over the sequences what they share."""
    if transitions.shape[0] == 1 != gradient.shape[0]:
        return gradient.sum(axis=0, keepdims=True)
    return gradient
