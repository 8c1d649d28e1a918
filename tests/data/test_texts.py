"""Rows of one text or two, against rows that are put together by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import (
    Batches,
    Sampling,
    TextBatches,
    plan_texts,
    text_batch,
    text_batch_shapes,
    tokenize_texts,
)
from tests.data.vocabularies import TEXTS, unigram, words_of_letters

TOKENIZERS = [words_of_letters, unigram]


def data_of(first, second, tokenizer, max_length=128):
    of = np.arange(len(first))
    return tokenize_texts(first, second, of[:, None] % 3, of * 0, tokenizer, max_length)


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_pairs_stand_between_special_tokens(tokenizer):
    tokenizer = tokenizer()
    data = data_of(TEXTS, TEXTS[::-1], tokenizer)
    batch = text_batch(data, np.array([1, -1, 4]), 128, tokenizer)
    s = tokenizer.specials
    for row, number in ((0, 1), (2, 4)):
        one, two = (
            tokenizer.encode([text]).ids.tolist() for text in (TEXTS[number], TEXTS[::-1][number])
        )
        first = [s.cls, *one, *[s.sep] * s.separators]
        line = [*first, *two, s.sep]
        assert batch.ids[row, batch.mask[row]].tolist() == line
        assert batch.mask[row].sum() == len(line) == data.lengths[number, 0]
        assert batch.segments[row].tolist() == [0] * len(first) + [1] * (len(two) + 1) + [0] * (
            128 - len(line)
        )
        assert data.second_begins[number] == len(first)
    assert not batch.mask[1].any()
    assert (batch.ids[~batch.mask] == s.pad).all()
    assert batch.target.tolist() == [[1], [0], [1]]
    assert batch.example.tolist() == [1, -1, 4]


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_single_texts(tokenizer):
    tokenizer = tokenizer()
    data = data_of(TEXTS, None, tokenizer)
    batch = text_batch(data, np.array([2]), 128, tokenizer)
    s = tokenizer.specials
    expected = [s.cls, *tokenizer.encode([TEXTS[2]]).ids.tolist(), s.sep]
    assert batch.ids[0, batch.mask[0]].tolist() == expected
    assert not batch.segments.any()


@given(st.lists(st.integers(0, 30), min_size=2, max_size=2), st.integers(6, 40))
def test_no_row_is_longer_than_it_may_be(words, most):
    tokenizer = words_of_letters()
    first, second = ("e " * count for count in words)
    data = data_of([first], [second], tokenizer, most)
    room = most - 2 - tokenizer.specials.separators
    kept = [int(np.diff(at)[0, 0]) for at in (data.first_at, data.second_at)]
    assert data.lengths[0, 0] <= most
    assert sum(kept) == min(sum(words), room) or 0 in words
    assert all(0 <= k <= w for k, w in zip(kept, words, strict=True))
    assert data.cut == (kept != words)


def test_batches_of_a_plan_hold_every_row_once():
    tokenizer = words_of_letters()
    data = data_of(TEXTS * 4, TEXTS[::-1] * 4, tokenizer)
    plan = plan_texts(data.lengths, Sampling(data.languages, seed=1), batch_size=4, shapes=2)
    with Batches(TextBatches(data, plan, tokenizer), threads=0) as batches:
        made = [next(batches) for _ in range(plan.steps(0))]
    seen = np.concatenate([batch.example for batch in made])
    assert sorted(seen) == list(range(24))
    assert len({batch.ids.shape for batch in made}) == 2
    for batch in made:
        empty = text_batch_shapes(*batch.ids.shape, 1)
        assert [(a.shape, a.dtype) for a in empty] == [(a.shape, a.dtype) for a in batch]
        np.testing.assert_array_equal(batch.target[:, 0], batch.example % 3)
    halves = [TextBatches(data, plan, tokenizer, process, 2)(0) for process in (0, 1)]
    for whole, *parts in zip(made[0], *halves, strict=True):
        np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_what_cannot_be():
    tokenizer = words_of_letters()
    with pytest.raises(ValueError, match="max_length must be at least 5, got 4"):
        data_of(TEXTS, TEXTS, tokenizer, 4)
    with pytest.raises(ValueError, match="second must be 6 texts, got 2"):
        data_of(TEXTS, TEXTS[:2], tokenizer)
    data = data_of(TEXTS, TEXTS, tokenizer)
    with pytest.raises(ValueError, match="width must hold the longest row, "):
        text_batch(data, np.array([0]), 8, tokenizer)
    with pytest.raises(ValueError, match=r"\(3, 1\), got \(6, 1\)"):
        plan_texts(data.lengths, Sampling(np.zeros(3, int)), 2)
