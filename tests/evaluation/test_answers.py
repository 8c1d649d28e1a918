"""Exact match and F1, against cases that were worked out by hand from MLQA's rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.evaluation import AnswerScore, answer_score, answer_scores, normal_answer

LANGUAGES = [None, "en", "es", "hi", "vi", "de", "ar", "zh", "th", "ja", "ru", "tr"]


@pytest.mark.parametrize(
    ("language", "text", "words"),
    [
        ("en", "The cat's «Pyjamas», an A.", ["cats", "pyjamas"]),
        (None, "The cat's «Pyjamas», an A.", ["cats", "«pyjamas»"]),  # ASCII only
        ("es", "¿La casa del Sol?", ["casa", "del", "sol"]),
        ("de", "In der Stadt, 1990–95", ["in", "stadt", "199095"]),
        ("de-AT", "Das Haus", ["haus"]),
        ("vi", "những cái cây của tôi", ["cây", "tôi"]),
        ("ar", "الكويت والعراق", ["كويت", "و", "عراق"]),  # wherever the article stands
        ("hi", "भारत का। एक", ["भारत", "का", "एक"]),
        ("zh", "在2016年的超级碗。NFL", ["在", "2016", "年", "的", "超", "级", "碗", "nfl"]),
        ("zh-Hant", "臺灣大學", ["臺", "灣", "大", "學"]),
        ("ja", "東京タワー 333m", ["東", "京", "タ", "ワ", "ー", "333m"]),
        ("th", "กำที่ 5", ["ก", "ำ", "ที่", "5"]),  # marks stay with what carries them
        ("ru", "в Москве, the end", ["в", "москве", "the", "end"]),
        ("en", "", []),
        ("en", "the - a", []),
    ],
)
def test_words_that_count(language, text, words):
    assert normal_answer(text, language) == words


@pytest.mark.parametrize(
    ("answer", "right", "language", "exact", "f1"),
    [
        ("Denver Broncos", ["The Denver Broncos!"], "en", 1, 1),
        ("the Denver team", ["Denver Broncos"], "en", 0, 1 / 2),
        ("Denver Denver", ["Denver"], "en", 0, 2 / 3),  # a word counts as often as it stands
        ("Denver", ["Carolina", "Denver Broncos", "Denver"], "en", 1, 1),
        ("1990年代", ["20世纪90年代"], "zh", 0, 2 * 2 / (3 + 6)),
        ("Köln", ["Bonn"], "de", 0, 0),
        ("the", ["an"], "en", 1, 1),
        ("", ["Bonn"], "de", 0, 0),
        ("Bonn", [], "de", 0, 0),
        ("", [], "de", 1, 1),
    ],
)
def test_scores_by_hand(answer, right, language, exact, f1):
    assert answer_score(answer, right, language) == AnswerScore(exact, pytest.approx(f1))


TEXTS = st.text(st.sampled_from("aA .,1年的กิ้ال-é"), max_size=8)


@given(TEXTS, st.lists(TEXTS, max_size=3), st.sampled_from(LANGUAGES))
def test_laws(answer, right, language):
    exact, f1 = answer_score(answer, right, language)
    assert exact in (0, 1)
    assert exact <= f1 <= 1
    assert answer_score(answer, [*right, answer], language) == (1, 1)
    assert answer_score(answer, right[::-1], language) == (exact, f1)
    words = normal_answer(answer, language)
    if language != "ar":  # what is left of a word may begin with its article again
        assert normal_answer(" ".join(words), language) == words
    if len(right) == 1:
        assert answer_score(right[0], [answer], language) == (exact, f1)


def test_the_mean_counts_questions_without_an_answer():
    right = {"a": ["Köln"], "b": ["Bonn am Rhein"], "c": ["Ulm"]}
    assert answer_scores({"a": "Köln", "b": "Bonn"}, right, "de") == pytest.approx((1 / 3, 1.5 / 3))


def test_questions_must_be_known():
    with pytest.raises(ValueError, match="not so \\['x'\\]"):
        answer_scores({"x": "?"}, {"a": ["Köln"]})
    with pytest.raises(ValueError, match="got none"):
        answer_scores({}, {})
