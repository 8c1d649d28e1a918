"""Structural distillation from teachers of other kinds and tag sets."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmkd_jax.crf import LinearChain, Moments
from mmkd_jax.crf._chain import as_batch, check
from mmkd_jax.crf._forward_backward import forward_backward
from mmkd_jax.crf._moments import check_moments, flat_moments
from mmkd_jax.losses._chains import widened


@jax.jit
def crf_cross_entropy(student: LinearChain, moments: Moments) -> Float[Array, "*batch"]:
    r"""Teaches the student a whole distribution over tag sequences, known by its moments.

    .. math:: \ell = -\sum_y p_t(y) \log p_s(y)
              = \log Z_s - \sum_u P_t(u) \, \theta_s(u)

    over all tag sequences :math:`y`, exactly, with the student's scores :math:`\theta_s` of single
    and neighbouring tags :math:`u`, and the teacher's probabilities of them: `crf.moments` of a
    chain, as they are or mapped to other tags (`crf.map_tags`), rewritten from BIO to BIOES
    (`crf.bio_to_bioes`), or mixed with those of other teachers (`crf.mixture`). The *structural
    KD* of the second paper in the general form; its gradient is the student's moments less the
    teacher's.

    With a chain for a teacher it is `crf_kl` at temperature 1 plus the teacher's entropy, which
    the student cannot change; `crf.moments(crf.temper(teacher, T))` flattens the teacher.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, losses
      >>> student = crf.LinearChain(jnp.zeros((3, 2)), jnp.zeros((2, 2)))
      >>> one, two = (crf.moments(crf.independent(x * jnp.ones((3, 4)))) for x in (0., 1.))
      >>> both = crf.map_tags(crf.mixture([one, two]), jnp.array([0, 0, 1, 1]), size=2)
      >>> print(losses.crf_cross_entropy(student, both))  # 3 log 2
      2.0794415

    Args:
      student: the chain to be trained.
      moments: of the teacher, over the same steps and tags, whose lengths rule. Wrap them in
        ``jax.lax.stop_gradient`` if they are not to be trained.

    Returns:
      ``[...]``, a sum over the sentence's tokens; +inf, with a finite gradient, where the student
      forbids what the teacher allows; 0 for length 0 and where the teacher allows nothing.

    References:
      Wang et al., `Structural Knowledge Distillation: Tractably Distilling Information for
      Structured Predictor <https://arxiv.org/abs/2010.05010>`_, 2021. The released code mixes
      teachers by averaging their losses, and has no maps: teacher and student need the same tags
      in the same order.
    """
    check(student, "student")
    check_moments(moments)
    shapes = student.emissions.shape, moments.marginals.shape
    if shapes[0] != shapes[1]:
        raise ValueError(
            "student.emissions and moments.marginals must have the same shape [..., T, N], "
            f"got {shapes[0]} and {shapes[1]}"
        )
    batch = as_batch(widened(dataclasses.replace(student, lengths=moments.lengths)))
    marginals, pairs, _ = flat_moments(moments)
    if batch.transitions.ndim == 3:
        pairs = pairs.sum(axis=1)
    log_z = forward_backward(batch.unary, batch.transitions, batch.lengths).log_z

    some = (marginals[:, 0] > 0).any(axis=-1)
    possible = log_z > -jnp.inf
    impossible = some & ~possible
    value = jnp.where(possible, log_z, 0.0)
    for shares, scores in ((marginals, batch.unary), (pairs, batch.transitions)):
        axes = tuple(range(1, shares.ndim))
        finite = scores > -jnp.inf
        value = value - (shares * jnp.where(finite, scores, 0.0)).sum(axis=axes)
        impossible |= ((shares > 0) & ~finite).any(axis=axes)
    value = jnp.where(some, value, 0.0) + jnp.where(impossible, jnp.inf, 0.0)
    return value.reshape(shapes[0][:-2])
