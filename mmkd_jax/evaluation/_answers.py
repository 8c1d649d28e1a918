"""Answers that are pieces of a text: exact match and F1, as SQuAD and MLQA count them."""

import functools
import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# MLQA's list of articles. Other languages lose none.
_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "ar": "ال",  # wherever it stands: it is written together with its word
}
# What MLQA takes apart is Chinese; the others are written without spaces likewise.
_HAN = (0x4E00, 0x9FA5)
_UNSPACED = {
    "zh": (_HAN,),
    "ja": (_HAN, (0x3040, 0x30FF)),
    "th": ((0x0E00, 0x0E7F),),
    "lo": ((0x0E80, 0x0EFF),),
    "my": ((0x1000, 0x109F),),
    "km": ((0x1780, 0x17FF),),
}


class AnswerScore(NamedTuple):
    """Of one answer, or the mean of many; each between 0 and 1.

    Attributes:
      exact_match: Whether it is one of the right answers.
      f1: How many of its words are those of the right answer that is most like it.
    """

    exact_match: float
    f1: float


def normal_answer(text: str, language: str | None = None) -> list[str]:
    """The words of an answer that count, by MLQA's rules.

    Lower case, without punctuation and without articles. Words are what stands between spaces; of
    languages that are written without spaces (Chinese, as in MLQA; Japanese, Thai, Lao, Burmese,
    Khmer too) each character of their script is one, with the marks it carries. Of languages that
    MLQA does not have, no article is known.

    Example:
      >>> from mmkd_jax import evaluation
      >>> evaluation.normal_answer("Die Stadt Köln.", "de")
      ['stadt', 'köln']
      >>> evaluation.normal_answer("在2016年", "zh")
      ['在', '2016', '年']

    Args:
      text: The answer.
      language: Its code, of which what follows a hyphen is passed over. None for the rules of
        SQuAD itself: English articles, ASCII punctuation, spaces.
    """
    punctuation = frozenset(string.punctuation) if language is None else _all_punctuation()
    base = "en" if language is None else language.replace("_", "-").partition("-")[0]
    text = "".join(letter for letter in text.lower() if letter not in punctuation)
    if base in _ARTICLES:
        text = re.sub(_ARTICLES[base], " ", text)
    if base in _UNSPACED:
        text = _apart(base).sub(r" \g<0> ", text)
    return text.split()


def answer_score(answer: str, right: Sequence[str], language: str | None = None) -> AnswerScore:
    """Compares an answer with the right ones; each score is the best over these.

    Two empty answers are the same. Otherwise an answer without words has no words in common.

    Example:
      >>> from mmkd_jax import evaluation
      >>> evaluation.answer_score("the old town", ["old town of Bern", "Bern"], "en")
      AnswerScore(exact_match=0.0, f1=0.6666666666666666)

    Args:
      answer: What was found.
      right: Answers of which any is right; none if nothing is.
      language: As for `normal_answer`.
    """
    words = normal_answer(answer, language)
    truths = [normal_answer(each, language) for each in right] or [[]]
    return AnswerScore(
        float(any(words == truth for truth in truths)), max(_f1(words, truth) for truth in truths)
    )


def answer_scores(
    answers: Mapping[str, str],
    right: Mapping[str, Sequence[str]],
    language: str | None = None,
) -> AnswerScore:
    """The mean over all questions; one without an answer scores 0.

    Args:
      answers: What was found, by the questions' ids.
      right: Right answers, by the questions' ids.
      language: As for `normal_answer`.
    """
    if not right:
        raise ValueError("right must have a question, got none")
    if unknown := sorted(set(answers) - set(right)):
        raise ValueError(f"answers must be to the questions of right, but not so {unknown[:3]}")
    scores = [
        answer_score(answers[id], truths, language) if id in answers else AnswerScore(0.0, 0.0)
        for id, truths in right.items()
    ]
    return AnswerScore(*(sum(column) / len(scores) for column in zip(*scores, strict=True)))


def _f1(words: list[str], truth: list[str]) -> float:
    if not words or not truth:
        return float(words == truth)
    common = sum((Counter(words) & Counter(truth)).values())
    return 2 * common / (len(words) + len(truth))


@functools.cache
def _all_punctuation() -> frozenset[str]:
    codes = map(chr, range(sys.maxunicode + 1))
    return frozenset(string.punctuation).union(
        letter for letter in codes if unicodedata.category(letter)[0] == "P"
    )


@functools.cache
def _apart(language: str) -> re.Pattern[str]:
    """A character of an unspaced script, and the marks that follow it."""
    codes = [chr(code) for first, last in _UNSPACED[language] for code in range(first, last + 1)]
    marks = "".join(letter for letter in codes if unicodedata.category(letter)[0] == "M")
    letters = "".join(letter for letter in codes if letter not in marks)
    return re.compile(f"[{letters}][{marks}]*" if marks else f"[{letters}]")
