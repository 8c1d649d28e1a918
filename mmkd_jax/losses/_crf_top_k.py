"""Distillation by the teacher's best tag sequences."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Integer

from mmkd_jax import crf
from mmkd_jax.crf import LinearChain
from mmkd_jax.crf._chain import check
from mmkd_jax.losses._chains import inside
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
      >>> print(losses.crf_top_k(student, paths, weights=jax.nn.softmax(scores)))
      1.3862944

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
    # What does not depend on K, log Z, is not mapped, and computed once.
    log_probs = jax.vmap(crf.log_prob, in_axes=(None, -2), out_axes=-1)(student, paths)
    if weights is None:
        exists = ((paths >= 0) & inside(student)[..., None, :]).any(axis=-1)
        weights = _alike(exists, log_probs.dtype)
    weights = weights.astype(log_probs.dtype)
    counted = weights != 0
    terms = weights * -jnp.where(counted, log_probs, 0.0)
    return jnp.where(counted, terms, 0.0).sum(axis=-1)


def _alike(exists: Bool[Array, "*batch K"], dtype: jnp.dtype) -> Float[Array, "*batch K"]:
    """1 over their number to those that exist."""
    exists = exists.astype(dtype)
    return exists / jnp.maximum(exists.sum(axis=-1, keepdims=True), 1.0)
