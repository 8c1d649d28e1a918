"""Batches of tagged sentences."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import (
    Batches,
    Sampling,
    TaggedBatches,
    TaggedData,
    TaggedSentence,
    WordVocabulary,
    plan_tagged,
    sample,
    tagged_batch,
    tokenize_tagged,
)
from mmkd_jax.tags import TagSet
from tests.data.corpora import sentences, student
from tests.data.vocabularies import bert, byte_level, unigram

TAGS = TagSet.of_types(["A", "B"])
TOKENS = 160


def tagged(count, seed):
    random = np.random.default_rng(seed)
    return [
        TaggedSentence(tuple(words), tuple(random.choice(["O", "B-A", "B-B"], len(words)).tolist()))
        for words in (text.split() for text in sentences(count, seed))
    ]


@functools.cache
def given_sentences():
    return {"de": tagged(50, 1), "fr": tagged(20, 2)}


@functools.cache
def tokenised(max_length: int = 40) -> TaggedData:
    return tokenize_tagged(given_sentences(), TAGS, student(), max_length)


def tagged_batches(process=0, processes=1, rows_multiple=1, seed=0):
    data = tokenised()
    sampling = Sampling(data.languages, seed=seed)
    plan = plan_tagged(data.lengths, sampling, TOKENS, rows_multiple=rows_multiple, seed=seed)
    return TaggedBatches(data, plan, student(), process, processes)


def all_of_an_epoch(source):
    return [source(step) for step in range(source.plan.steps(0))]


def test_a_batch_has_no_more_slots_than_its_budget_and_every_sentence_comes():
    source = tagged_batches()
    batches = all_of_an_epoch(source)
    assert len({batch.ids.shape for batch in batches}) <= 6
    assert all(batch.ids.size <= TOKENS for batch in batches)
    # Long sentences come in few rows, short ones in many.
    rows, widths = zip(*(batch.ids.shape for batch in batches), strict=True)
    assert rows[np.argmin(widths)] > 2 * rows[np.argmax(widths)]
    come = np.concatenate([batch.example for batch in batches])
    np.testing.assert_array_equal(np.sort(come[come >= 0]), np.arange(70))
    real = sum(batch.mask.sum() for batch in batches) / sum(batch.ids.size for batch in batches)
    assert real > 0.8


def test_rows_hold_sentences_with_their_words_and_tags():
    data = tokenised()
    words = [sentence for group in given_sentences().values() for sentence in group]
    specials = student().specials
    for batch in all_of_an_epoch(tagged_batches()):
        for row, example in enumerate(batch.example.tolist()):
            if example < 0:
                assert batch.lengths[row] == 0 and not batch.mask[row].any()
                assert batch.language[row] == -1 and (batch.tags[row] == -1).all()
                assert (batch.ids[row] == specials.pad).all()
                continue
            ids, count = data.ids[example], len(data.tags[example])
            expected = [specials.cls, *ids, specials.sep]
            assert batch.ids[row][batch.mask[row]].tolist() == expected
            assert (batch.ids[row][~batch.mask[row]] == specials.pad).all()
            assert batch.mask[row, : len(expected)].all()
            assert batch.lengths[row] == count
            assert batch.language[row] == int(example >= 50)
            tags = [*TAGS.encode(words[example].tags)[:count]]
            assert batch.tags[row].tolist() == tags + [-1] * (batch.tags.shape[1] - count)
            check_alignment(batch, row, words[example].words[:count], student())


def check_alignment(batch, row, words, tokenizer):
    """The first subword of each word is the first that the word alone has."""
    first = batch.first[row]
    assert not first[len(words) :].any()
    for number, word in enumerate(words):
        alone = tokenizer.encode_words([[word]]).ids
        begin = first[number]
        end = first[number + 1] if number + 1 < len(words) else int(batch.mask[row].sum()) - 1
        assert batch.ids[row, begin:end].tolist() == alone.tolist()
        assert (batch.word_of[row, begin:end] == number).all()
    of_no_word = np.ones(batch.ids.shape[1], bool)
    if words:
        of_no_word[first[0] : int(batch.mask[row].sum()) - 1] = False
    assert (batch.word_of[row][of_no_word] == -1).all()


@pytest.mark.parametrize("language", ["en", "zh", "hi", "tr"])
@pytest.mark.parametrize("kind", ["multilingual-cased", "uncased"])
def test_labels_stand_at_first_subwords_of_real_vocabularies(language, kind):
    tokenizer = bert(kind)
    rows = [TaggedSentence(tuple(w), tuple(t)) for w, t in sample.tagged(language, "test")]
    tags = TagSet.of_types(["PER", "LOC", "ORG"])
    data = tokenize_tagged({language: rows}, tags, tokenizer, 128)
    assert data.cut == 0
    width, words = data.lengths[:, 1].max(), data.lengths[:, 0].max()
    batch = tagged_batch(data, np.arange(len(rows)), int(words), int(width), tokenizer)
    for row, (sentence, count) in enumerate(zip(rows, batch.lengths, strict=True)):
        assert tuple(tags.decode(batch.tags[row, :count])) == sentence.tags
        check_alignment(batch, row, sentence.words, tokenizer)


@pytest.mark.parametrize("tokenizer", [unigram, byte_level])
def test_tokens_of_a_space_belong_to_no_word(tokenizer):
    rows = [TaggedSentence(("船", "Fähre", "xy"), ("O", "B-A", "O"))]
    data = tokenize_tagged({"de": rows}, TAGS, tokenizer(), 40)
    words, width = data.lengths[0].tolist()
    batch = tagged_batch(data, np.array([0]), words, width, tokenizer())
    encoded = tokenizer().encode_words([rows[0].words])
    np.testing.assert_array_equal(batch.word_of[0, 1:-1], encoded.word_of)
    np.testing.assert_array_equal(batch.first[0], encoded.first + 1)


@given(st.integers(3, 50))
def test_words_that_do_not_fit_are_left_out_with_all_that_follow(max_length):
    whole, cut = tokenised(1000), tokenised(max_length)
    lost = 0
    for example in range(70):
        ids, first, tags = (getattr(whole, name)[example] for name in ("ids", "first", "tags"))
        ends = np.append(first[1:], len(ids))
        kept = int((ends <= max_length - 2).sum())
        np.testing.assert_array_equal(cut.first[example], first[:kept])
        np.testing.assert_array_equal(cut.tags[example], tags[:kept])
        np.testing.assert_array_equal(cut.ids[example], ids[: ends[kept - 1] if kept else 0])
        lost += len(first) - kept
    assert cut.cut == lost
    assert cut.lengths[:, 1].max() <= max_length


@pytest.mark.parametrize("processes", [2, 4])
def test_rows_of_all_processes_are_the_batch(processes):
    whole = tagged_batches(rows_multiple=4)
    parts = [tagged_batches(p, processes, rows_multiple=4) for p in range(processes)]
    for step in range(whole.plan.steps(0) + 3):
        rows = [part(step) for part in parts]
        assert len({row.ids.shape for row in rows}) == 1
        joined = jax.tree.map(lambda *parts: np.concatenate(parts), *rows)
        jax.tree.map(np.testing.assert_array_equal, joined, whole(step))


def test_state_is_that_of_steps_and_sentences():
    source = tagged_batches()
    with Batches(source) as batches:
        for _ in range(source.plan.steps(0)):
            next(batches)
        state = json.loads(json.dumps(batches.get_state()))
        assert (state["examples"], batches.epoch) == (70, 1.0)  # empty rows do not count
        expected = next(batches)
    with Batches(tagged_batches()) as batches:
        batches.set_state(state)
        jax.tree.map(np.testing.assert_array_equal, next(batches), expected)
        with pytest.raises(ValueError, match="state must come from a run of the same plan"):
            batches.set_state(Batches(tagged_batches(rows_multiple=4)).get_state())


def word_vocabulary(**options):
    rows = [sentence for group in given_sentences().values() for sentence in group]
    return WordVocabulary.of_words((word for row in rows for word in row.words), **options)


def test_words_and_characters_need_no_subwords():
    vocabulary = word_vocabulary(longest=5)
    data = tokenize_tagged(given_sentences(), TAGS, max_length=9, vocabulary=vocabulary)
    rows = [sentence for group in given_sentences().values() for sentence in group]
    np.testing.assert_array_equal(data.lengths, [[min(len(row.words), 9)] * 2 for row in rows])
    assert data.cut == sum(max(len(row.words) - 9, 0) for row in rows) > 0
    plan = plan_tagged(data.lengths, Sampling(data.languages), TOKENS)
    batches = all_of_an_epoch(TaggedBatches(data, plan))
    for batch in batches:
        assert batch.words.size <= TOKENS
        assert batch.ids is batch.mask is batch.word_of is batch.first is None
        assert batch.characters.shape == (*batch.words.shape, 5)
        for row, example in enumerate(batch.example.tolist()):
            count = batch.lengths[row]
            assert not batch.words[row, count:].any() and not batch.characters[row, count:].any()
            words = rows[example].words[:count] if example >= 0 else ()
            assert batch.words[row, :count].tolist() == vocabulary.encode_words(words).tolist()
            for word, found in zip(words, batch.characters[row], strict=False):
                expected = vocabulary.encode_characters([word])[0]
                np.testing.assert_array_equal(found[found != 0], expected)
    come = np.concatenate([batch.example for batch in batches])
    np.testing.assert_array_equal(np.sort(come[come >= 0]), np.arange(70))


def test_words_beside_subwords_are_the_same_words():
    vocabulary = word_vocabulary()
    data = tokenize_tagged(given_sentences(), TAGS, student(), 40, vocabulary)
    plain = tokenised()
    for name in ("ids", "word_of", "first", "tags"):
        for one, other in zip(getattr(data, name), getattr(plain, name), strict=True):
            np.testing.assert_array_equal(one, other)
    assert [len(words) for words in data.words] == [len(tags) for tags in data.tags]


def test_sentences_without_labels():
    rows = [TaggedSentence(("ab", "cd"), ()), TaggedSentence(("ab",), ("B-A",))]
    data = tokenize_tagged({"de": rows}, TAGS, student(), 40)
    width = int(data.lengths[:, 1].max())
    batch = tagged_batch(data, np.array([0, 1, -1]), 2, width, student())
    assert batch.lengths.tolist() == [2, 1, 0]
    assert batch.tags.tolist() == [[-1, -1], [TAGS.index("B-A"), -1], [-1, -1]]


def test_sentences_without_words():
    rows = [TaggedSentence((), ()), TaggedSentence(("ab",), ("B-A",))]
    data = tokenize_tagged({"de": rows}, TAGS, student(), 40)
    batch = tagged_batch(data, np.array([0, 1, -1]), 2, 6, student())
    assert batch.lengths.tolist() == [0, 1, 0]
    assert batch.mask.sum(axis=1).tolist() == [2, 3, 0]
    nothing = tokenize_tagged({"de": rows[:1]}, TAGS, student(), 40)
    plan = plan_tagged(nothing.lengths, Sampling(nothing.languages), 8)
    assert TaggedBatches(nothing, plan, student())(0).tags.shape[1] == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tokenised(2), "max_length must be above 2, got 2"),
        (lambda: tokenize_tagged(given_sentences(), TAGS), "there is nothing to read"),
        (
            lambda: tokenize_tagged(given_sentences(), TAGS, None, 0, word_vocabulary()),
            "max_length must be above 0, got 0",
        ),
        (
            lambda: tagged_batch(tokenised(), np.array([0]), 12, 60),
            "tokenizer must be given for data in subwords, and only for these",
        ),
        (
            lambda: tokenize_tagged({"de": [TaggedSentence(("a", "b"), ("O",))]}, TAGS, student()),
            "number 0 has 2 words and 1 tags",
        ),
        (
            lambda: tokenize_tagged({"de": [TaggedSentence(("a",), ("X",))]}, TAGS, student()),
            "X",
        ),
        (lambda: tagged_batches(processes=2), "2 processes share evenly"),
        (
            lambda: dataclasses.replace(
                tagged_batches(), data=tokenize_tagged({"de": tagged(3, 0)}, TAGS, student())
            ),
            "plan must be of these 3 examples, got one of 70",
        ),
        (
            lambda: tagged_batch(tokenised(), np.array([0]), 1, 60, student()),
            r"words and width must hold the longest sentences, \d+ and \d+, got 1 and 60",
        ),
        # Two slots fewer than special tokens need.
        (
            lambda: tagged_batch(
                tokenised(), np.array([0]), 12, len(tokenised().ids[0]), student()
            ),
            "words and width must hold",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
