"""The best sequence of tags."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from mmkd_jax.crf._chain import Batch, LinearChain, as_batch, check, leading_shape
from mmkd_jax.crf._scaled import scan_steps
from mmkd_jax.crf._score import batch_score

# Up to this many tags a maximum over the tags is written as N maxima, which XLA fuses into one
# loop over vectors; a reduction is several times slower, but compiles at any size.
UNROLL_UP_TO = 64


@jax.jit
def viterbi(chain: LinearChain) -> tuple[Int[Array, "*batch T"], Float[Array, "*batch"]]:
    r"""The most probable tag sequence, :math:`\arg\max_y s(y)`, and its score.

    Among equal sequences, the one with the lowest last tag is taken, then the lowest tag before
    it, and so on.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> emissions = jnp.array([[0., 1.], [0., 2.], [3., 0.]])
      >>> tags, score = crf.viterbi(crf.LinearChain(emissions, transitions=jnp.zeros((2, 2))))
      >>> print(tags, score)
      [1 1 0] 6.0

    Args:
      chain: the scores.

    Returns:
      Tags ``[..., T]`` int32, -1 in the padding, and everywhere if no sequence is possible; scores
      ``[...]``, differentiable, -inf if no sequence is possible.

    Reference:
      Viterbi (1967), "Error bounds for convolutional codes and an asymptotically optimum decoding
      algorithm".
    """
    check(chain)
    leading = leading_shape(chain)
    batch = as_batch(chain)
    tags = _best_tags(jax.tree.map(lax.stop_gradient, batch))
    score = batch.offset + batch_score(batch, tags)
    return tags.reshape(*leading, -1), score.reshape(leading)


def _best_tags(batch: Batch) -> Int[Array, "B T"]:
    steps = batch.unary.shape[1]
    scores, time = jnp.moveaxis(batch.unary, 1, 0), jnp.arange(steps)
    last_step = batch.lengths - 1

    def forward(before, transitions, scores, t):
        # Taking out the largest at every step keeps the digits of a long chain.
        before = before - finite(before.max(axis=-1, keepdims=True))
        after = scores + jnp.where(t == 0, 0.0, best_reached(before, transitions))
        return after, after

    def backward(tag, columns, message, t):
        candidates = message + jnp.where((t < last_step)[:, None], _row_of(columns, tag), 0.0)
        tag = first_argmax(candidates)
        return tag, tag

    first = jnp.zeros_like(scores[0])
    _, messages = scan_steps(forward, first, batch.transitions, scores, time)
    columns = jnp.swapaxes(batch.transitions, -1, -2)
    tag = first_argmax(first)
    _, tags = scan_steps(backward, tag, columns, messages, time, reverse=True)
    ends = jnp.take_along_axis(messages, jnp.maximum(last_step, 0)[None, :, None], axis=0)[0]
    possible = ends.max(axis=-1) > -jnp.inf
    return jnp.where((time <= last_step[:, None]) & possible[:, None], tags.T, -1)


def best_reached(
    before: Float[Array, "B N"], transitions: Float[Array, "#B N N"]
) -> Float[Array, "B N"]:
    """max over i of before_i + transitions_ij."""
    tags = transitions.shape[-1]
    if tags > UNROLL_UP_TO:
        return (before[..., None] + transitions).max(axis=1)
    best = before[:, :1] + transitions[:, 0]
    for i in range(1, tags):
        best = jnp.maximum(best, before[:, i : i + 1] + transitions[:, i])
    return best


def first_argmax(scores: Float[Array, "B N"]) -> Int[Array, "B"]:
    """The first index of the largest: two plain reductions, which vectorise; an argmax does not."""
    tags = scores.shape[-1]
    best = scores.max(axis=-1, keepdims=True)
    index = jnp.where(scores == best, jnp.arange(tags, dtype=jnp.int32), tags - 1)
    return index.min(axis=-1)


def finite(value: Array) -> Array:
    """-inf becomes 0."""
    return jnp.where(value > -jnp.inf, value, 0.0)


def _row_of(matrices: Float[Array, "#B N N"], rows: Int[Array, "B"]) -> Float[Array, "B N"]:
    if matrices.shape[0] == 1:
        return matrices[0][rows]
    return jnp.take_along_axis(matrices, rows[:, None, None], axis=1)[:, 0]
