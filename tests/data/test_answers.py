"""Answers from scores, against all pieces of a text one by one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import Question, best_answers, tokenize_questions
from tests.data.vocabularies import words_of_letters

LETTERS = "ethn"


def questions(*sizes: int) -> list[Question]:
    contexts = [" ".join(LETTERS[i % 4] for i in range(size)) for size in sizes]
    return [Question("th e", context, (), (), "xx", str(n)) for n, context in enumerate(contexts)]


def by_hand(data, question, starts, ends, longest):
    """All answers and their scores, best first, by a loop over everything."""
    found = {}
    for window in np.flatnonzero(data.question_of == question).tolist():
        begin = data.rows.second_at[window, 0] - data.context_at[question, 0]
        size = len(starts[window])
        for i in range(size):
            if not data.best_in(window)[i]:
                continue
            for j in range(i, min(size, i + longest)):
                place = 2 * (begin + i), 2 * (begin + j) + 1
                score = float(starts[window][i] + ends[window][j])
                found[place] = max(score, found.get(place, -np.inf))
    return sorted(found.items(), key=lambda item: -item[1])


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(9, 14))
def test_the_best_of_all_pieces(seed, longest, most):
    random = np.random.default_rng(seed)
    asked = questions(3, 14, 7)
    data = tokenize_questions(asked, np.zeros(3, int), words_of_letters(), most, stride=2)
    lengths = np.diff(data.rows.second_at)[:, 0]
    starts, ends = ([random.normal(size=n) for n in lengths] for _ in range(2))
    found = best_answers(data, starts, ends, count=100, longest=longest)
    for number, answers in enumerate(found):
        expected = by_hand(data, number, starts, ends, longest)
        assert [(a.begin, a.end) for a in answers] == [place for place, _ in expected]
        assert [a.score for a in answers] == pytest.approx([score for _, score in expected])
        assert all(a.text == asked[number].context[a.begin : a.end] for a in answers)
        shares = np.exp([a.score for a in answers])
        assert [a.probability for a in answers] == pytest.approx(list(shares / shares.sum()))
    few = best_answers(data, starts, ends, count=3, longest=longest)
    assert [len(answers) <= 3 for answers in few] == [True] * 3


def test_an_answer_that_no_window_has_is_not_made_up():
    data = tokenize_questions(questions(4), np.zeros(1, int), words_of_letters())
    scores = np.array([9.0, 0.0, 0.0, 9.0])
    (answers,) = best_answers(data, [scores], [scores], longest=2)
    assert (answers[0].text, answers[0].score) == ("e", 18.0)
    assert "e t h n" not in {answer.text for answer in answers}


def test_an_empty_context_has_an_empty_answer():
    data = tokenize_questions(questions(0), np.zeros(1, int), words_of_letters())
    (answers,) = best_answers(data, [np.zeros(0)], [np.zeros(0)])
    assert [answer.text for answer in answers] == [""]


def test_scores_must_be_of_all_windows():
    data = tokenize_questions(questions(4), np.zeros(1, int), words_of_letters())
    with pytest.raises(ValueError, match="of 1 windows, got 0 and 1"):
        best_answers(data, [], [np.zeros(4)])
    with pytest.raises(ValueError, match="got 0 and 30"):
        best_answers(data, [np.zeros(4)], [np.zeros(4)], count=0)
