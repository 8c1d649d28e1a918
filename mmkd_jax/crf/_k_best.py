"""The K best sequences of tags.

At every step each tag keeps a sorted list of the K best ways to reach it. The list of a next tag
is the merge of N sorted lists. Two sorted lists are merged by comparing one forwards with the
other backwards, which leaves the K best of both, falling and then rising, and sorting those by a
fixed network of compare-exchanges. All of it is elementwise over the batch and the next tags, so
it vectorises, and its work is N·K·log K a tag; a full top-k would sort N·K candidates.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from mmkd_jax.crf._chain import Batch, LinearChain, as_batch, check, leading_shape
from mmkd_jax.crf._scaled import scan_steps
from mmkd_jax.crf._score import batch_score
from mmkd_jax.crf._viterbi import finite

# K arrays of scores, best first, and K arrays of what they came from.
Lists = tuple[tuple[Array, ...], tuple[Array, ...]]


@functools.partial(jax.jit, static_argnames="k")
def k_best(chain: LinearChain, k: int) -> tuple[Int[Array, "*batch K T"], Float[Array, "*batch K"]]:
    """The k most probable tag sequences, best first, all distinct.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> emissions = jnp.array([[0., 1.], [0., 2.5]])
      >>> tags, scores = crf.k_best(crf.LinearChain(emissions, jnp.zeros((2, 2))), k=5)
      >>> print(tags.tolist())  # there are only four
      [[1, 1], [0, 1], [1, 0], [0, 0], [-1, -1]]
      >>> print(scores)
      [ 3.5  2.5  1.   0.  -inf]

    Args:
      chain: the scores.
      k: how many, a Python int.

    Returns:
      Tags ``[..., k, T]`` int32, -1 in the padding; scores ``[..., k]``, differentiable. A
      sequence that does not exist is all -1 and has score -inf; length 0 has one, empty, of
      score 0.
    """
    check(chain)
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"k must be a Python int of at least 1, got {k!r}")
    leading = leading_shape(chain)
    batch = as_batch(chain)
    paths, exist = _best_paths(jax.tree.map(lax.stop_gradient, batch), k)
    scores = jax.vmap(batch_score, (None, 0))(batch, paths)
    exist = exist | ((batch.lengths == 0) & (jnp.arange(k) == 0)[:, None])
    scores = jnp.where(exist, batch.offset + scores, -jnp.inf)
    # The sums above are rounded in another order than those that ranked the paths.
    order = jnp.argsort(-lax.stop_gradient(scores), axis=0, stable=True)
    scores = jnp.take_along_axis(scores, order, axis=0)
    paths = jnp.take_along_axis(paths, order[..., None], axis=0)
    steps = paths.shape[-1]
    return jnp.moveaxis(paths, 0, 1).reshape(*leading, k, steps), scores.T.reshape(*leading, k)


def _best_paths(batch: Batch, k: int) -> tuple[Int[Array, "K B T"], Array]:
    """The paths, and which of them exist."""
    count, steps, tags = batch.unary.shape
    scores, time = jnp.moveaxis(batch.unary, 1, 0), jnp.arange(steps)
    last_step = batch.lengths[:, None] - 1

    def forward(before, transitions, scores, t):
        reached, sources = _merge_all(before, transitions)
        fresh = jnp.where(jnp.arange(k)[:, None, None] == 0, scores, -jnp.inf)
        after = jnp.where(t == 0, fresh, reached + scores)
        after = after - finite(after[0].max(axis=-1, keepdims=True))
        # Behind its last step a sequence keeps what it had there.
        return jnp.where(t <= last_step, after, before), sources

    def backward(state, inputs):
        sources, t = inputs
        before = sources.reshape(-1)[state[0] * count * tags + jnp.arange(count) * tags + state[1]]
        used = t <= last_step[:, 0]
        tag = jnp.where(used, state[1], -1)
        return jnp.where(used, jnp.stack(jnp.divmod(before, tags)), state), tag

    lists = jnp.zeros_like(scores, shape=(k, count, tags)) + scores[:1]
    lists, sources = scan_steps(forward, lists, batch.transitions, scores, time)
    ends = jnp.zeros_like(scores, shape=(1, tags, 1))
    best, source = _merge_all(lists, ends)
    state = jnp.stack(jnp.divmod(source[..., 0], tags))
    _, paths = lax.scan(backward, state, (sources, time), reverse=True)
    exist = best[..., 0] > -jnp.inf
    return jnp.where(exist[..., None], jnp.moveaxis(paths, 0, -1), -1), exist


def _merge_all(
    lists: Float[Array, "K B N"], transitions: Float[Array, "#B N M"]
) -> tuple[Float[Array, "K B M"], Int[Array, "K B M"]]:
    """The K best ways to each next tag, and where each comes from: rank·N + tag."""
    k, _, tags = lists.shape
    ranks = range(k)

    def step(best: Lists, inputs):
        values, row, tag = inputs
        coming = tuple(values[rank][:, None] + row for rank in ranks)
        sources = tuple(jnp.full_like(best[1][0], rank * tags) + tag for rank in ranks)
        return _merge(best, (coming, sources)), None

    nothing = jnp.full_like(lists[0, :, :1] + transitions[:, 0], -jnp.inf)
    empty = (nothing,) * k, (jnp.zeros_like(nothing, jnp.int32),) * k
    inputs = jnp.moveaxis(lists, -1, 0), jnp.moveaxis(transitions, 1, 0), jnp.arange(tags)
    (best, sources), _ = lax.scan(step, empty, inputs)
    return jnp.stack(best), jnp.stack(sources)


def _merge(first: Lists, second: Lists) -> Lists:
    """The K best of two sorted lists, sorted; the first list's come first among equals."""
    k = len(first[0])
    values, sources = list(first[0]), list(first[1])
    for i in range(k):
        keep = first[0][i] >= second[0][k - 1 - i]
        values[i] = jnp.where(keep, first[0][i], second[0][k - 1 - i])
        sources[i] = jnp.where(keep, first[1][i], second[1][k - 1 - i])
    for i, j in sorting_network(k):
        keep = values[i] >= values[j]
        for list_ in values, sources:
            list_[i], list_[j] = (
                jnp.where(keep, list_[i], list_[j]),
                jnp.where(keep, list_[j], list_[i]),
            )
    return tuple(values), tuple(sources)


def sorting_network(n: int) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, to compare and exchange so that n values that fall, then rise, fall.

    The bitonic merge for any n: halves of a power of two, counted from the far end.
    """
    return [(n - 1 - j, n - 1 - i) for i, j in _rising_network(0, n)]


def _rising_network(low: int, n: int) -> list[tuple[int, int]]:
    if n < 2:
        return []
    half = 1 << (n - 1).bit_length() - 1
    pairs = [(i, i + half) for i in range(low, low + n - half)]
    return pairs + _rising_network(low, half) + _rising_network(low + half, n - half)
