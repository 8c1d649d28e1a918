"""MMKD's word level."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from mmkd_jax.losses._checks import (
    check_floats,
    check_mask,
    check_temperature,
    check_vectors,
    compute_dtype,
)
from mmkd_jax.losses._masking import cleared, log_softmax_where, mean_where, unit_vectors


def word_alignment(
    student_words: Float[Array, "*batch W D"],
    teacher_words: Float[Array, "*batch W D"],
    masked: Bool[Array, "*batch W"],
    valid: Bool[Array, "*batch W"],
    temperature: int | float | Array = 1.0,
    cosine: bool = False,
    both_directions: bool = False,
) -> Float[Array, "*batch"]:
    r"""Makes the student recover the meaning of masked words, told apart from their neighbours'.

    .. math:: \ell = \frac{1}{|M|} \sum_{i \in M}
              -\log \frac{e^{A_{ii}}}{\sum_j e^{A_{ij}}}, \quad
              A_{ij} = \langle t_i, s_j \rangle / \tau

    for the masked words :math:`M` of a sentence and all its words :math:`j`, with :math:`t` the
    teacher's and :math:`s` the student's word vectors. The *word-level* loss of the paper
    ("cross-lingual word-aware contrastive learning").

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import losses
      >>> words = 2 * jnp.eye(4)[None]
      >>> masked = jnp.array([[False, True, False, False]])
      >>> valid = jnp.array([[True, True, True, False]])
      >>> print(losses.word_alignment(words, words, masked, valid))
      [0.03597...]
      >>> print(losses.word_alignment(jnp.zeros_like(words), words, masked, valid))  # log 3
      [1.0986123]

    Args:
      student_words: ``[..., W, D]``, a vector for each word of the sentence.
      teacher_words: ``[..., W, D]``, the same words in the same order. Wrap them in
        ``jax.lax.stop_gradient`` if they are not to be trained.
      masked: ``[..., W]`` booleans, the words that were masked in the student's input. Only those
        that are also valid count.
      valid: ``[..., W]`` booleans, false in the padding, which is never read.
      temperature: a positive scalar that divides the scores.
      cosine: whether scores are cosines instead of inner products.
      both_directions: whether to take the mean of this and of the same loss with each masked
        *student* word told apart from all the teacher's words.

    Returns:
      ``[...]``, the mean over the sentence's masked words, 0 if there are none. Sentences without
      any should have no weight: `weighted_mean(loss, (masked & valid).any(-1))`.

    References:
      Li et al., `Multi-level Distillation of Semantic Knowledge for Pre-training Multilingual
      Language Model <https://arxiv.org/abs/2211.01200>`_, 2022. The released code marks the masked
      words by subword but looks them up by word, so that after a word of several subwords other
      words are counted than were masked.
    """
    check_vectors(student_words, "student_words", "[..., W, D]", axes=2)
    shape = jnp.shape(student_words)
    check_floats(teacher_words, "teacher_words", "of the student's shape [..., W, D]", shape)
    check_mask(masked, "masked", "[..., W]", shape[:-1])
    check_mask(valid, "valid", "[..., W]", shape[:-1])
    check_temperature(temperature)
    arrays = student_words, teacher_words, masked, valid, temperature
    return _word_alignment(*arrays, cosine=cosine, both_directions=both_directions)


@partial(jax.jit, static_argnames=("cosine", "both_directions"))
def _word_alignment(
    student: Array,
    teacher: Array,
    masked: Array,
    valid: Array,
    temperature: Array,
    cosine: bool,
    both_directions: bool,
) -> Array:
    dtype = compute_dtype(student, teacher)
    student, teacher = (cleared(words.astype(dtype), valid) for words in (student, teacher))
    if cosine:
        student, teacher = unit_vectors(student), unit_vectors(teacher)
    scores = jnp.einsum("...id,...jd->...ij", teacher, student, precision=lax.Precision.HIGHEST)
    scores /= temperature
    loss = _of_diagonal(scores, masked, valid)
    if both_directions:
        loss = (loss + _of_diagonal(jnp.swapaxes(scores, -1, -2), masked, valid)) / 2
    return loss


def _of_diagonal(
    scores: Float[Array, "*batch W W"],
    masked: Bool[Array, "*batch W"],
    valid: Bool[Array, "*batch W"],
) -> Float[Array, "*batch"]:
    """The mean over masked rows of -log softmax, at the row's own column."""
    among = jnp.broadcast_to(valid[..., None, :], scores.shape)
    log_p = log_softmax_where(scores, among)
    return mean_where(-jnp.diagonal(log_p, axis1=-2, axis2=-1), masked & valid)
