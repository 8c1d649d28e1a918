"""Retrieval by language, before and after, as bars."""

import functools

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, section, table
from mmkd_jax.evaluation._report._numbers import percent
from mmkd_jax.evaluation._report._pictures import (
    ACCENT,
    BEFORE,
    INK,
    LINE,
    MUTED,
    Box,
    Canvas,
    picture,
)
from mmkd_jax.evaluation._scores import Scores

_ROW, _THICK = 24, 12
_LONGEST = 21  # letters of a name


def retrieval(run: Run) -> Markup | None:
    """A bar a language, best first."""
    scores = run.scores
    if scores is None or not (scores.languages or scores.languages_before):
        return None
    compared = bool(scores.languages_before) or scores.before is not None
    key = [("before", "before training"), ("after", "gained by training")]
    if any(
        scores.languages.get(code, 100.0) < old for code, old in scores.languages_before.items()
    ):
        key.append(("lost", "lost"))
    legend = element(
        "p",
        *(element("span", element("i", class_=name), text) for name, text in key),
        class_="legend",
    )
    label = "Bars: share of sentences whose English counterpart is found, by language"
    return section(
        "Retrieval by language",
        element(
            "p",
            "For each held-out translation the nearest English sentence is looked up, by cosine. "
            "Shown is how often it is the right one, in percent.",
        ),
        legend if compared else None,
        picture(functools.partial(_draw, scores), label),
        folded("The same as a table", _table(scores, compared)),
    )


def _draw(scores: Scores, width: int | float) -> Canvas:
    rows = [
        (code, scores.languages.get(code), scores.languages_before.get(code))
        for code in scores.ordered()
    ]
    left, right = (156, 48) if width > 500 else (138, 46)
    canvas = Canvas(width, _ROW * (len(rows) + 2) + 12)
    upper = _upper([*rows, ("", scores.after, scores.before)])
    scale = (width - left - right) / upper
    canvas.text(0, 15, "Mean", bold=True)
    _bar(canvas, 0, scores.after, scores.before, left, scale, bold=True)
    canvas.bar(Box(0, _ROW + 3, width, 1), LINE)
    for number, (code, after, before) in enumerate(rows):
        top = _ROW * (number + 1) + 12
        canvas.text(0, top + 15, _cut(language_name(code)))
        _bar(canvas, top, after, before, left, scale)
    base = canvas.height - 2
    canvas.text(left, base, "0", MUTED, size=11)
    canvas.text(width - right, base, f"{upper:.3g}\u00a0%", MUTED, size=11, align="right")
    return canvas


def _bar(
    canvas: Canvas,
    top: int | float,
    after: float | None,
    before: float | None,
    left: int | float,
    scale: int | float,
    bold: bool = False,
) -> None:
    """Up to where it was before, and from there to where it is now.

    What was lost is a thin line: the thick bar always ends at what is now.
    """
    upper = top + (_ROW - _THICK) / 2 - 1
    at_first = (before or 0.0) * scale
    now = at_first if after is None else after * scale
    canvas.bar(Box(left, upper, max(min(at_first, now), 1), _THICK), BEFORE)
    if now > at_first:
        canvas.bar(Box(left + at_first, upper, now - at_first, _THICK), ACCENT)
    elif at_first > now:
        canvas.bar(Box(left + now, upper + _THICK / 2 - 1.5, at_first - now, 3), BEFORE)
    shown = "–" if after is None else f"{after:.1f}"
    canvas.text(left + max(now, at_first) + 8, top + 15, shown, INK, bold=bold)


def _upper(rows: list[tuple[str, float | None, float | None]]) -> float:
    """The end of the scale: everything, or a round part of it where all bars are short."""
    largest = max((value for row in rows for value in row[1:] if value is not None), default=0.0)
    return next((end for end in (5.0, 10.0, 25.0, 50.0, 100.0) if largest <= end), largest)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1].rstrip() + "…"


def _table(scores: Scores, compared: bool) -> Markup:
    rows = [
        [
            language_name(code),
            element("code", code),
            *([percent(scores.languages_before.get(code))] if compared else []),
            percent(scores.languages.get(code)),
        ]
        for code in scores.ordered()
    ]
    head = ["Language", "Code", *(["Before"] if compared else []), "After"]
    return table(head, rows, numeric=(2, 3))
