"""Distillation of the probabilities of single tags, given the whole sentence."""

import dataclasses

import jax
from jaxtyping import Array, Float

from mmkd_jax.crf import LinearChain
from mmkd_jax.crf._chain import as_batch
from mmkd_jax.crf._log_marginals import log_scores
from mmkd_jax.losses._chains import check_chains, inside, widened
from mmkd_jax.losses._checks import check_temperature
from mmkd_jax.losses._tempered import tempered_kl


def crf_posterior(
    student: LinearChain, teacher: LinearChain, temperature: int | float | Array = 1.0
) -> Float[Array, "*batch"]:
    r"""Makes the student's probability of each tag of each token the teacher's.

    .. math:: \ell = \tau^2 \sum_i \mathrm{KL}(\tilde q_{t,i} \Vert \tilde q_{s,i}), \quad
              \tilde q_{ij} = \frac{q(y_i = j)^{1/\tau}}{\sum_k q(y_i = k)^{1/\tau}}

    with the marginals :math:`q` of the two chains, which know of the whole sentence. The
    *Posterior* loss of the first paper, its best. The temperature is a local one: it flattens each
    marginal for itself, where that of `crf_kl` flattens the whole distribution.

    It takes logarithms of marginals (`crf.log_marginals`), not marginals: a student that is sure
    of something wrong, with 1e-30 left for the truth, still has the gradient that corrects it.
    For student and teacher of different tag sets there is `marginal_kl`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, losses
      >>> teacher = crf.LinearChain(jnp.array([[0., 0.], [0., 0.]]), jnp.zeros((2, 2)))
      >>> student = crf.LinearChain(jnp.array([[0., 2.], [0., 0.]]), jnp.zeros((2, 2)))
      >>> print(losses.crf_posterior(student, teacher), losses.crf_posterior(student, teacher, 4.))
      0.43378... 0.49487...

    Args:
      student: the chain to be trained.
      teacher: a chain over the same steps and tags, whose lengths rule both. Wrap it in
        ``jax.lax.stop_gradient`` if it is not to be trained.
      temperature: a positive scalar. The first paper's code reproduces its results at 2.25 and
        recommends 4.

    Returns:
      ``[...]``, a sum over the sentence's tokens, 0 where the marginals are the same and for length
      0; +inf, with a finite gradient, where the student forbids a tag that the teacher allows.

    References:
      Wang et al., `Structure-Level Knowledge Distillation For Multilingual Sequence Labeling
      <https://arxiv.org/abs/2004.03846>`_, 2020, where it is a cross-entropy: this less the
      teacher's entropy, of the same gradient. The temperature is not in the paper, but in the
      released code. With a softmax student (`crf.independent`) it is case 2a of Wang et al.,
      `Structural Knowledge Distillation <https://arxiv.org/abs/2010.05010>`_, 2021.
    """
    check_chains(student, teacher)
    check_temperature(temperature)
    return _crf_posterior(student, teacher, temperature)


@jax.jit
def _crf_posterior(student: LinearChain, teacher: LinearChain, temperature: Array) -> Array:
    student = dataclasses.replace(student, lengths=teacher.lengths)
    # Up to a constant a step, which falls out when they are divided by the temperature.
    log_q, log_p = (
        log_scores(as_batch(widened(chain))).reshape(chain.emissions.shape)
        for chain in (student, teacher)
    )
    return tempered_kl(log_q, log_p, inside(teacher), temperature)
