"""Distillation token by token, as if there were no transitions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from mmkd_jax.losses._checks import check_floats, check_mask, check_temperature, check_vectors
from mmkd_jax.losses._tempered import tempered_kl


def emission_kl(
    student: Float[Array, "*batch T N"],
    teacher: Float[Array, "*batch T N"],
    where: Bool[Array, "*batch T"],
    temperature: int | float | Array = 1.0,
) -> Float[Array, "*batch"]:
    r"""Makes the softmax of the student's scores of each token that of the teacher's.

    .. math:: \ell = \tau^2 \sum_i \mathrm{KL}(\mathrm{softmax}(t_i / \tau) \Vert
              \mathrm{softmax}(s_i / \tau))

    With the emissions :math:`s` and :math:`t` of two CRF taggers this is the *Emission* baseline
    of the paper, which knows nothing of transitions; with the logits of two softmax taggers, its
    *Token* loss, and then it is exact: `crf_kl` between two `crf.independent`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import losses
      >>> student, teacher = jnp.array([[0., 2.], [0., 0.]]), jnp.zeros((2, 2))
      >>> print(losses.emission_kl(student, teacher, where=jnp.array([True, True])))
      0.43378...

    Args:
      student: ``[..., T, N]`` scores.
      teacher: ``[..., T, N]`` scores. Wrap them in ``jax.lax.stop_gradient`` if they are not to be
        trained.
      where: ``[..., T]`` booleans, false in the padding, which is never read.
      temperature: a positive scalar that divides the scores of both.

    Returns:
      ``[...]``, a sum over the sentence's tokens, 0 if there are none; +inf, with a finite
      gradient, where the student forbids (-inf) what the teacher allows.

    References:
      Wang et al., `Structure-Level Knowledge Distillation For Multilingual Sequence Labeling
      <https://arxiv.org/abs/2004.03846>`_, 2020, where it is a cross-entropy: this less the
      teacher's entropy, of the same gradient. In the released code the softmax also runs over
      ``<unk>`` and the start and stop states; leave such tags out, or give them -inf in both.
    """
    check_vectors(student, "student", "[..., T, N]", axes=2)
    shape = jnp.shape(student)
    check_floats(teacher, "teacher", "of the student's shape [..., T, N]", shape)
    check_mask(where, "where", "[..., T]", shape[:-1])
    check_temperature(temperature)
    return _emission_kl(student, teacher, where, temperature)


_emission_kl = jax.jit(tempered_kl)
