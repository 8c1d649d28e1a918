"""Windows over sentences that are too long."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.inference._windows import best_window, windows

counts = st.lists(st.integers(1, 4), min_size=1, max_size=40).map(np.array)


@given(counts, st.integers(4, 12))
def test_windows_hold_all_words_and_no_more_than_they_can(subwords, room):
    found = windows(subwords, room)
    assert (found[0].begin, found[-1].end) == (0, len(subwords))
    assert all(subwords[begin:end].sum() <= room for begin, end in found)
    for one, other in zip(found, found[1:], strict=False):
        assert one.begin < other.begin <= one.end < other.end
    if subwords.sum() <= room:
        assert len(found) == 1


@given(counts, st.integers(4, 12))
def test_words_are_taken_from_where_most_stands_around_them(subwords, room):
    found = windows(subwords, room)
    starts = np.cumsum(subwords) - subwords
    ends = np.cumsum(subwords)

    def around(word, window):
        begin, end = window
        left = starts[word] - starts[begin] if begin else np.inf
        right = ends[end - 1] - ends[word] if end < len(subwords) else np.inf
        return min(left, right)

    for word, taken in enumerate(best_window(found, subwords)):
        there = [each for each in found if each.begin <= word < each.end]
        assert found[taken] in there
        assert around(word, found[taken]) == max(around(word, each) for each in there)
