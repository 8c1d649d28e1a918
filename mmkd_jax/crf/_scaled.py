"""Forward and backward messages as scaled probabilities: the fast path, and its certificate.

Working with probabilities instead of their logarithms costs T·N exponentials a sequence instead
of T·N², and keeps more digits, until something underflows. What underflows is lost without a
trace: a chain with hard constraints and sharp scores then gives a wrong log Z, and no NaN.
`Messages.certain` is the proof that nothing that matters was lost.

Why it is one. Every factor used here (x, E, the normalised messages) is at most 1, so a flush to
zero loses at most `tiny` in the scale of its step, and N of them meet in a sum. The backward
messages get more than that added back at every step (`floor`), so they are never below the truth.
A path that the forward messages lose at step t is then worth at most N·tiny / s_{t-1} forwards,
times at most 1 backwards, against the forward mass times the backward messages
d_t = <u_t, r_t> for the paths that were kept. d_t is the same total at every t up to floor / d_t.
So if s_{t-1}·d_t stays above `threshold` everywhere, all that was lost or added is less than a
rounding error. A path lost in both directions, which the two messages alone would not show, grows
from the floor in the backward messages until d_t falls, and is seen.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from mmkd_jax.crf._chain import is_inside, largest_finite
from mmkd_jax.crf._time import scan_steps

# Up to this many tags a product with the transitions is written as N multiply-adds, which XLA
# fuses into one loop; above it a dot is faster. Measured on a CPU (benchmarks/crf.py).
UNROLL_UP_TO = 24

# Above this size, a sequence's messages are copied to batch-first order before they are multiplied
# into pair counts: the dot then reads both sides in order. Measured likewise.
COPY_ABOVE = 2048


class Messages(NamedTuple):
    """What both directions know, time first; both are normalised apart at every step."""

    factors: Float[Array, "T B N"]  # x: exp(unary), over the largest of its step
    largest: Float[Array, "B T"]  # the logarithm of that largest
    forward: Float[Array, "T B N"]  # u
    mass: Float[Array, "T B"]  # s: the sum of u; how much of the mass at step t-1 survives step t
    backward: Float[Array, "T B N"]  # r: at most 1
    overlap: Float[Array, "T B"]  # d: <u, r>
    certain: Bool[Array, ""]  # nothing that matters was lost


def messages(unary: Float[Array, "B T N"], kernel: Array, lengths: Int[Array, "B"]) -> Messages:
    """Runs both directions. The padding does no harm: its unary scores are 0.

    Args:
      unary: scores.
      kernel: the exponentials of the transitions, at most 1, as `exp_transitions` gives them.
      lengths: steps in use.
    """
    steps, tags = unary.shape[1:]
    info = jnp.finfo(unary.dtype)
    tiny, floor = float(info.tiny), 8 * tags * float(info.tiny)
    largest = largest_finite(unary, axis=-1)
    factors = jnp.exp(jnp.moveaxis(unary - largest, 1, 0))
    time = jnp.arange(steps)
    last_step = lengths[:, None] - 1
    one = jnp.ones_like(factors[0, :, :1])

    def forward(carry, kernel, factor, t):
        before, mass = carry
        reached = jnp.where(t == 0, 1.0, product(before, kernel))
        # Dividing the factor by the mass of the step before, rather than this message by its own
        # mass, leaves XLA one loop over the tags to fuse.
        after = reached * (factor * _reciprocal(jnp.maximum(mass, tiny)))
        return (after, after.sum(axis=-1, keepdims=True)), after

    def backward(carry, kernel, factor, t):
        weight, mass = carry
        message = (product(weight, kernel) + floor) * _reciprocal(jnp.maximum(mass, tiny))
        message = jnp.where(t >= last_step, 1.0, message)
        weight = factor * message
        return (weight, weight.sum(axis=-1, keepdims=True)), message

    _, forwards = scan_steps(forward, (factors[0], one), kernel, factors, time)
    kernel = jnp.swapaxes(kernel, -1, -2)
    _, backwards = scan_steps(backward, (factors[-1], one), kernel, factors, time, reverse=True)

    mass, overlap = forwards.sum(axis=-1), (forwards * backwards).sum(axis=-1)
    survived = jnp.concatenate([jnp.ones_like(mass[:1]), jnp.minimum(mass[:-1], 1.0)])
    threshold = 32 * steps * tags**2 * tiny / float(info.eps)
    outside = ~is_inside(lengths, steps).T
    certain = jnp.all(outside | (overlap * survived >= threshold))
    return Messages(factors, largest[..., 0], forwards, mass, backwards, overlap, certain)


def posterior(
    messages: Messages, kernel: Array, largest: Array, lengths: Int[Array, "B"]
) -> tuple[Float[Array, "B T"], Float[Array, "B T N"], Array]:
    """The log mass that survives each step, the marginals and the pair counts.

    The counts are [B, N, N], summed over time, or [B, T-1, N, N] where there is a matrix a step.
    """
    factors, taken_out, forwards, mass, backwards, overlap, _ = messages
    steps, _, tags = factors.shape
    per_step = kernel.ndim == 4
    inside = is_inside(lengths, steps)
    # Twice `where`: what is not used must not divide by 0 either, its derivative would be NaN.
    used = inside.T & (overlap > 0)
    share = jnp.where(used, _reciprocal(jnp.where(used, overlap, 1.0)), 0.0)
    marginals = jnp.moveaxis(forwards * (backwards * share[..., None]), 0, 1)
    left = forwards[:-1]
    before = _reciprocal(jnp.where(used[1:], mass[:-1], 1.0))
    right = (factors * backwards)[1:] * (share[1:] * before)[..., None]
    axes = "tb"
    if steps * tags > COPY_ABOVE:
        left, right, axes = jnp.moveaxis(left, 0, 1), jnp.moveaxis(right, 0, 1), "bt"
    pairs = jnp.einsum(
        f"{axes}i,{axes}j->{'btij' if per_step else 'bij'}",
        left,
        right,
        precision=lax.Precision.HIGHEST,
    )
    # What is not above this may have come from the floor alone: it is impossible, or as good as.
    negligible = float(jnp.finfo(factors.dtype).eps) ** 3
    marginals, pairs = (
        jnp.where(share > negligible, share, 0.0) for share in (marginals, pairs * kernel)
    )
    largest = jnp.pad(largest, ((0, 0), (1, 0))) if per_step else largest[:, None]
    later = jnp.arange(steps)[None] > 0
    taken_out = taken_out + jnp.where(later, largest, 0.0)
    log_mass = jnp.where(inside, jnp.log(mass.T) + taken_out, 0.0)
    return log_mass, marginals, pairs


def exp_transitions(transitions: Array) -> tuple[Array, Array]:
    """exp(transitions - largest), and the largest of each matrix."""
    largest = largest_finite(transitions, axis=(-2, -1))
    return jnp.exp(transitions - largest), largest[..., 0, 0]


def product(vectors: Float[Array, "B N"], kernel: Float[Array, "#B N N"]) -> Float[Array, "B N"]:
    tags = kernel.shape[-1]
    if tags <= UNROLL_UP_TO:
        return sum(vectors[:, i : i + 1] * kernel[:, i] for i in range(tags))
    if kernel.shape[0] == 1:
        return jnp.dot(vectors, kernel[0], precision=lax.Precision.HIGHEST)
    return jnp.einsum("bi,bij->bj", vectors, kernel, precision=lax.Precision.HIGHEST)


@jax.custom_jvp
def _reciprocal(x: Array) -> Array:
    """1 / x for small x: the derivative of `/` takes 1 / x², which overflows below 1e-19."""
    return 1.0 / x


@_reciprocal.defjvp
def _reciprocal_derivative(primals, tangents):
    inverse = _reciprocal(*primals)
    return inverse, -(inverse * (inverse * tangents[0]))
