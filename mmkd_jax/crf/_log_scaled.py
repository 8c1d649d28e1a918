"""Log marginals from scaled messages: the fast path, its certificate, and its derivative.

The log marginal of a tag is its own score and the logarithms of what reaches it from both sides,
up to a constant a step. A tag's own score never goes through an exponential, so it may be as low
as it likes. What *reaches* it is a sum over the tags beside it; such sums are taken in
probabilities, and their logarithms once at the end, for all steps together.

When that is exact. Probabilities here are at most 1, so a flush to zero loses at most `tiny`, and
the masses they are divided by only say by how much the next step shrinks: what reaches a tag is
wrong by at most 2·N·tiny, if what reached the tags before it was right to a rounding error. So if
all of it stays above `threshold`, wherever any path leads at all, all of it is right, step by
step. (`_scaled` asks for less, and gets less: only that the likely tags are right.)
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from mmkd_jax.crf._chain import is_inside, largest_finite
from mmkd_jax.crf._scaled import product
from mmkd_jax.crf._time import scan_steps


class Messages(NamedTuple):
    """What both directions know, time first. Each step has scales of its own."""

    reached: Float[Array, "T B N"]  # what comes to each tag from before; 1 at the first step
    before: Float[Array, "T B N"]  # that, times the tag's own factor
    left: Float[Array, "T B N"]  # what comes to each tag from after; 1 at the last step
    after: Float[Array, "T B N"]  # that, times the tag's own factor


def messages(unary: Float[Array, "B T N"], kernel: Array, lengths: Int[Array, "B"]) -> Messages:
    """Runs both directions; ``kernel`` is what `exp_transitions` gives."""
    tiny = float(jnp.finfo(unary.dtype).tiny)
    factors = jnp.exp(jnp.moveaxis(unary - largest_finite(unary, axis=-1), 1, 0))
    time = jnp.arange(len(factors))
    last_step = lengths[:, None] - 1

    def step(carry, kernel, factor, is_end):
        beside, mass = carry
        reached = jnp.where(is_end, 1.0, product(beside, kernel))
        # Dividing by the mass of the step before leaves XLA one loop over the tags to fuse.
        message = reached * (factor * (1.0 / jnp.maximum(mass, tiny)))
        return (message, message.sum(axis=-1, keepdims=True)), (reached, message)

    def forward(carry, kernel, factor, t):
        return step(carry, kernel, factor, t == 0)

    def backward(carry, kernel, factor, t):
        return step(carry, kernel, factor, t >= last_step)

    start = factors[0], jnp.ones_like(factors[0, :, :1])
    _, (reached, before) = scan_steps(forward, start, kernel, factors, time)
    kernel = jnp.swapaxes(kernel, -1, -2)
    _, (left, after) = scan_steps(backward, start, kernel, factors, time, reverse=True)
    return Messages(reached, before, left, after)


def log_scores(messages: Messages, unary: Float[Array, "B T N"]) -> Float[Array, "B T N"]:
    """The log marginals up to a constant a step, -inf for what is impossible."""
    both = _log(messages.reached) + _log(messages.left)
    return unary + jnp.moveaxis(both, 0, 1)


def certain(
    messages: Messages, unary: Float[Array, "B T N"], transitions: Array, lengths: Int[Array, "B"]
) -> Bool[Array, ""]:
    """Whether all that reaches a tag is right to a rounding error."""
    steps, tags = unary.shape[1:]
    info = jnp.finfo(unary.dtype)
    threshold = 32 * tags * float(info.tiny) / float(info.eps)
    outside = ~is_inside(lengths, steps).T[..., None]
    reached, left = (outside | (x >= threshold) for x in (messages.reached, messages.left))
    all_of_it = jnp.all(reached & left)

    def nothing_leads_to_the_rest():
        allowed = (transitions > -jnp.inf).astype(unary.dtype)
        possible = jnp.moveaxis(unary > -jnp.inf, 1, 0)
        from_before = _leads((possible & (messages.reached > 0))[:-1], allowed)
        from_after = _leads((possible & (messages.left > 0))[1:], jnp.swapaxes(allowed, -1, -2))
        return jnp.all(reached[1:] | ~from_before) & jnp.all(left[:-1] | ~from_after)

    return lax.cond(all_of_it, lambda: all_of_it, nothing_leads_to_the_rest)


def _leads(some: Bool[Array, "T1 B N"], allowed: Array) -> Bool[Array, "T1 B N"]:
    """Which tags some tag beside leads to."""
    axes = {4: "btij", 3: "bij", 2: "ij"}
    allowed = allowed[0] if len(allowed) == 1 != some.shape[1] else allowed
    ways = jnp.einsum(
        f"tbi,{axes[allowed.ndim]}->tbj",
        some.astype(allowed.dtype),
        allowed,
        precision=lax.Precision.HIGHEST,
    )
    return ways > 0


def pullback(
    messages: Messages,
    kernel: Array,
    lengths: Int[Array, "B"],
    cotangent: Float[Array, "B T N"],
    apart: bool,
) -> tuple[Float[Array, "B T N"], Array]:
    """The derivative of a weighted sum of log marginals by unary scores and transitions.

    log P(tag | step t) depends on the steps before through the probabilities of what came before
    it, `before` · kernel / `reached`, one product of matrices a step, and likewise on those after.

    Args:
      messages: of `messages`.
      kernel: as it got it.
      lengths: steps in use.
      cotangent: the weights, 0 where the log marginal is -inf and in the padding.
      apart: whether each sequence's part comes apart where transitions are shared, or their sum.
    """
    cotangent = jnp.moveaxis(cotangent, 1, 0)
    time = jnp.arange(len(cotangent))
    last_step = lengths[:, None] - 1
    to_reached, to_left = _reciprocal(messages.reached), _reciprocal(messages.left)

    def backward(ratio, kernel, weights, before, to_reached):
        total = weights + before * product(ratio, kernel)
        ratio = total * to_reached
        return ratio, (total, ratio)

    def forward(ratio, kernel, weights, after, to_left, t):
        share = after * product(ratio, kernel)
        ratio = jnp.where(t < last_step, (weights + share) * to_left, 0.0)
        return ratio, (share, ratio)

    nothing = jnp.zeros_like(cotangent[0])
    inputs = cotangent, messages.after, to_left, time
    _, (shares, ratios_left) = scan_steps(forward, nothing, kernel, *inputs)
    transposed = jnp.swapaxes(kernel, -1, -2)
    inputs = cotangent, messages.before, to_reached
    _, (totals, ratios) = scan_steps(backward, nothing, transposed, *inputs, reverse=True)

    one = jnp.concatenate([messages.before[:-1], ratios_left[:-1]])
    two = jnp.concatenate([ratios[1:], messages.after[1:]])
    d_unary = jnp.moveaxis(totals + shares, 0, 1)
    if kernel.ndim == 4:
        steps = len(one) // 2
        pairs = jnp.einsum("tbi,tbj->btij", one, two, precision=lax.Precision.HIGHEST)
        return d_unary, kernel * (pairs[:, :steps] + pairs[:, steps:])
    axes = "bij" if apart or len(kernel) > 1 else "ij"
    pairs = jnp.einsum(f"tbi,tbj->{axes}", one, two, precision=lax.Precision.HIGHEST)
    return d_unary, kernel * pairs.reshape(-1, *kernel.shape[1:])


def _log(x: Array) -> Array:
    some = x > 0
    return jnp.where(some, jnp.log(jnp.where(some, x, 1.0)), -jnp.inf)


def _reciprocal(x: Array) -> Array:
    some = x > 0
    return jnp.where(some, 1.0 / jnp.where(some, x, 1.0), 0.0)
