"""Whether a model's confidences can be taken at their word."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike


class Calibration(NamedTuple):
    """Predictions by confidence, in bins of equal width from 0 to 1.

    Attributes:
      counts: ``[bins]``, predictions.
      confidence: ``[bins]``, their mean confidence; 0 where there are none.
      accuracy: ``[bins]``, the share of them that is right; 0 where there are none.
    """

    counts: Int[np.ndarray, " bins"]
    confidence: Float[np.ndarray, " bins"]
    accuracy: Float[np.ndarray, " bins"]

    @property
    def error(self) -> float:
        """The expected calibration error: by how much confidence and accuracy differ, on average.

        The mean of a bin's difference, weighted by its predictions. 0 if there are none.
        """
        gaps = np.abs(self.confidence - self.accuracy)
        return float((self.counts * gaps).sum() / max(int(self.counts.sum()), 1))


def calibration(confidence: ArrayLike, right: ArrayLike, bins: int = 10) -> Calibration:
    r"""Compares how sure a model was with how often it was right.

    The expected calibration error is

    .. math:: \sum_b \frac{n_b}{n} |\mathrm{accuracy}_b - \mathrm{confidence}_b|.

    Example:
      >>> from mmkd_jax import evaluation
      >>> found = evaluation.calibration([0.95, 0.95, 0.55, 0.55], [True, True, True, False])
      >>> print(found.counts, round(found.error, 3))
      [0 0 0 0 0 2 0 0 0 2] 0.05

    Args:
      confidence: ``[n]``, the probability of what was predicted; a bin holds its lower end, the
        last one both.
      right: ``[n]``, whether it was right.
      bins: How many.

    Returns:
      Counts, mean confidence and accuracy of each bin; its `error`.

    References:
      Guo, Pleiss, Sun and Weinberger, `On Calibration of Modern Neural Networks
      <https://arxiv.org/abs/1706.04599>`_, 2017.
    """
    sure: Float[np.ndarray, " n"] = np.asarray(confidence, float)
    correct: Bool[np.ndarray, " n"] = np.asarray(right, bool)
    if sure.ndim != 1 or sure.shape != correct.shape:
        raise ValueError(
            "confidence and right must be [n], the same for both, got "
            f"{sure.shape} and {correct.shape}"
        )
    # Sums of probabilities may miss 1 by a little.
    if not ((sure >= -1e-3) & (sure <= 1 + 1e-3)).all():
        raise ValueError("confidence must hold probabilities, some are not between 0 and 1")
    place = np.minimum((sure.clip(0, 1) * bins).astype(int), bins - 1)
    counts = np.bincount(place, minlength=bins)
    some = np.maximum(counts, 1)
    return Calibration(
        counts,
        np.bincount(place, sure.clip(0, 1), bins) / some,
        np.bincount(place, correct, bins) / some,
    )
