import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.evaluation import accuracy, cosines, pair_correlation, pearson, spearman

NUMBERS = st.lists(st.integers(-5, 5), min_size=6, max_size=6)


def test_accuracy():
    assert accuracy([1, 0, 2], [1, 1, 2]) == pytest.approx(2 / 3)
    assert np.isnan(accuracy([], []))
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        accuracy([1, 2, 3], [1, 2])


def test_correlations_by_hand():
    # Deviations (-1.5, -.5, .5, 1.5) and (-.5, -1.5, 1.5, .5): 3 / 5.
    assert pearson([1, 2, 3, 4], [20, 10, 40, 30]) == pytest.approx(0.6)
    assert spearman([1, 2, 3, 4], [2, 1, 400, 3]) == pytest.approx(0.6)
    # Ranks (1, 2.5, 2.5, 4) and (1, 2, 3, 4): 4.5 / sqrt(4.5 * 5).
    assert spearman([0, 7, 7, 9], [1, 2, 3, 4]) == pytest.approx(4.5 / np.sqrt(22.5))


@given(NUMBERS, NUMBERS)
def test_correlations_are_numpys_and_those_of_all_pairs(one, other):
    expected = float("nan")
    if len(set(one)) > 1 and len(set(other)) > 1:
        expected = np.corrcoef(one, other)[0, 1]
    assert pearson(one, other) == pytest.approx(expected, nan_ok=True)
    # A rank is one more than the number of smaller values, and half of the equal ones.
    ranks = [
        [1 + sum((v < w) + (v == w) / 2 for v in side) - 0.5 for w in side] for side in (one, other)
    ]
    assert spearman(one, other) == pytest.approx(pearson(*ranks), nan_ok=True)


def test_pairs_of_sentences_are_compared_by_cosines():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 50, 4))
    rotation, _ = np.linalg.qr(random.normal(size=(4, 4)))
    same = pair_correlation(first, second, 3 * first @ rotation, second @ rotation)
    assert same == pytest.approx({"pearson": 1, "spearman": 1})
    other = pair_correlation(first, second, -first, second)
    assert other == pytest.approx({"pearson": -1, "spearman": -1})
    np.testing.assert_allclose(cosines(first, 2 * first), 1)
    assert cosines(np.zeros((1, 3)), np.ones((1, 3))).tolist() == [0]


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        pearson([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 3\)"):
        cosines(np.zeros((2, 3)), np.zeros((3, 3)))
