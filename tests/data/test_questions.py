"""Questions in windows: everything is checked against the characters of the text."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import NOWHERE, Question, read_ntrex, read_squad, text_batch, tokenize_questions
from tests.data.vocabularies import SHARED, bert, byte_level, unigram, words_of_letters
from tests.shared_data import needs_shared_data

# Chinese, Thai, Arabic, Hindi: no spaces, marks above and below, prefixes that are written
# together with their word, a joiner, and signs that decompose.
CASES = [
    ("在2016年的超级碗中，丹佛野马队获胜。", "2016年"),
    ("在2016年的超级碗中，丹佛野马队获胜。", "丹佛野马队"),
    ("เรือข้ามฟากออก เก้าโมง แต่ไม่มีใครบอก", "เก้าโมง"),
    ("น้ำท่วม กรุงเทพฯ ในปี ๒๕๕๔", "๒๕๕๔"),
    ("تغادر العبّارة في التاسعة، لكن لم يخبر أحد", "العبّارة"),
    ("تغادر العبّارة في التاسعة، لكن لم يخبر أحد", "التاسعة"),
    ("दिल्ली भारत की राजधानी है। यहाँ क्‍यों ठंड है?", "दिल्ली"),
    ("दिल्ली भारत की राजधानी है। यहाँ क्‍यों ठंड है?", "यहाँ क्‍यों"),
    ("Die Fähre (um 9:30 Uhr) fährt ab.", "9:30 Uhr"),
    ("Cafe\u0301s and naïve co-operation", "Cafe\u0301s"),
]
TOKENIZERS = [
    lambda: bert("multilingual-cased"),
    lambda: bert("uncased"),  # which drops marks and lowers case
    unigram,
    byte_level,
    words_of_letters,
]


def question(context: str, answer: str, asked: str = "wer?") -> Question:
    return Question(asked, context, (answer,), (context.index(answer),), "xx", "1")


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=range(len(TOKENIZERS)))
@pytest.mark.parametrize(("context", "answer"), CASES)
def test_answers_come_back_from_their_tokens(context, answer, tokenizer):
    found = tokenize_questions([question(context, answer)], np.zeros(1, int), tokenizer())
    first, last = found.gold_tokens(0)
    begin, end, text = found.text_of(0, first, last)
    assert context[begin:end] == text
    if tokenizer in (unigram, byte_level):  # pieces of a few lines, which cross words
        assert answer in text
    else:
        assert text == answer


def world(words: int, at: int, length: int, most: int, stride: int, tokenizer=words_of_letters):
    """A context of single letters, of which some are the answer."""
    letters = ["e", "t", "h", "n"]
    context = " ".join(letters[i % 4] for i in range(words))
    begin, end = 2 * at, 2 * (at + length) - 1
    who = Question("th e", context, (context[begin:end],), (begin,))
    return tokenize_questions([who], np.zeros(1, int), tokenizer(), most, stride), tokenizer()


@given(st.data())
def test_windows_cover_a_context_and_name_the_answer(data):
    words = data.draw(st.integers(1, 40))
    at = data.draw(st.integers(0, words - 1))
    length = data.draw(st.integers(1, min(5, words - at)))
    most = data.draw(st.integers(8, 24))
    room = most - 3 - 2
    stride = data.draw(st.integers(1, room))
    found, tokenizer = world(words, at, length, most, stride)
    rows = found.rows
    assert len(rows) == max(1, 1 + -(-(words - room) // stride))
    assert (rows.lengths <= most).all()
    ids = tokenizer.encode([found.questions[0].context]).ids
    covered, best = np.zeros(words, int), np.zeros(words, int)
    for window, (begin, end) in enumerate(rows.second_at):
        covered[begin:end] += 1
        best[begin:end] += found.best_in(window)
        batch = text_batch(rows, np.array([window]), most, tokenizer)
        np.testing.assert_array_equal(batch.ids[0][batch.segments[0] > 0][:-1], ids[begin:end])
        inside = begin <= at and at + length <= end
        if inside:
            first, last = batch.target[0]
            np.testing.assert_array_equal(batch.ids[0, first : last + 1], ids[at : at + length])
            assert first == rows.second_begins[window] + at - begin
        else:
            assert batch.target[0].tolist() == [NOWHERE, NOWHERE]
    assert (covered > 0).all()
    assert (best == 1).all()


def test_the_best_window_shows_the_most_on_both_sides():
    found, _ = world(words=12, at=0, length=1, most=11, stride=3)
    spans = found.rows.second_at.tolist()
    assert spans == [[0, 6], [3, 9], [6, 12]]
    for token in range(12):
        shown = {
            window: min(token - begin, end - 1 - token)
            for window, (begin, end) in enumerate(spans)
            if begin <= token < end
        }
        (best,) = [w for w in shown if found.best_in(w)[token - spans[w][0]]]
        assert shown[best] == max(shown.values())


def test_contexts_that_come_again_are_kept_once():
    asked = [question("e t h n", answer) for answer in ("t", "n")]
    asked.append(Question("who", "e t", (), ()))
    found = tokenize_questions(asked, np.array([0, 0, 1]), words_of_letters())
    assert len(found.rows.second) == 4 + 2
    assert found.rows.languages.tolist() == [0, 0, 1]
    assert found.question_of.tolist() == [0, 1, 2]
    assert found.gold_tokens(2) is None
    assert found.rows.target[2].tolist() == [NOWHERE, NOWHERE]


def test_a_stride_must_not_leave_gaps():
    with pytest.raises(ValueError, match="stride must be between 1 and 3, .* got 4"):
        world(words=12, at=0, length=1, most=8, stride=4)
    with pytest.raises(ValueError, match="stride must be between 1 and 3, .* got 0"):
        world(words=12, at=0, length=1, most=8, stride=0)


@needs_shared_data
@pytest.mark.parametrize("language", ["en", "de", "es", "ar", "zh", "hi"])
def test_answers_of_xquad_come_back(language):
    """At least 99 % are what lies between their tokens; others begin or end inside a word piece."""
    asked = list(read_squad(SHARED / "xquad" / f"xquad.{language}.json", language))
    languages = np.zeros(len(asked), int)
    found = tokenize_questions(asked, languages, bert("multilingual-cased"))
    same = 0
    for number, each in enumerate(asked):
        (answer,), (start,) = each.answers, each.starts
        begin, end, text = found.text_of(number, *found.gold_tokens(number))
        same += text == answer
        if text != answer:
            assert answer in text
            whole = answer.strip()
            assert each.context[begin:start].isalnum() or each.context[start + len(whole)].isalnum()
    assert same >= 0.99 * len(asked)
    print(language, same, len(asked))


@needs_shared_data
def test_phrases_of_thai_come_back():
    """Thai has spaces between phrases, which hold many vowel signs and tone marks."""
    lines = [row.target for row in read_ntrex(SHARED / "ntrex", "tha")][:300]
    asked, tokenizer = [], bert("multilingual-cased")
    for line in lines:
        for phrase in re.finditer(r"\S+", line):
            asked.append(Question("ใคร", line, (phrase[0],), (phrase.start(),)))
    found = tokenize_questions(asked, np.zeros(len(asked), int), tokenizer)
    wrong = []
    for number, each in enumerate(asked):
        _, _, text = found.text_of(number, *found.gold_tokens(number))
        if text != each.answers[0]:
            wrong.append((each.answers[0], text))
    assert not wrong, wrong[:5]
