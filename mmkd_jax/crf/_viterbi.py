"""The best sequence of tags."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from mmkd_jax.crf._chain import Batch, LinearChain, as_batch, check, is_inside, leading_shape
from mmkd_jax.crf._score import known_score
from mmkd_jax.crf._time import scan_steps

# Up to this many tags a maximum over the tags is written as N maxima, which XLA fuses into one
# loop; its own reductions are slower, but compile at any size. Measured on a CPU.
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
    tags, value = _best_path(jax.tree.map(lax.stop_gradient, batch))
    score = batch.offset + known_score(batch, tags, value)
    return tags.reshape(*leading, tags.shape[-1]), score.reshape(leading)


def _best_path(batch: Batch) -> tuple[Int[Array, "B T"], Float[Array, "B"]]:
    steps = batch.unary.shape[1]
    messages, value = best_messages(batch)
    last_step = batch.lengths - 1

    def backward(after, transitions, message, t):
        _, tag = best_tag(before_tag(message, transitions, after, t < last_step))
        return tag, tag

    start, time = jnp.zeros_like(batch.lengths), jnp.arange(steps)
    _, tags = scan_steps(backward, start, batch.transitions, messages, time, reverse=True)
    used = is_inside(batch.lengths, steps) & (value > -jnp.inf)[:, None]
    return jnp.where(used, tags.T, -1), value


def best_messages(batch: Batch) -> tuple[Float[Array, "T N B"], Float[Array, "B"]]:
    """The score of the best way to each tag at each step, up to a constant a step.

    Also the score of the best path: -inf where there is none, 0 for length 0.
    """
    # The batch comes last: loops over it vectorise whatever the number of tags is.
    scores = jnp.transpose(batch.unary, (1, 2, 0))
    time = jnp.arange(len(scores))

    def forward(carry, transitions, scores, t):
        # Taking out the largest of the step before keeps the digits of a long chain.
        before, largest = carry
        reached = jnp.where(t == 0, 0.0, _best_reached(before, transitions))
        after = scores - largest + reached
        largest = after.max(axis=0, keepdims=True)
        carry = after, jnp.where(largest > -jnp.inf, largest, 0.0)
        return carry, (after, largest[0])

    first = jnp.zeros_like(scores[0])
    carry = first, first[:1]
    _, (messages, largest) = scan_steps(forward, carry, batch.transitions, scores, time)
    inside = is_inside(batch.lengths, len(scores)).T
    return messages, jnp.where(inside, largest, 0.0).sum(axis=0)


def before_tag(
    message: Float[Array, "N B"],
    transitions: Float[Array, "#B N N"],
    after: Int[Array, "B"],
    has_next: Bool[Array, "B"],
) -> Float[Array, "N B"]:
    """The score of each tag given the tag after it."""
    if transitions.shape[0] == 1:
        columns = transitions[0][:, after]
    else:
        columns = jnp.take_along_axis(transitions, after[:, None, None], axis=2)[..., 0].T
    return message + jnp.where(has_next[None], columns, 0.0)


def best_tag(scores: Float[Array, "N B"]) -> tuple[Float[Array, "B"], Int[Array, "B"]]:
    """The largest, and the first tag that has it."""
    tags = len(scores)
    if tags > UNROLL_UP_TO:
        return scores.max(axis=0), jnp.argmax(scores, axis=0).astype(jnp.int32)
    best, tag = scores[0], jnp.zeros_like(scores[0], jnp.int32)
    for j in range(1, tags):
        better = scores[j] > best
        best, tag = jnp.where(better, scores[j], best), jnp.where(better, j, tag)
    return best, tag


def _best_reached(
    before: Float[Array, "N B"], transitions: Float[Array, "#B N N"]
) -> Float[Array, "N B"]:
    transitions = jnp.moveaxis(transitions, 0, -1)
    tags = len(before)
    if tags > UNROLL_UP_TO:
        return (before[:, None] + transitions).max(axis=0)
    best = before[:1] + transitions[0]
    for i in range(1, tags):
        best = jnp.maximum(best, before[i : i + 1] + transitions[i])
    return best
