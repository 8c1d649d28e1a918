"""What vectors of sentences are like, before anything is trained on them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmkd_jax.evaluation._agreement import cosines, pearson, spearman


def anisotropy(vectors: ArrayLike) -> float:
    """The mean cosine of two different sentences: 1 if the vectors all point one way.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax import evaluation
      >>> [round(evaluation.anisotropy(rows), 6) for rows in (np.eye(4), np.ones((4, 3)))]
      [0.0, 1.0]

    Args:
      vectors: ``[n, D]``.

    Returns:
      nan if there are fewer than two.
    """
    units = _units(vectors)
    count = len(units)
    if count < 2:
        return float("nan")
    # The sum over all pairs is that of the mean with itself, and own pairs are left out.
    total = units.sum(axis=0)
    own = (units * units).sum()
    return float((total @ total - own) / (count * (count - 1)))


def representation_similarity(one: ArrayLike, other: ArrayLike) -> float:
    r"""Linear CKA: how far two models see the same likenesses among the same sentences.

    .. math:: \frac{\lVert Y^\top X \rVert^2}{\lVert X^\top X \rVert \lVert Y^\top Y \rVert}

    for centred rows. Widths may differ; neither rotation nor scale matters.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax import evaluation
      >>> vectors = np.random.default_rng(0).normal(size=(20, 4))
      >>> round(evaluation.representation_similarity(vectors, 3 * vectors[:, ::-1]), 6)
      1.0

    Args:
      one: ``[n, D]``.
      other: ``[n, E]``, of the same sentences.

    Returns:
      Between 0 and 1; nan where all vectors of one side are the same.

    References:
      Kornblith et al., `Similarity of Neural Network Representations Revisited
      <https://arxiv.org/abs/1905.00414>`_, 2019.
    """
    one, other = (np.asarray(side, np.float64) for side in (one, other))
    if one.ndim != 2 or other.ndim != 2 or len(one) != len(other):
        raise ValueError(f"both must be [n, ...] of the same n, got {one.shape} and {other.shape}")
    one, other = (side - side.mean(axis=0) for side in (one, other))
    grams = one @ one.T, other @ other.T
    scale = np.linalg.norm(grams[0]) * np.linalg.norm(grams[1])
    return float((grams[0] * grams[1]).sum() / scale) if scale > 0 else float("nan")


def teacher_agreement(teacher: ArrayLike, student: ArrayLike) -> dict[str, float]:
    """How far a student's translations are alike where the teacher's sentences are.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax import evaluation
      >>> teacher = np.random.default_rng(0).normal(size=(9, 4))
      >>> found = evaluation.teacher_agreement(teacher, 2 * teacher)
      >>> {name: round(value, 6) for name, value in found.items()}
      {'spearman': 1.0, 'pearson': 1.0, 'cosine': 1.0}

    Args:
      teacher: ``[n, D]``, of English sentences.
      student: ``[n, E]``, of their translations.

    Returns:
      Spearman's and Pearson's correlation of the cosines of all pairs of sentences; where both are
      as wide, also "cosine", the mean one of a sentence and its translation.
    """
    teacher, student = np.asarray(teacher), np.asarray(student)
    if len(teacher) != len(student):
        raise ValueError(f"both must be of the same sentences, got {len(teacher)}, {len(student)}")
    pairs = np.triu_indices(len(teacher), 1)
    alike = [(units @ units.T)[pairs] for units in (_units(teacher), _units(student))]
    found = {"spearman": spearman(*alike), "pearson": pearson(*alike)}
    if teacher.shape == student.shape:
        found["cosine"] = float(cosines(teacher, student).mean())
    return found


def subword_shares(tokenizer: Any, texts: Sequence[str]) -> dict[str, float]:
    """How a vocabulary fits a language.

    Args:
      tokenizer: A `data.SubwordTokenizer`.
      texts: In the language.

    Returns:
      "subwords", the mean number a word; "unknown", the share of subwords that stand for what the
      vocabulary cannot spell.
    """
    found = tokenizer.encode(texts)
    words, subwords = int(found.word_offsets[-1]), len(found.ids)
    return {
        "subwords": subwords / max(words, 1),
        "unknown": float((found.ids == tokenizer.specials.unk).mean()) if subwords else 0.0,
    }


def _units(vectors: ArrayLike) -> np.ndarray:
    vectors = np.asarray(vectors, np.float64)
    if vectors.ndim != 2:
        raise ValueError(f"vectors must be [n, D], got {vectors.shape}")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
