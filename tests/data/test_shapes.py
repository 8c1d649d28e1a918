"""Row lengths that a few shapes have, fitted to lengths."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import fit_shapes, row_lengths
from mmkd_jax.data._shapes import assign

PRICES = (1.0, 1.0, 4.0)


def price(lengths, shapes, prices):
    """What all examples cost, each in the cheapest shape that holds it."""
    held = (lengths[:, None] <= shapes[None]).all(axis=2)
    return np.where(held, shapes @ np.array(prices), np.inf).min(axis=1).sum()


def equal_widths(lengths, most, column):
    """Shapes whose edges in one column lie equally far apart."""
    top = lengths[:, column].max()
    edges = np.ceil(np.arange(1, most + 1) * top / most)
    return np.array([lengths[lengths[:, column] <= edge].max(axis=0, initial=1) for edge in edges])


def realistic(count, seed, most=128):
    """Short pairs and long ones, as in corpora that are mixed."""
    random = np.random.default_rng(seed)
    middle = random.choice([8.0, 40.0], (count, 1), p=[0.8, 0.2])
    lengths = np.maximum(1, random.lognormal(np.log(middle), 0.4, (count, 3)))
    return row_lengths(lengths.astype(int), most)


some_lengths = st.lists(st.tuples(*3 * [st.integers(0, 60)]), min_size=1, max_size=40)


@given(some_lengths, st.integers(1, 6), st.integers(1, 9))
def test_shapes_are_few_nested_and_hold_everything(rows, most, multiple):
    lengths = np.array(rows)
    shapes = fit_shapes(lengths, PRICES, most, multiple)
    assert 1 <= len(shapes) <= most
    assert (np.diff(shapes, axis=0) >= 0).all()
    top = np.maximum(lengths.max(axis=0), 1)
    np.testing.assert_array_equal(shapes[-1], top)
    assert ((shapes % multiple == 0) | (shapes == top)).all()
    assert (shapes > 0).all()
    found = assign(lengths, shapes)
    assert (lengths <= shapes[found]).all()
    smaller = (lengths[:, None] <= shapes[None]).all(axis=2)
    np.testing.assert_array_equal(found, smaller.argmax(axis=1))


@given(st.lists(st.integers(1, 12), min_size=1, max_size=20), st.integers(1, 4))
def test_with_one_view_nothing_is_better(values, most):
    lengths = np.array(values)[:, None]
    shapes = fit_shapes(lengths, (1.0,), most, multiple=1)
    edges = np.unique(lengths)
    best = min(
        price(lengths, np.array([*chosen, edges[-1]])[:, None], (1.0,))
        for count in range(min(most, len(edges)))
        for chosen in combinations(edges[:-1], count)
    )
    assert price(lengths, shapes, (1.0,)) == best


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("most", [2, 4, 6])
def test_better_than_edges_of_equal_width(seed, most):
    lengths = realistic(3000, seed)
    fitted = price(lengths, fit_shapes(lengths, PRICES, most, multiple=1), PRICES)
    for column in range(3):
        assert fitted <= price(lengths, equal_widths(lengths, most, column), PRICES)


def test_more_shapes_cost_less():
    lengths = realistic(2000, 3)
    prices = [price(lengths, fit_shapes(lengths, PRICES, most, 4), PRICES) for most in range(1, 7)]
    assert (np.diff(prices) < 0).all()


def test_counts_stand_for_repetition():
    lengths, counts = realistic(200, 4), np.random.default_rng(0).integers(1, 4, 200)
    repeated = fit_shapes(np.repeat(lengths, counts, axis=0), PRICES, 3)
    np.testing.assert_array_equal(fit_shapes(lengths, PRICES, 3, counts=counts), repeated)


def test_order_does_not_matter():
    lengths = realistic(300, 5)
    mixed = np.random.default_rng(1).permutation(lengths)
    np.testing.assert_array_equal(fit_shapes(lengths, PRICES), fit_shapes(mixed, PRICES))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fit_shapes(np.zeros((0, 3), int), PRICES), "lengths must be"),
        (lambda: fit_shapes(np.ones((4, 2), int), PRICES), r"lengths must be \[n, 3\]"),
        (lambda: fit_shapes(np.ones((4, 3), int), PRICES, most=0), "at least 1, got 0 and 4"),
        (lambda: fit_shapes(np.ones((4, 3), int), PRICES, multiple=0), "got 6 and 0"),
        (lambda: assign(np.array([[9]]), np.array([[8]])), r"hold the longest rows, \[9\]"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
