"""From scores of positions in windows to answers as text, the best ones first."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmkd_jax.data._questions import QuestionData


class Answer(NamedTuple):
    """A piece of a context.

    Attributes:
      text: what it says.
      begin: its first character in the context.
      end: the one after its last.
      score: the sum of the scores of its first and last subword.
      probability: among the answers that are kept.
    """

    text: str
    begin: int
    end: int
    score: float
    probability: float


def best_answers(
    data: QuestionData,
    starts: Sequence[np.ndarray],
    ends: Sequence[np.ndarray],
    count: int = 20,
    longest: int = 30,
) -> list[list[Answer]]:
    """The best answers to each question, over all windows of its context.

    An answer begins in the window that shows the most around its first subword. Of several answers
    with the same characters the best one is kept.

    Args:
      data: the questions.
      starts: for each window, the score of each subword of its context as the first of the answer.
      ends: likewise, as its last.
      count: answers a question at most; and first subwords, and last ones, a window that are tried.
      longest: subwords of an answer at most.

    Returns:
      A list a question, best first. It has one empty answer where a context has no subwords.
    """
    if count < 1 or longest < 1:
        raise ValueError(f"count and longest must be at least 1, got {count} and {longest}")
    windows = len(data.rows)
    if len(starts) != windows or len(ends) != windows:
        raise ValueError(
            f"starts and ends must be of {windows} windows, got {len(starts)} and {len(ends)}"
        )
    found: list[list[tuple[float, int, int]]] = [[] for _ in data.questions]
    for window in range(windows):
        begin = int(data.rows.second_at[window, 0])
        spans = _spans(starts[window], ends[window], data.best_in(window), count, longest)
        found[int(data.question_of[window])] += [(s, begin + i, begin + j) for s, i, j in spans]
    return [_distinct(data, question, spans, count) for question, spans in enumerate(found)]


def _spans(
    starts: np.ndarray, ends: np.ndarray, may_begin: np.ndarray, count: int, longest: int
) -> list[tuple[float, int, int]]:
    """Score, first and last subword of what may be an answer."""
    if not len(starts):
        return []
    starts = np.where(may_begin, starts, -np.inf)
    first, last = (np.argsort(-scores, kind="stable")[:count] for scores in (starts, ends))
    scores = starts[first, None] + ends[None, last]
    fits = (last >= first[:, None]) & (last < first[:, None] + longest) & np.isfinite(scores)
    return [
        (float(scores[i, j]), int(first[i]), int(last[j]))
        for i, j in zip(*fits.nonzero(), strict=True)
    ]


def _distinct(
    data: QuestionData, question: int, spans: list[tuple[float, int, int]], count: int
) -> list[Answer]:
    kept: dict[tuple[int, int], tuple[float, str]] = {}
    for score, first, last in sorted(spans, key=lambda span: (-span[0], span[1:])):
        begin, end, text = data.text_of(question, first, last)
        if text.strip():
            kept.setdefault((begin, end), (score, text))
        if len(kept) == count:
            break
    if not kept:
        return [Answer("", 0, 0, float("-inf"), 1.0)]
    scores = np.array([score for score, _ in kept.values()])
    shares = np.exp(scores - scores.max())
    shares /= shares.sum()
    return [
        Answer(text, *place, score, float(share))
        for (place, (score, text)), share in zip(kept.items(), shares, strict=True)
    ]
