"""The K best sequences of tags.

The best sequence leaves all others in T groups: group t keeps its tags after step t and takes
another tag at step t. The best of a group is known from the Viterbi messages, without looking
further: its tags before step t are the best that lead to the new tag. So the second best sequence
is the best of T·N candidates, and splits its own group once more; and so on (Lawler, 1972;
Nilsson and Goldberger, 2001, "Sequentially finding the N-best list in hidden Markov models").
That is one Viterbi pass and K walks back, T·N·(N + K) operations, where keeping K sorted lists a
tag takes T·N²·K and more.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from mmkd_jax.crf._chain import Batch, LinearChain, as_batch, check, is_inside, leading_shape
from mmkd_jax.crf._score import known_score
from mmkd_jax.crf._time import scan_steps
from mmkd_jax.crf._viterbi import before_tag, best_messages, best_tag


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
    paths, values = _best_paths(jax.tree.map(lax.stop_gradient, batch), k)
    scores = batch.offset[None] + jax.vmap(known_score, (None, 0, 0))(batch, paths, values)
    paths = jnp.moveaxis(paths, 0, 1)
    return paths.reshape(*leading, k, paths.shape[-1]), scores.T.reshape(*leading, k)


class Paths(NamedTuple):
    """K paths, found one after the other, and the best that is left in each of their groups."""

    tags: Int[Array, "K T B"]
    value: Float[Array, "K B"]  # the score; -inf: there is no such path
    excluded: Bool[Array, "K N B"]  # tags used up in the group the path came from
    split_at: Int[Array, "K B"]  # the step of that group
    left_value: Float[Array, "K T B"]  # as `value`, for each group of the path
    left_tag: Int[Array, "K T B"]  # the tag it takes at the group's step


def _best_paths(batch: Batch, k: int) -> tuple[Int[Array, "K B T"], Float[Array, "K B"]]:
    """The paths and their scores."""
    count, steps, tags = batch.unary.shape
    messages, value = best_messages(batch)
    nothing = jnp.zeros_like(batch.lengths)
    rows = jnp.arange(count)

    def find_next(paths: Paths, rank):
        # argmax over [K, T] of each sequence; what is not yet found or used up is -inf.
        left = jnp.moveaxis(paths.left_value, -1, 0).reshape(count, k * steps)
        best = left.argmax(axis=1).astype(jnp.int32)
        value, (parent, t) = left.max(axis=1), jnp.divmod(best, steps)
        tag = paths.left_tag[parent, t, rows]
        is_same_group = (paths.split_at[parent, rows] == t)[None]
        excluded = is_same_group & paths.excluded[parent, :, rows].T
        excluded = excluded | _one_hot(paths.tags[parent, t, rows], tags) | _one_hot(tag, tags)
        followed = jnp.take_along_axis(paths.tags, parent[None, None], axis=0)[0]
        used_up = paths._replace(left_value=paths.left_value.at[parent, t, rows].set(-jnp.inf))
        found = _walk_back(batch, messages, followed, value, t, tag, excluded)
        return _insert(used_up, rank, found), None

    first = _walk_back(
        batch,
        messages,
        jnp.zeros((steps, count), jnp.int32) + nothing[None],
        value,
        nothing + steps,
        nothing,
        (nothing > 0)[None] & jnp.zeros((tags, 1), bool),
    )
    none = jax.tree.map(lambda x: jnp.zeros_like(x, shape=(k, *x.shape)) + x[None], first)
    none = none._replace(left_value=jnp.full_like(none.left_value, -jnp.inf))
    paths, _ = lax.scan(find_next, _insert(none, 0, first), jnp.arange(1, k))
    used = is_inside(batch.lengths, steps)[None] & (paths.value > -jnp.inf)[..., None]
    return jnp.where(used, jnp.moveaxis(paths.tags, 1, 2), -1), paths.value


def _walk_back(
    batch: Batch,
    messages: Float[Array, "T N B"],
    followed: Int[Array, "T B"],
    value: Float[Array, "B"],
    split_at: Int[Array, "B"],
    tag: Int[Array, "B"],
    excluded: Bool[Array, "N B"],
) -> Paths:
    """The path that follows another after step ``split_at``, has ``tag`` there, and then the best.

    Its own groups are those up to ``split_at``; the later ones belong to the path it followed.
    """
    last_step = batch.lengths - 1

    def step(after, transitions, message, followed, t):
        scores = before_tag(message, transitions, after, t < last_step)
        _, best = best_tag(scores)
        here = jnp.where(t < split_at, best, jnp.where(t == split_at, tag, followed))
        chosen = _one_hot(here, len(scores))
        taken = chosen | (excluded & (t == split_at)[None])
        other_score, other = best_tag(jnp.where(taken, -jnp.inf, scores))
        loss = other_score - jnp.where(chosen, scores, 0.0).sum(axis=0)
        open_ = (t <= jnp.minimum(split_at, last_step)) & (value > -jnp.inf)
        return here, (here, jnp.where(open_, value + loss, -jnp.inf), other)

    time = jnp.arange(len(messages))
    _, (tags, left_value, left_tag) = scan_steps(
        step, jnp.zeros_like(tag), batch.transitions, messages, followed, time, reverse=True
    )
    return Paths(tags, value, excluded, split_at, left_value, left_tag)


def _insert(paths: Paths, rank: int | Array, path: Paths) -> Paths:
    return jax.tree.map(lambda all_, one: all_.at[rank].set(one), paths, path)


def _one_hot(tag: Int[Array, "B"], tags: int) -> Bool[Array, "N B"]:
    return tag[None] == jnp.arange(tags)[:, None]
