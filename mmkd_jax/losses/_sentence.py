"""MMKD's sentence level."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmkd_jax.losses._checks import check_floats, check_vectors, compute_dtype
from mmkd_jax.losses._masking import unit_vectors


def sentence_alignment(
    student: Float[Array, "*batch D"], teacher: Float[Array, "*batch D"]
) -> Float[Array, "*batch"]:
    r"""Pulls the student's sentence vector towards the teacher's.

    .. math:: \ell = 2 - 2 \cos(q, k)

    with :math:`q` the student's and :math:`k` the teacher's vector, which for unit vectors is
    :math:`\lVert q - k \rVert^2`. The *sentence-level* loss of the paper, where :math:`q` is the
    student's prediction from a translation and :math:`k` the teacher's view of the English
    sentence.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import losses
      >>> student = jnp.array([[3., 0.], [0., 1.], [0., 0.]])
      >>> teacher = jnp.array([[1., 0.], [2., 0.], [1., 0.]])
      >>> print(losses.sentence_alignment(student, teacher))
      [0. 2. 2.]

    Args:
      student: ``[..., D]``.
      teacher: ``[..., D]``. Wrap it in ``jax.lax.stop_gradient`` if it is not to be trained.

    Returns:
      ``[...]``, between 0 and 4. The cosine with a zero vector counts as 0.

    References:
      Li et al., `Multi-level Distillation of Semantic Knowledge for Pre-training Multilingual
      Language Model <https://arxiv.org/abs/2211.01200>`_, 2022. The released code computes the
      same, of a teacher vector that passed a projection with random weights that are never
      trained.
    """
    check_vectors(student, "student", "[..., D]", axes=1)
    check_floats(teacher, "teacher", "of the student's shape [..., D]", jnp.shape(student))
    return _sentence_alignment(student, teacher)


@jax.jit
def _sentence_alignment(student: Array, teacher: Array) -> Array:
    dtype = compute_dtype(student, teacher)
    q, k = unit_vectors(student.astype(dtype)), unit_vectors(teacher.astype(dtype))
    return 2.0 - 2.0 * (q * k).sum(axis=-1)
