"""The same as the posterior loss, of marginals that come from anywhere."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mmkd_jax.losses._checks import (
    check_floats,
    check_mask,
    check_temperature,
    check_vectors,
    compute_dtype,
)
from mmkd_jax.losses._tempered import tempered_kl


def marginal_kl(
    student_marginals: Float[Array, "*batch T N"],
    teacher_marginals: Float[Array, "*batch T N"],
    where: Bool[Array, "*batch T"],
    temperature: int | float | Array = 1.0,
) -> Float[Array, "*batch"]:
    r"""Makes the student's probabilities of the tags of each token the teacher's.

    .. math:: \ell = \tau^2 \sum_i \mathrm{KL}(\tilde p_i \Vert \tilde q_i), \quad
              \tilde q_{ij} = \frac{q_{ij}^{1/\tau}}{\sum_k q_{ik}^{1/\tau}}

    with :math:`q` the student's and :math:`p` the teacher's marginals. It is `crf_posterior` for
    those who have marginals and not chains; above all, for a teacher and a student that each tell
    tags apart that the other does not. Both are mapped to what both can say, and compared there.
    (Where only the teacher's tags need a map, `crf_cross_entropy` compares whole sequences.)

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, losses, tags
      >>> student, teacher = crf.independent(jnp.zeros((3, 5))), crf.independent(jnp.ones((3, 5)))
      >>> of_student, of_teacher = tags.shared(
      ...     tags.TagSet.of_types(["PER", "LOC"]), tags.TagSet.of_types(["LOC", "ORG"]))
      >>> student_marginals = crf.map_marginals(crf.marginals(student), of_student)
      >>> teacher_marginals = crf.map_marginals(crf.marginals(teacher), of_teacher)
      >>> print(student_marginals.shape)  # of O, B-LOC, I-LOC
      (3, 3)
      >>> print(losses.marginal_kl(student_marginals, teacher_marginals, jnp.ones(3, bool)))
      0.0

    Args:
      student_marginals: ``[..., T, N]`` probabilities.
      teacher_marginals: ``[..., T, N]`` probabilities. Wrap them in ``jax.lax.stop_gradient`` if
        they are not to be trained.
      where: ``[..., T]`` booleans, false in the padding, which is never read.
      temperature: a positive scalar; see `crf_posterior`.

    Returns:
      ``[...]``, a sum over the sentence's tokens. Probabilities below 1e-20 (in float32), the
      resolution of `crf.marginals`, count as 0; where the teacher's is not, the student's counts
      as 1e-20: a large but finite value, without a gradient of its own. (`crf_posterior` is exact
      there.) A step at which all of the teacher's are 0 counts 0.

    References:
      Wang et al., `Structure-Level Knowledge Distillation For Multilingual Sequence Labeling
      <https://arxiv.org/abs/2004.03846>`_, 2020, the *Posterior* loss. The released code requires
      that teacher and student have the same tags in the same order.
    """
    check_vectors(student_marginals, "student_marginals", "[..., T, N]", axes=2)
    shape = jnp.shape(student_marginals)
    rule = "of the student's shape [..., T, N]"
    check_floats(teacher_marginals, "teacher_marginals", rule, shape)
    check_mask(where, "where", "[..., T]", shape[:-1])
    check_temperature(temperature)
    return _marginal_kl(student_marginals, teacher_marginals, where, temperature)


@jax.jit
def _marginal_kl(student: Array, teacher: Array, where: Array, temperature: Array) -> Array:
    dtype = compute_dtype(student, teacher)
    # As in `crf.marginals`. It also bounds the derivative of the logarithm.
    resolution = float(jnp.finfo(dtype).eps) ** 3
    q, p = student.astype(dtype), teacher.astype(dtype)
    missed = (p > resolution) & (q <= resolution)
    log_q = jnp.where(missed, jnp.log(resolution), _log_above(q, resolution))
    return tempered_kl(log_q, _log_above(p, resolution), where, temperature)


def _log_above(probabilities: Array, least: float) -> Array:
    some = probabilities > least
    return jnp.where(some, jnp.log(jnp.where(some, probabilities, 1.0)), -jnp.inf)
