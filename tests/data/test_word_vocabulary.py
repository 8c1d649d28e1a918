"""Words and characters as numbers."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import WordVocabulary

WORDS = ["Ein", "Hund", "ist", "ein", "Hund", ",", "eine", "Ente", "ist", "eine", "Ente", "."]
words = st.lists(st.text("abcdÄä", min_size=1, max_size=6), max_size=30)


def test_frequent_words_come_first_and_rare_ones_are_unknown():
    vocabulary = WordVocabulary.of_words(WORDS, min_count=2)
    assert vocabulary.words == ("Ente", "Hund", "eine", "ist")
    assert vocabulary.encode_words(["ist", "Ein", "Hund", "neu"]).tolist() == [5, 1, 3, 1]
    assert vocabulary.word_count == 6
    assert WordVocabulary.of_words(WORDS, min_count=2, limit=1).words == ("Ente",)
    assert WordVocabulary.of_words(WORDS, min_count=1).encode_words([","]).tolist() != [1]


def test_lowercase_is_for_words_alone():
    vocabulary = WordVocabulary.of_words(WORDS, min_count=2, lowercase=True)
    assert "ein" in vocabulary.words and "Ein" not in vocabulary.words
    one, other = vocabulary.encode_words(["Ein", "ein"])
    assert one == other > 1
    one, other = vocabulary.encode_characters(["Ein", "ein"])
    assert one[0] != other[0] and (one[1:] == other[1:]).all()


def test_long_words_keep_their_ends():
    vocabulary = WordVocabulary(("x",), tuple("abcdefg"), longest=5)
    numbers = {letter: i for i, letter in enumerate("abcdefg", 2)}
    found = vocabulary.encode_characters(["abcdefg", "abcde", "a", ""])
    expected = ["abcfg", "abcde", "a", ""]
    for row, text in zip(found, expected, strict=True):
        assert row[: len(text)].tolist() == [numbers[letter] for letter in text]
        assert not row[len(text) :].any()


@given(words, st.integers(1, 3), st.booleans())
def test_is_a_function_of_the_corpus_in_any_order(words, min_count, lowercase):
    mixed = random.Random(0).sample(words, len(words))
    one, other = (WordVocabulary.of_words(w, min_count, lowercase) for w in (words, mixed))
    assert one == other
    found = one.encode_words(words)
    counts = {w: [v.lower() if lowercase else v for v in words].count(w) for w in one.words}
    assert all(count >= min_count for count in counts.values())
    for word, number in zip(words, found, strict=True):
        looked_up = word.lower() if lowercase else word
        known = looked_up in one.words
        assert number == (one.words.index(looked_up) + 2 if known else 1)


def test_comes_back_as_saved(tmp_path):
    vocabulary = WordVocabulary.of_words([*WORDS, "\u2028", "猫"], 1, True, 9, None, 7)
    vocabulary.save(tmp_path)
    assert WordVocabulary.load(tmp_path) == vocabulary
    np.testing.assert_array_equal(
        WordVocabulary.load(tmp_path).encode_words(WORDS), vocabulary.encode_words(WORDS)
    )


def test_errors():
    with pytest.raises(ValueError, match="min_count must be at least 1, got 0"):
        WordVocabulary.of_words(WORDS, 0)
    with pytest.raises(ValueError, match="longest must be at least 2, got 1"):
        WordVocabulary((), (), longest=1)
