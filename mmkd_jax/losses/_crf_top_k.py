"""Distillation by the teacher's best tag sequences."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Integer

from mmkd_jax.crf import LinearChain
from mmkd_jax.crf._chain import Batch, as_batch, check, is_inside
from mmkd_jax.crf._forward_backward import forward_backward
from mmkd_jax.crf._score import batch_score, path_counts
from mmkd_jax.losses._checks import check_floats, check_integers


@jax.jit
def crf_top_k(
    student: LinearChain,
    paths: Integer[Array, "*batch K T"],
    weights: Float[Array, "*batch K"] | None = None,
) -> Float[Array, "*batch"]:
    r"""Teaches the student the teacher's K best tag sequences, alike or by their weights.

    .. math:: \ell = -\sum_k w_k \log p_s(\hat y_k)
              = \sum_k w_k \, (\log Z_s - s_s(\hat y_k))

    With weights of :math:`1/K` this is the *Top-K* loss of the paper; with the teacher's
    probabilities of the paths, renormalised, its *Top-WK* loss. :math:`Z_s` is computed once a
    sentence, whatever K is.

    Several teachers' paths go side by side along the axis K, with weights that sum to 1 over all
    of them::

        found = [crf.k_best(teacher, 10) for teacher in teachers]
        paths = jnp.concatenate([tags for tags, _ in found], axis=-2)
        weights = [jax.nn.softmax(scores) / len(teachers) for _, scores in found]
        losses.crf_top_k(student, paths, jnp.concatenate(weights, axis=-1))

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, losses
      >>> teacher = crf.LinearChain(jnp.array([[0., 2.], [1., 0.]]), jnp.zeros((2, 2)))
      >>> student = crf.LinearChain(jnp.zeros((2, 2)), jnp.zeros((2, 2)))
      >>> paths, scores = crf.k_best(teacher, k=9)  # there are only four
      >>> print(losses.crf_top_k(student, paths))  # 2 log 2
      1.3862944
      >>> print(losses.crf_top_k(student, paths, weights=jax.nn.softmax(scores)).round(4))
      1.3863

    Args:
      student: the chain to be trained, whose lengths rule.
      paths: ``[..., K, T]`` integers, as `crf.k_best` returns them: -1 in the padding, which is
        never read, and everywhere in a path that does not exist.
      weights: ``[..., K]``, taken as given. A path of weight 0 has no value and no gradient, be it
        possible or not. By default all paths that exist weigh alike, and 1 together.

    Returns:
      ``[...]``, a sum over the sentence's tokens; 0 for length 0 and where no path exists; +inf,
      with a finite gradient, where the student forbids a path that has weight.

    References:
      Wang et al., `Structure-Level Knowledge Distillation For Multilingual Sequence Labeling
      <https://arxiv.org/abs/2004.03846>`_, 2020. In the released code the search for the paths
      reads the teacher's transitions the wrong way round, so that its paths are not the best
      ones; in sentences with fewer than K paths it counts some several times; and it computes
      :math:`Z_s` K times.
    """
    check(student, "student")
    *leading, steps, _ = student.emissions.shape
    count = jnp.shape(paths)[-2] if jnp.ndim(paths) > 1 else 0
    check_integers(paths, "paths", "[..., K, T]", (*leading, count, steps))
    if weights is not None:
        check_floats(weights, "weights", "[..., K]", (*leading, count))
    batch, paths = as_batch(student), jnp.reshape(paths, (math.prod(leading), count, steps))
    here = is_inside(batch.lengths, steps)[:, None]
    if weights is None:
        weights = _alike(((paths >= 0) & here).any(axis=-1), batch.unary.dtype)
    weights = jnp.reshape(weights, paths.shape[:2]).astype(batch.unary.dtype)
    return _cross_entropy(batch, paths, weights).reshape(leading)


def _cross_entropy(
    batch: Batch, paths: Integer[Array, "B K T"], weights: Float[Array, "B K"]
) -> Float[Array, "B"]:
    """Σ_k w_k (log Z - s(path k)), of how often each score is used by all paths together."""
    log_z = forward_backward(batch.unary, batch.transitions, batch.lengths).log_z
    possible = (log_z > -jnp.inf)[:, None]
    counted = weights != 0
    counts = path_counts(batch, paths, jnp.where(counted & possible, weights, 0.0))
    value = jnp.where(possible & counted, weights, 0.0).sum(axis=1) * _finite(log_z)
    for number, scores in zip(counts, (batch.unary, batch.transitions), strict=True):
        value = value - (number * _finite(scores)).sum(axis=tuple(range(1, number.ndim)))
    infinite = counted & (_impossible(batch, paths) | ~possible)
    sign = jnp.where(weights > 0, jnp.inf, -jnp.inf)
    return value + jnp.where(infinite, sign, 0.0).sum(axis=1)


def _impossible(batch: Batch, paths: Integer[Array, "B K T"]) -> Bool[Array, "B K"]:
    """Which paths the student forbids. They are looked for one by one where there can be any."""
    steps, tags = batch.unary.shape[1:]
    illegal = is_inside(batch.lengths, steps)[:, None] & ((paths < 0) | (paths >= tags))
    forbids = [(scores == -jnp.inf).any() for scores in (batch.unary, batch.transitions)]

    def look():
        scores = jax.vmap(batch_score, (None, 1), 1)(lax.stop_gradient(batch), paths)
        return scores == -jnp.inf

    return lax.cond(forbids[0] | forbids[1], look, lambda: illegal.any(axis=-1))


def _finite(scores: Array) -> Array:
    return jnp.where(scores > -jnp.inf, scores, 0.0)


def _alike(exists: Bool[Array, "*batch K"], dtype: jnp.dtype) -> Float[Array, "*batch K"]:
    """1 over their number to those that exist."""
    exists = exists.astype(dtype)
    return exists / jnp.maximum(exists.sum(axis=-1, keepdims=True), 1.0)
