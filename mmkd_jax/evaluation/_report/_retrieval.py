"""Retrieval by language, before and after, as bars."""

import functools

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, section, table
from mmkd_jax.evaluation._report._numbers import percent
from mmkd_jax.evaluation._report._pictures import ACCENT, BEFORE, INK, LINE, MUTED, Canvas, picture
from mmkd_jax.evaluation._scores import Scores

_ROW, _BAR = 24, 12
_LONGEST = {True: 26, False: 17}  # letters of a name, by whether there is space


def retrieval(run: Run) -> Markup | None:
    """A bar a language, best first."""
    scores = run.scores
    if scores is None or not (scores.languages or scores.languages_before):
        return None
    compared = bool(scores.languages_before) or scores.before is not None
    key = [("after", "after training")] + [("before", "before")] * compared
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
            "For each held-out translation the nearest English sentence is looked up. "
            "Shown is how often it is the right one.",
        ),
        legend if compared else None,
        picture(functools.partial(_draw, scores), label),
        folded("The same as a table", _table(scores, compared)),
    )


def _draw(scores: Scores, width: float) -> Canvas:
    rows = [(code, scores.languages.get(code), scores.languages_before.get(code))
            for code in scores.ordered()]
    wide = width > 500
    left, right = (190, 58) if wide else (128, 52)
    canvas = Canvas(width, _ROW * (len(rows) + 1) + 20)
    longest = width - left - right
    scale = longest / _upper([*rows, ("", scores.after, scores.before)])
    _row(canvas, 4, "Mean", scores.after, scores.before, left, scale, bold=True)
    canvas.bar(0, _ROW + 9, width, 1, LINE)
    for number, (code, after, before) in enumerate(rows):
        name = _cut(language_name(code), _LONGEST[wide])
        _row(canvas, _ROW * (number + 1) + 16, name, after, before, left, scale)
    return canvas


def _row(
    canvas: Canvas,
    top: float,
    name: str,
    after: float | None,
    before: float | None,
    left: float,
    scale: float,
    bold: bool = False,
) -> None:
    base = top + 15
    canvas.text(0, base, name, bold=bold)
    upper = top + (_ROW - _BAR) / 2 - 1.5
    end = left
    if after is not None:
        end = max(end, left + after * scale)
        canvas.bar(left, upper, max(after * scale, 1), _BAR, ACCENT)
    if before is not None:
        # Below the other bar and as long as it is, so that both lengths can be seen.
        canvas.bar(left, upper + _BAR, max(before * scale, 1), 3, BEFORE)
        end = max(end, left + before * scale)
    canvas.text(end + 8, base, percent(after), INK if bold else MUTED, bold=bold)


def _upper(rows: list[tuple[str, float | None, float | None]]) -> float:
    """The end of the scale: everything, or a round part of it where all bars are short."""
    largest = max((value for row in rows for value in row[1:] if value is not None), default=0.0)
    return next((end for end in (5.0, 10.0, 25.0, 50.0, 100.0) if largest <= end), largest)


def _cut(name: str, longest: int) -> str:
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"


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
