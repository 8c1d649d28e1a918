"""The loss of gold tags."""

import jax
from jaxtyping import Array, Float, Integer

from mmkd_jax import crf
from mmkd_jax.crf import LinearChain
from mmkd_jax.crf._chain import check
from mmkd_jax.losses._checks import check_integers


@jax.jit
def crf_nll(student: LinearChain, tags: Integer[Array, "*batch T"]) -> Float[Array, "*batch"]:
    r"""How much a sentence's gold tags surprise a CRF tagger.

    .. math:: \ell = -\log p_s(y) = \log Z_s - s_s(y)

    with :math:`s_s` the score of a tag sequence. The *NLL* of the papers, the part of their
    objective that needs labels.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, losses
      >>> lengths = jnp.array([3, 1])
      >>> student = crf.LinearChain(jnp.zeros((2, 3, 4)), jnp.zeros((4, 4)), lengths=lengths)
      >>> tags = jnp.array([[0, 1, 3], [2, -1, -1]])
      >>> print(losses.crf_nll(student, tags))  # 3 log 4 and log 4
      [4.158883  1.3862944]

    Args:
      student: the tagger's chain, whose lengths rule.
      tags: ``[..., T]`` integers. Those behind the lengths are never read.

    Returns:
      ``[...]``, a sum over the sentence's tokens; 0 for length 0; +inf, with a finite gradient, for
      tags that the student forbids or that are none.

    References:
      Wang et al., `Structure-Level Knowledge Distillation For Multilingual Sequence Labeling
      <https://arxiv.org/abs/2004.03846>`_, 2020. The formulas of the paper have no score of the
      end; the released code has one. Its tag sets include ``<unk>``, which takes part in
      :math:`Z`.
    """
    check(student, "student")
    check_integers(tags, "tags", "[..., T]", student.emissions.shape[:-1])
    return -crf.log_prob(student, tags)
