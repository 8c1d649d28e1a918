"""MMKD's structure level."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from mmkd_jax.losses._checks import check_mask, check_temperature, check_vectors, compute_dtype
from mmkd_jax.losses._masking import cleared, log_softmax_where, unit_vectors


def structure_alignment(
    student: Float[Array, "B D_student"],
    teacher: Float[Array, "B D_teacher"],
    where: Bool[Array, "B"] | None = None,
    temperature: int | float | Array = 1.0,
    include_self: bool = True,
) -> Float[Array, "B"]:
    r"""Makes the student find the sentences of a batch as alike as the teacher finds them.

    .. math:: \ell_i = \mathrm{KL}(P^t_i \Vert P^s_i), \quad
              P^t_{ij} = \mathrm{softmax}_j(\cos(k_i, k_j) / \tau), \quad
              P^s_{ij} = \mathrm{softmax}_j(\cos(q_i, q_j) / \tau)

    over the sentences :math:`j` of the batch, with :math:`q` the student's and :math:`k` the
    teacher's vectors. The *structure-level* loss of the paper ("correlation similarity").

    The batch is the whole batch: under ``jit`` that is the global one, however it is sharded.
    Under ``jax.shard_map`` a function sees its own shard only, so gather first::

        gather = partial(jax.lax.all_gather, axis_name="data", tiled=True)
        rows = losses.structure_alignment(gather(student), gather(teacher))  # the global batch's
        mine = jax.lax.dynamic_slice_in_dim(
            rows, jax.lax.axis_index("data") * len(student), len(student))

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import losses
      >>> student = jnp.array([[1., 0.], [0., 1.], [1., 1.]])
      >>> turned = jnp.array([[0., 1., 0.], [-1., 0., 0.], [-1., 1., 0.]])
      >>> print(losses.structure_alignment(student, turned))  # only angles among them count
      [0. 0. 0.]

    Args:
      student: ``[B, D]``.
      teacher: ``[B, D']``; the widths may differ. Wrap it in ``jax.lax.stop_gradient`` if it is
        not to be trained.
      where: ``[B]`` booleans, false for the padding of the batch: such a row is compared with
        nothing, is never read, and its loss is 0.
      temperature: a positive scalar that divides the cosines. At 1 the rows are nearly flat,
        because cosines lie in [-1, 1].
      include_self: whether a sentence is compared with itself too.

    Returns:
      ``[B]``, 0 for a sentence that is compared with nothing.

    References:
      Li et al., `Multi-level Distillation of Semantic Knowledge for Pre-training Multilingual
      Language Model <https://arxiv.org/abs/2211.01200>`_, 2022, with weight 10. The released code
      has temperature 1, and sees the sentences of one device only.
    """
    check_vectors(student, "student", "[B, D]", axes=2)
    check_vectors(teacher, "teacher", "[B, D']", axes=2)
    if jnp.ndim(student) != 2 or jnp.ndim(teacher) != 2 or len(student) != len(teacher):
        raise ValueError(
            "student must be [B, D] and teacher [B, D'] with the same B, got "
            f"{jnp.shape(student)} and {jnp.shape(teacher)}"
        )
    if where is None:
        where = jnp.ones(len(student), bool)
    check_mask(where, "where", "[B]", (len(student),))
    check_temperature(temperature)
    return _structure_alignment(student, teacher, where, temperature, include_self)


@partial(jax.jit, static_argnames="include_self")
def _structure_alignment(
    student: Array, teacher: Array, where: Array, temperature: Array, include_self: bool
) -> Array:
    dtype = compute_dtype(student, teacher)
    compared = where[:, None] & where[None, :]
    if not include_self:
        compared &= ~jnp.eye(len(where), dtype=bool)
    log_p, log_q = (
        log_softmax_where(_cosines(vectors.astype(dtype), where) / temperature, compared)
        for vectors in (teacher, student)
    )
    return (jnp.exp(log_p) * (log_p - log_q)).sum(axis=-1)


def _cosines(vectors: Float[Array, "B D"], where: Bool[Array, "B"]) -> Float[Array, "B B"]:
    unit = unit_vectors(cleared(vectors, where))
    return jnp.einsum("id,jd->ij", unit, unit, precision=lax.Precision.HIGHEST)
