"""Sequences drawn from the distribution."""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Key

from mmkd_jax.crf import _log_space, _scaled
from mmkd_jax.crf._chain import Batch, LinearChain, as_batch, check, is_inside, leading_shape
from mmkd_jax.crf._folding import folds_vmap
from mmkd_jax.crf._time import scan_steps


@functools.partial(jax.jit, static_argnames="n")
def sample(key: Key[Array, ""] | Array, chain: LinearChain, n: int) -> Int[Array, "n *batch T"]:
    """Draws n independent tag sequences from each distribution, exactly.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> emissions = jnp.array([[0., -jnp.inf], [-jnp.inf, 0.]])
      >>> chain = crf.LinearChain(emissions, jnp.zeros((2, 2)))  # only 0, 1 is possible
      >>> print(crf.sample(jax.random.key(0), chain, n=2))
      [[0 1]
       [0 1]]

    Args:
      key: a random key.
      chain: the scores.
      n: how many, a Python int.

    Returns:
      ``[n, ..., T]`` int32, -1 in the padding, and everywhere where no sequence is possible.
    """
    check(chain)
    if not isinstance(n, int) or n < 0:
        raise ValueError(f"n must be a Python int of at least 0, got {n!r}")
    leading, steps = leading_shape(chain), chain.emissions.shape[-2]
    batch = jax.tree.map(lax.stop_gradient, as_batch(chain))
    uniform = jax.random.uniform(key, (steps, len(batch.unary), n), batch.unary.dtype)
    return _draw(batch, uniform).reshape(n, *leading, steps)


def _draw(batch: Batch, uniform: Float[Array, "T B n"]) -> Int[Array, "n B T"]:
    """Draws the last tag from the forward message, and each tag before it given the next."""
    steps, tags = batch.unary.shape[1:]
    time, last_step = jnp.arange(steps), batch.lengths - 1
    messages = _log_messages(batch.unary, batch.transitions, batch.lengths)
    up_to = jnp.triu(jnp.ones((tags, tags), messages.dtype))

    def step(after, columns, message, uniform, t):
        scores = message[:, None] + jnp.where(
            (t < last_step)[:, None, None], _rows_of(columns, after), 0.0
        )
        largest = scores.max(axis=-1, keepdims=True)
        weights = jnp.exp(scores - jnp.where(largest > -jnp.inf, largest, 0.0))
        cumulative = jnp.dot(weights, up_to, precision=lax.Precision.HIGHEST)
        below = cumulative <= uniform[..., None] * cumulative[..., -1:]
        tag = jnp.minimum(below.sum(axis=-1, dtype=jnp.int32), tags - 1)
        return tag, tag

    columns = jnp.swapaxes(batch.transitions, -1, -2)
    # `lengths` lends its placement: under shard_map a carry must keep its own.
    start = jnp.zeros_like(uniform[0], jnp.int32) + 0 * batch.lengths[:, None]
    messages = jnp.moveaxis(messages, 1, 0)
    _, drawn = scan_steps(step, start, columns, messages, uniform, time, reverse=True)
    ends = jnp.take_along_axis(messages, jnp.maximum(last_step, 0)[None, :, None], axis=0)[0]
    possible = ends.max(axis=-1) > -jnp.inf
    used = is_inside(batch.lengths, steps) & possible[:, None]
    return jnp.where(used[None], jnp.moveaxis(drawn, (0, 2), (2, 0)), -1)


@folds_vmap
def _log_messages(unary: Array, transitions: Array, lengths: Array) -> Float[Array, "B T N"]:
    """The logarithm of the forward messages, up to a constant at each step."""
    kernel, _ = _scaled.exp_transitions(transitions)
    messages = _scaled.messages(unary, kernel, lengths)
    forwards = lax.cond(
        messages.certain,
        lambda: jnp.log(messages.forward),
        lambda: _log_space.forward_messages(unary, transitions)[0],
    )
    return jnp.moveaxis(forwards, 0, 1)


def _rows_of(matrices: Float[Array, "#B N N"], rows: Int[Array, "B n"]) -> Float[Array, "B n N"]:
    if matrices.shape[0] == 1:
        return matrices[0][rows]
    return jnp.take_along_axis(matrices, rows[..., None], axis=1)
