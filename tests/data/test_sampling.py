"""Shares of languages, and rounds in which each example comes in its turn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import Sampling, language_shares

COUNTS = [40, 7, 0, 3]
LANGUAGES = np.random.default_rng(0).permutation(np.repeat(np.arange(4), COUNTS))


def epochs(sampling, count):
    """The draws of some epochs, one after the other."""
    return [np.concatenate(c) for c in zip(*map(sampling.draw, range(count)), strict=True)]


@pytest.mark.parametrize(
    ("how", "temperature", "expected"),
    [
        ("proportional", 1.0, [0.8, 0.14, 0.0, 0.06]),
        ("round_robin", 1.0, [1 / 3, 1 / 3, 0.0, 1 / 3]),
        ("temperature", 1.0, [0.8, 0.14, 0.0, 0.06]),
        ("temperature", np.inf, [1 / 3, 1 / 3, 0.0, 1 / 3]),
        ("temperature", 2.0, np.sqrt(COUNTS) / np.sqrt(COUNTS).sum()),
    ],
)
def test_shares(how, temperature, expected):
    shares = language_shares(COUNTS, how, temperature)
    np.testing.assert_allclose(shares, expected, rtol=1e-12)
    drawn = Sampling(LANGUAGES, how, temperature, size=1000).draw(0)
    counts = np.bincount(LANGUAGES[drawn.example], minlength=4)
    assert (np.abs(counts - 1000 * shares) < 1).all()
    assert counts.sum() == 1000


def test_shares_of_huge_counts():
    np.testing.assert_allclose(language_shares([10**18, 10**6], "temperature", 3.0).sum(), 1)


settings = st.fixed_dictionaries(
    {
        "how": st.sampled_from(["proportional", "round_robin"]),
        "english_fraction": st.sampled_from([0.0, 0.2, 1.0]),
        "size": st.sampled_from([None, 1, 13, 120]),
        "seed": st.integers(0, 2**31),
    }
)


@given(settings)
def test_nothing_comes_again_before_all_of_its_language_came(settings):
    sampling = Sampling(LANGUAGES, **settings)
    example, visit, is_english = epochs(sampling, 6)
    assert len(example) == 6 * sampling.total
    for english in (False, True):
        for language in range(4):
            here = (is_english == english) & (LANGUAGES[example] == language)
            if here.any():
                times = np.bincount(example[here], minlength=len(LANGUAGES))
                times = times[language == LANGUAGES]
                assert times.max() - times.min() <= 1
    # The n-th time that an example comes is visit n - 1, whatever the epoch.
    for one in np.unique(example):
        for english in (False, True):
            here = (example == one) & (is_english == english)
            assert sorted(visit[here].tolist()) == list(range(here.sum()))


@given(settings, st.integers(0, 20))
def test_an_epoch_is_a_pure_function_of_its_number(settings, epoch):
    sampling = Sampling(LANGUAGES, **settings)
    first = sampling.draw(epoch)
    sampling.draw(epoch + 1)
    for one, other in zip(first, sampling.draw(epoch), strict=True):
        np.testing.assert_array_equal(one, other)


def test_epochs_and_seeds_have_other_orders():
    drawn = [Sampling(LANGUAGES, seed=s).draw(e).example for s, e in ((0, 0), (0, 1), (1, 0))]
    for example in drawn:
        np.testing.assert_array_equal(np.sort(example), np.arange(len(LANGUAGES)))
    assert len({tuple(example.tolist()) for example in drawn}) == 3
    assert np.abs(np.diff(LANGUAGES[drawn[0]])).sum() > 10  # languages are mixed


def test_english_comes_in_its_fraction_from_each_language_in_turn():
    sampling = Sampling(LANGUAGES, english_fraction=0.24, size=100)
    _, _, is_english = sampling.draw(0)
    assert is_english.sum() == 24
    example, _, is_english = epochs(sampling, 3)
    assert np.bincount(LANGUAGES[example[is_english]], minlength=4).tolist() == [24, 24, 0, 24]
    # It takes nothing away from the pairs: these have rounds of their own.
    assert set(example[~is_english].tolist()) == set(range(len(LANGUAGES)))
    assert not np.array_equal(sampling.draw(0).is_english, np.sort(sampling.draw(0).is_english))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: language_shares([]), "counts must be"),
        (lambda: language_shares([0, 0]), "counts must be"),
        (lambda: language_shares([1, -1]), "counts must be"),
        (lambda: language_shares([1], "evenly"), "how must be one of .*got 'evenly'"),
        (lambda: language_shares([1], "temperature", 0.5), "at least 1, got 0.5"),
        (lambda: language_shares([1], "temperature", np.nan), "at least 1, got nan"),
        (lambda: language_shares([1], "round_robin", 2.0), "temperature is for how="),
        (lambda: Sampling(np.zeros(0, int)), "languages must be"),
        (lambda: Sampling(np.zeros((2, 2), int)), "languages must be"),
        (lambda: Sampling(LANGUAGES, english_fraction=1.5), "english_fraction must be"),
        (lambda: Sampling(LANGUAGES, size=0), "size must be at least 1"),
        (lambda: Sampling(LANGUAGES, how="evenly"), "how must be one of"),
        (lambda: Sampling(np.array([0, -1])), "languages must be"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
