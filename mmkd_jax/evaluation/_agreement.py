"""Whether two lists of numbers, or of labels, say the same."""

import numpy as np
from numpy.typing import ArrayLike


def accuracy(found: ArrayLike, right: ArrayLike) -> float:
    """The share of labels that are right, between 0 and 1; nan if there are none.

    Example:
      >>> from mmkd_jax import evaluation
      >>> evaluation.accuracy([0, 2, 1, 1], [0, 2, 2, 1])
      0.75
    """
    found, right = np.asarray(found), np.asarray(right)
    if found.shape != right.shape or found.ndim != 1:
        raise ValueError(f"found and right must be [n] alike, got {found.shape} and {right.shape}")
    return float(np.mean(found == right)) if len(right) else float("nan")


def pearson(one: ArrayLike, other: ArrayLike) -> float:
    """How near two lists of numbers are to a rising line: 1 on it, -1 on a falling one.

    Example:
      >>> from mmkd_jax import evaluation
      >>> round(evaluation.pearson([1, 2, 3], [1, 2, 4]), 4)
      0.982

    Returns:
      nan if one of them is constant, or there are fewer than two.
    """
    one, other = _numbers(one, other)
    if len(one) < 2:
        return float("nan")
    one, other = one - one.mean(), other - other.mean()
    scale = np.linalg.norm(one) * np.linalg.norm(other)
    return float(np.clip(one @ other / scale, -1, 1)) if scale > 0 else float("nan")


def spearman(one: ArrayLike, other: ArrayLike) -> float:
    """How near two orders are: `pearson` of the ranks, equal numbers sharing their mean rank.

    Example:
      >>> from mmkd_jax import evaluation
      >>> round(evaluation.spearman([0.1, 0.5, 0.9], [1, 20, 300]), 6)
      1.0
    """
    one, other = _numbers(one, other)
    return pearson(_ranks(one), _ranks(other))


def pair_correlation(
    first: ArrayLike, second: ArrayLike, other_first: ArrayLike, other_second: ArrayLike
) -> dict[str, float]:
    """How far two models, or a model and people, agree on which sentence pairs are alike.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax import evaluation
      >>> one, two = np.eye(3), np.array([[1.0, 0, 0], [1, 1, 0], [0, 1, 1]])
      >>> evaluation.pair_correlation(one, two, 2 * one, 3 * two)
      {'pearson': 1.0, 'spearman': 1.0}

    Args:
      first: ``[n, D]``, vectors of each pair's first sentence.
      second: ``[n, D]``, of its second.
      other_first: ``[n, E]``, the same in another model.
      other_second: ``[n, E]``, likewise.

    Returns:
      Pearson's and Spearman's correlation of the two models' cosines.
    """
    one, other = cosines(first, second), cosines(other_first, other_second)
    return {"pearson": pearson(one, other), "spearman": spearman(one, other)}


def cosines(one: ArrayLike, other: ArrayLike) -> np.ndarray:
    """``[n]``, of the rows of the same number; 0 for zero vectors."""
    one, other = (np.asarray(side, np.float64) for side in (one, other))
    if one.shape != other.shape or one.ndim != 2:
        raise ValueError(f"both must be [n, D] alike, got {one.shape} and {other.shape}")
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / np.where(lengths > 0, lengths, 1)


def _numbers(one: ArrayLike, other: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    one, other = (np.asarray(side, np.float64) for side in (one, other))
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"both must be [n] numbers alike, got {one.shape} and {other.shape}")
    return one, other


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[place]
