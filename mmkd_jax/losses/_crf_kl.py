"""Structural distillation, exact."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmkd_jax import crf
from mmkd_jax.crf import LinearChain
from mmkd_jax.losses._chains import check_chains, widened
from mmkd_jax.losses._checks import check_temperature


def crf_kl(
    student: LinearChain, teacher: LinearChain, temperature: int | float | Array = 1.0
) -> Float[Array, "*batch"]:
    r"""Makes the student's distribution over whole tag sequences the teacher's.

    .. math:: \ell = \tau^2 \, \mathrm{KL}(p_t^{(\tau)} \Vert p_s^{(\tau)})
              = \tau^2 \sum_y p_t^{(\tau)}(y) \log \frac{p_t^{(\tau)}(y)}{p_s^{(\tau)}(y)}, \quad
              p^{(\tau)}(y) \propto p(y)^{1/\tau}

    over all tag sequences :math:`y`, exactly. The *structural KD* of the second paper (its case
    1a, CRF to CRF); the first one calls it the *structure-level* target, and approximates it by
    `crf_top_k` and `crf_posterior`.

    A softmax tagger is a chain too, `crf.independent`: as the teacher (case 3, MaxEnt to CRF), as
    the student (case 2a, CRF to MaxEnt), or both (token distillation). All of it is exact. For
    teachers that are no chain over the student's tags there is `crf_cross_entropy`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, losses
      >>> student = crf.LinearChain(jnp.zeros((5, 2)), 0.5 * jnp.eye(2))
      >>> teacher = crf.independent(jnp.ones((5, 2)))  # a softmax tagger
      >>> print(losses.crf_kl(student, teacher), losses.crf_kl(student, student, 2.))
      0.12371...  0.0

    Args:
      student: the chain to be trained.
      teacher: a chain over the same steps and tags, whose lengths rule both. Wrap it in
        ``jax.lax.stop_gradient`` if it is not to be trained.
      temperature: a positive scalar that divides the scores of both; above 1, unlikely sequences
        count for more.

    Returns:
      ``[...]``, a sum over the sentence's tokens, never below 0 but for rounding, and 0 with
      gradient 0 where both are the same, at every temperature; +inf, with a finite gradient, where
      the student forbids what the teacher allows; 0 for length 0.

    References:
      Wang et al., `Structural Knowledge Distillation: Tractably Distilling Information for
      Structured Predictor <https://arxiv.org/abs/2010.05010>`_, 2021. The released code tempers
      the teacher's marginals instead of the teacher. Above temperature 1 these belong to no
      distribution: the gradient at student = teacher is not 0, and the loss can fall below 0,
      where the code replaces it, and its gradient, by 0.
    """
    check_chains(student, teacher)
    check_temperature(temperature)
    return _crf_kl(student, teacher, temperature)


@jax.jit
def _crf_kl(student: LinearChain, teacher: LinearChain, temperature: Array) -> Array:
    p, q = (crf.temper(widened(chain), temperature) for chain in (teacher, student))
    divergence = crf.kl_divergence(p, q)
    return jnp.square(jnp.asarray(temperature, divergence.dtype)) * divergence
