"""Bars by name, in groups, one or several a name."""

from typing import NamedTuple

from mmkd_jax.evaluation._report._pictures import (
    ACCENT,
    BEFORE,
    INK,
    LINE,
    MUTED,
    OTHERS,
    Box,
    Canvas,
)

_LONGEST = 21  # letters of a name
_HEADING = 34


class Bar(NamedTuple):
    """A number from 0 to 100, what it was before, and its deviation; each may be unknown."""

    value: float | None
    before: float | None
    deviation: float | None


class Row(NamedTuple):
    """A name and its bars."""

    name: str
    bars: list[Bar]


class Group(NamedTuple):
    """Rows under a heading."""

    title: str
    rows: list[Row]


class _Sizes(NamedTuple):
    """Of a picture, in pixels."""

    row: int
    pitch: int
    thick: int
    text: int


def draw_bars(means: Row, groups: list[Group], width: int | float) -> Canvas:
    """A row of means, and below it the groups. One group alone needs no heading."""
    sizes = _sizes(len(means.bars))
    heading = _HEADING if len(groups) > 1 else 12
    left, right = (156, 52) if width > 500 else (138, 50)
    rows = [row for group in groups for row in group.rows]
    height = sizes.row * (len(rows) + 1) + heading * len(groups) + 24
    canvas = Canvas(width, height)
    upper = _upper([means, *rows])
    scale = (width - left - right) / upper
    _draw_row(canvas, 0, means, left, scale, sizes, bold=True)
    canvas.bar(Box(0, sizes.row + 3, width, 1), LINE)
    top = sizes.row + 4
    for group in groups:
        if len(groups) > 1:
            canvas.text(0, top + heading - 8, group.title, MUTED, size=12)
        top += heading
        for row in group.rows:
            _draw_row(canvas, top, row, left, scale, sizes)
            top += sizes.row
    base = canvas.height - 2
    canvas.text(left, base, "0", MUTED, size=11)
    canvas.text(width - right, base, f"{upper:.3g}\u00a0%", MUTED, size=11, align="right")
    return canvas


def _sizes(bars: int) -> _Sizes:
    """The more bars a name has, the thinner they are; of many, only the first has its number."""
    if bars == 1:
        return _Sizes(24, 12, 12, 13)
    pitch, thick = (13, 9) if bars <= 4 else (7, 5)
    return _Sizes(max(24, bars * pitch + 9), pitch, thick, 11)


def _draw_row(
    canvas: Canvas,
    top: int | float,
    row: Row,
    left: int | float,
    scale: int | float,
    sizes: _Sizes,
    bold: bool = False,
) -> None:
    canvas.text(0, top + 15, _cut(row.name), bold=bold)
    start = top + (5 if len(row.bars) == 1 else 4)
    for place, bar in enumerate(row.bars):
        if place and bar.value is None:
            continue
        upper = start + place * sizes.pitch
        colour = ACCENT if not place else OTHERS[(place - 1) % len(OTHERS)]
        end = _draw_bar(canvas, Box(left, upper, 0, sizes.thick), bar, colour, scale)
        if not place or len(row.bars) <= 4:
            ink = MUTED if place else INK
            base = top + 15 if len(row.bars) == 1 else upper + sizes.thick / 2 + 4
            canvas.text(end + 8, base, _shown(bar), ink, size=sizes.text, bold=bold and not place)


def _draw_bar(canvas: Canvas, box: Box, bar: Bar, colour: str, scale: int | float) -> float:
    """Up to where it was before, and from there to where it is now; returns where it ends.

    What was lost is a thin line: the thick bar always ends at what is now.
    """
    left, upper, _, thick = box
    at_first = (bar.before or 0.0) * scale
    now = at_first if bar.value is None else bar.value * scale
    if bar.before is None:
        canvas.bar(Box(left, upper, max(now, 1), thick), colour)
        return left + now
    canvas.bar(Box(left, upper, max(min(at_first, now), 1), thick), BEFORE)
    if now > at_first:
        canvas.bar(Box(left + at_first, upper, now - at_first, thick), colour)
    elif at_first > now:
        canvas.bar(Box(left + now, upper + thick / 2 - 1.5, at_first - now, 3), BEFORE)
    return left + max(now, at_first)


def _shown(bar: Bar) -> str:
    if bar.value is None:
        return "–"
    return f"{bar.value:.1f}" + ("" if bar.deviation is None else f" ±{bar.deviation:.1f}")


def _upper(rows: list[Row]) -> float:
    """The end of the scale: everything, or a round part of it where all bars are short."""
    values = [value for row in rows for bar in row.bars for value in bar[:2]]
    largest = max((value for value in values if value is not None), default=0.0)
    return next((end for end in (5.0, 10.0, 25.0, 50.0, 100.0) if largest <= end), largest)


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1].rstrip() + "…"
