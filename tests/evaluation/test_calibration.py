"""Calibration by its formula."""

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from mmkd_jax import evaluation

PREDICTIONS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


@hypothesis.given(predictions=PREDICTIONS, bins=st.integers(1, 12))
def test_it_is_the_formula(predictions, bins):
    confidence, right = map(np.array, zip(*predictions, strict=True))
    found = evaluation.calibration(confidence, right, bins)
    error = 0.0
    for number in range(bins):
        inside = [
            (sure, correct)
            for sure, correct in predictions
            if min(int(sure * bins), bins - 1) == number
        ]
        assert found.counts[number] == len(inside)
        if inside:
            sure, accuracy = np.mean(inside, axis=0)
            assert found.confidence[number] == pytest.approx(sure)
            assert found.accuracy[number] == pytest.approx(accuracy)
            error += len(inside) / len(predictions) * abs(accuracy - sure)
    assert found.error == pytest.approx(error, abs=1e-12)
    # Errors in different directions cancel in one bin, not in many.
    assert found.error >= evaluation.calibration(confidence, right, 1).error - 1e-9


def test_who_is_right_as_often_as_promised_has_no_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(size=200_000)
    right = rng.uniform(size=200_000) < confidence
    assert evaluation.calibration(confidence, right).error < 0.005
    assert evaluation.calibration(confidence, ~right).error > 0.4


def test_edges_and_rounding():
    found = evaluation.calibration([0.0, 0.1, 0.3, 1.0, 1.0000001], [True] * 5)
    np.testing.assert_array_equal(found.counts, [1, 1, 0, 1, 0, 0, 0, 0, 0, 2])
    assert found.confidence[-1] == 1


def test_nothing_predicted():
    assert evaluation.calibration([], []).error == 0


@pytest.mark.parametrize(
    "confidence, right, message",
    [
        ([0.5], [True, False], r"\(1,\) and \(2,\)"),
        ([[0.5]], [[True]], r"must be \[n\]"),
        ([1.5], [True], "not between 0 and 1"),
        ([-0.5], [True], "not between 0 and 1"),
        ([np.nan], [True], "not between 0 and 1"),
    ],
)
def test_errors(confidence, right, message):
    with pytest.raises(ValueError, match=message):
        evaluation.calibration(confidence, right)
