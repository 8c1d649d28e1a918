"""What retrieval has come to, as a short table for a terminal."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._scores import Scores, scores_of

_MOST = 30  # languages that are all listed
_LEFT_TO_RIGHT = "\u200e"  # keeps what follows a Hebrew or Arabic name on its right


def summary_table(results: Mapping[str, Any]) -> str:
    """Retrieval before and after training by language, best first, as plain text.

    Of many languages the best and the last are listed. Columns are aligned in terminals that give
    Chinese characters two cells, and marks above or below letters none.

    Example:
      >>> from mmkd_jax import evaluation
      >>> retrieval = {"before": 4.0, "after": 61.3, "languages": {"de": 72.5, "cy": 50.0}}
      >>> print(evaluation.summary_table({"retrieval": retrieval}))
      retrieval    before    after
      de    German      –   72.5 %
      cy    Welsh       –   50.0 %
      mean          4.0 %   61.3 %

    Args:
      results: What ``results.json`` holds: under "retrieval" the means "before" and "after", and
        "languages" and "languages_before" by language, in percent.

    Returns:
      The table, without a newline at its end; empty if there is nothing to show.
    """
    scores = scores_of(results)
    if scores is None:
        return ""
    ordered = scores.ordered()
    rows = [_row(code, language_name(code), scores) for code in ordered]
    if len(rows) > _MOST:
        left = len(rows) - 2 * (_MOST // 2)
        rows = [*rows[: _MOST // 2], ("…", f"{left} more", "", ""), *rows[-(_MOST // 2) :]]
    mean = ("mean", "", _percent(scores.before), _percent(scores.after))
    head = ("retrieval", "", "before", "after")
    if scores.before is None and not scores.languages_before:
        head, mean, *rows = (row[:2] + row[3:] for row in (head, mean, *rows))
    return "\n".join(_aligned([head, *rows, mean]))


def _row(code: str, name: str, scores: Scores) -> tuple[str, ...]:
    before, after = scores.languages_before.get(code), scores.languages.get(code)
    return code, "" if name == code else name, _percent(before), _percent(after)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} %"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The head's first cell may reach over the names; numbers stand on the right."""
    head, *others = ([_printable(cell) for cell in row] for row in rows)
    codes = max(_cells(row[0]) for row in others)
    labelled = [[head[0], *head[2:]]]
    labelled += [[f"{_padded(row[0], codes)}  {row[1]}", *row[2:]] for row in others]
    widths = [max(map(_cells, column)) for column in zip(*labelled, strict=True)]
    return ["   ".join(_columns(row, widths)) for row in labelled]


def _columns(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    label, *cells = zip(row, widths, strict=True)
    return [_padded(*label), *(" " * (width - _cells(cell)) + cell for cell, width in cells)]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _cells(text))


def _printable(text: str) -> str:
    """Without what would move the cursor, and in one direction with what stands beside it."""
    text = "".join("\ufffd" if unicodedata.category(c) == "Cc" else c for c in text)
    if any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text):
        return f"{_LEFT_TO_RIGHT}{text}{_LEFT_TO_RIGHT}"
    return text


def _cells(text: str) -> int:
    """How many cells of a terminal a text takes."""
    return sum(map(_cells_of, text))


def _cells_of(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1
