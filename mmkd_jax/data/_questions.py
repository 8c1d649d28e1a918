"""Questions about texts that are longer than a row: windows, and the way back to characters."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from mmkd_jax.data._records import Question
from mmkd_jax.data._subwords import SubwordTokenizer
from mmkd_jax.data._texts import TextData

_ENDS = 2  # special tokens of a row with one text
NOWHERE = 0  # the position that stands for an answer which a window does not hold: [CLS]


@dataclasses.dataclass(frozen=True)
class QuestionData:
    """Questions in windows of their contexts. A window is a row of `rows`.

    Attributes:
      questions: as they were read.
      rows: a question and a piece of its context each. The target is where the first answer begins
        and ends in the row; `NOWHERE`, twice, if it does not lie in this window.
      question_of: ``[N]``, the question of each window.
      context_at: ``[Q, 2]``, where each question's context begins and ends in ``rows.second``.
      places: ``[tokens, 2]``, the characters of each subword of ``rows.second``, within its
        context.
      is_best: ``[tokens of all windows]``, whether this is the window that shows the most on both
        sides of a token, of those that hold it; the windows lie end to end.
    """

    questions: list[Question]
    rows: TextData
    question_of: np.ndarray
    context_at: np.ndarray
    places: np.ndarray
    is_best: np.ndarray

    def best_in(self, window: int) -> np.ndarray:
        """The part of `is_best` that belongs to a window."""
        return self.is_best[slice(*self._begins[window : window + 2])]

    def text_of(self, question: int, first: int, last: int) -> tuple[int, int, str]:
        """Begin, end and text of what lies between two subwords, counted in ``rows.second``."""
        begin, end = int(self.places[first, 0]), int(self.places[last, 1])
        return begin, end, self.questions[question].context[begin:end]

    def gold_tokens(self, question: int, answer: int = 0) -> tuple[int, int] | None:
        """The subwords of a right answer, counted in ``rows.second``; None if there are none."""
        return _gold(self.questions[question], answer, self.context_at[question], self.places)

    def __post_init__(self):
        lengths = np.diff(self.rows.second_at)[:, 0]
        object.__setattr__(self, "_begins", np.concatenate([[0], np.cumsum(lengths)]))


class _Window(NamedTuple):
    question: int
    begin: int  # in the list of all contexts' subwords
    end: int


def tokenize_questions(
    questions: Sequence[Question],
    languages: np.ndarray,
    tokenizer: SubwordTokenizer,
    max_length: int = 384,
    stride: int = 128,
    max_question: int = 64,
) -> QuestionData:
    """Puts each question with as many windows as its context needs.

    >>> import numpy as np
    >>> from mmkd_jax.data import Question, SubwordTokenizer, tokenize_questions, train_vocabulary
    >>> tokenizer = SubwordTokenizer(train_vocabulary(["who low lower"], size=14))
    >>> who = Question("who", "low low lower low low low", ("lower",), (8,))
    >>> found = tokenize_questions([who], np.array([0]), tokenizer, max_length=12, stride=3)
    >>> len(found.rows), found.text_of(0, *found.gold_tokens(0))
    (2, (8, 13, 'lower'))

    Args:
      questions: each of a language.
      languages: ``[Q]``, the number of each question's language.
      tokenizer: the encoder's.
      max_length: of a row, special tokens included.
      stride: how many subwords later than the one before a window begins.
      max_question: subwords of a question; what is longer loses its end.
    """
    questions = list(questions)
    asked = tokenizer.encode_without_words([each.question for each in questions])
    asked_kept = np.minimum(np.diff(asked.token_offsets), max_question)
    contexts = list(dict.fromkeys(each.context for each in questions))
    number_of = {context: number for number, context in enumerate(contexts)}
    found, places = tokenizer.encode_with_places(contexts)
    numbers = np.array([number_of[each.context] for each in questions], np.int64)
    context_at = np.stack([found.token_offsets[numbers], found.token_offsets[numbers + 1]], axis=1)
    specials = _ENDS + tokenizer.specials.separators
    rooms = max_length - specials - asked_kept
    if len(questions) and not 1 <= stride <= rooms.min():
        raise ValueError(
            f"stride must be between 1 and {rooms.min()}, the subwords of a context that a row of "
            f"max_length = {max_length} holds beside a question of {asked_kept.max()}, got {stride}"
        )
    windows = list(_windows(context_at, rooms, stride))
    question_of = np.array([window.question for window in windows], np.int64)
    begins = asked.token_offsets[:-1][question_of]
    second_at = np.array([window[1:] for window in windows], np.int64).reshape(-1, 2)
    second_begins = asked_kept[question_of] + 1 + tokenizer.specials.separators
    gold = [_gold(each, 0, at, places) for each, at in zip(questions, context_at, strict=True)]
    rows = TextData(
        asked.ids,
        found.ids,
        np.stack([begins, begins + asked_kept[question_of]], axis=1),
        second_at,
        _targets(gold, question_of, second_at, second_begins),
        np.asarray(languages)[question_of],
        tokenizer.specials.separators,
        int((asked_kept < np.diff(asked.token_offsets)).sum()),
    )
    is_best = _is_best(windows)
    return QuestionData(questions, rows, question_of, context_at, places, is_best)


def _windows(context_at: np.ndarray, rooms: np.ndarray, stride: int) -> Iterator[_Window]:
    """Windows of all questions in their order, the last of each reaching to the context's end."""
    for question, ((begin, end), room) in enumerate(
        zip(context_at.tolist(), rooms.tolist(), strict=True)
    ):
        while True:
            yield _Window(question, begin, min(begin + room, end))
            if begin + room >= end:
                break
            begin += stride


def _is_best(windows: list[_Window]) -> np.ndarray:
    """Of each token of each window, whether no other window of the question shows more around it.

    What counts is the side that shows less; where several windows are alike, the longest, and of
    those the first.
    """
    found = [np.zeros(0, bool)]
    first = 0
    while first < len(windows):
        last = first
        while last < len(windows) and windows[last].question == windows[first].question:
            last += 1
        group = windows[first:last]
        begin, end = group[0].begin, group[-1].end
        tokens = np.arange(begin, end)
        scores = np.full((len(group), len(tokens)), -1.0)
        for row, window in enumerate(group):
            inside = (tokens >= window.begin) & (tokens < window.end)
            around = np.minimum(tokens - window.begin, window.end - 1 - tokens)
            longer = (window.end - window.begin) / (end - begin + 1)
            scores[row] = np.where(inside, around + longer, -1.0)
        best = scores.argmax(axis=0)
        found += [best[w.begin - begin : w.end - begin] == n for n, w in enumerate(group)]
        first = last
    return np.concatenate(found)


def _gold(
    question: Question, answer: int, context_at: np.ndarray, places: np.ndarray
) -> tuple[int, int] | None:
    """The first and the last subword that share a character with an answer."""
    if answer >= len(question.answers):
        return None
    text, begin = question.answers[answer], question.starts[answer]
    end = begin + len(text.rstrip())
    begin += len(text) - len(text.lstrip())
    first, last = context_at.tolist()
    begins, ends = places[first:last].T
    # Subwords of spaces alone have no characters, and none is shared with an empty answer.
    shared = np.flatnonzero((begins < end) & (ends > begin) & (ends > begins))
    return (first + int(shared[0]), first + int(shared[-1])) if len(shared) else None


def _targets(
    gold: list[tuple[int, int] | None],
    question_of: np.ndarray,
    second_at: np.ndarray,
    second_begins: np.ndarray,
) -> np.ndarray:
    """``[N, 2]``, the positions of the answer in each window."""
    spans = np.array([(-1, -1) if span is None else span for span in gold]).reshape(-1, 2)
    spans = spans[question_of]
    inside = (spans[:, 0] >= second_at[:, 0]) & (spans[:, 1] < second_at[:, 1])
    positions = spans - second_at[:, :1] + second_begins[:, None]
    return np.where(inside[:, None], positions, NOWHERE).astype(np.int32)
