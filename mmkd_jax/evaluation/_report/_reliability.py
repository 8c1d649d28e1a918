"""Whether the tagger is right as often as it says."""

import functools

import numpy as np

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._details import Bins, Tagging
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section, table
from mmkd_jax.evaluation._report._numbers import count, percent, short
from mmkd_jax.evaluation._report._pictures import (
    ACCENT,
    BEFORE,
    LINE,
    MUTED,
    Box,
    Canvas,
    picture,
)


def reliability(found: Tagging) -> Markup | None:
    """Accuracy by confidence, and how many words there are of each."""
    bins = found.calibration
    if bins is None:
        return None
    error = 100 * bins.error
    return section(
        "Reliability",
        element(
            "p",
            "Words by the probability that the tagger gives to its own tag: how often it is "
            "right. On the line it can be taken at its word; below it is too sure. Expected "
            "calibration error: ",
            joined(element("strong", percent(error)), "."),
        ),
        picture(
            functools.partial(_draw, bins),
            "Accuracy by confidence",
            f"Dots are bins of confidence. The expected calibration error is {error:.1f} percent.",
        ),
        folded("The same as a table", _table(bins)),
        _by_language(found),
    )


def _draw(bins: Bins, width: int | float) -> Canvas:
    left, bars = 44, 56
    size = min(width - left, 360)
    canvas = Canvas(width, size + bars + 66)
    for share in (0, 0.25, 0.5, 0.75, 1):
        y = 20 + size * (1 - share)
        canvas.bar(Box(left, y, size, 1), LINE)
        canvas.text(left - 8, y + 4, f"{100 * share:.0f}", MUTED, size=11, align="right")
    canvas.text(left, 12, "right, %", MUTED, size=11)
    canvas.lines(np.array([[(left, 20 + size), (left + size, 20)]]), 1.25, BEFORE)
    known = np.flatnonzero(bins.counts)
    x = left + size * bins.confidence[known]
    y = 20 + size * (1 - bins.accuracy[known])
    points = np.stack([x, y], axis=1)
    canvas.lines(np.stack([points[:-1], points[1:]], axis=1), 1.75, ACCENT)
    canvas.dots(points, 4, ACCENT)
    # How many words there are in each bin, below.
    base = 20 + size + 12
    each = size / len(bins.counts)
    heights = bars * bins.counts / bins.counts.max()
    for number, height in enumerate(heights):
        if height:
            tall = max(float(height), 1.0)
            canvas.bar(Box(left + number * each + 1, base + bars - tall, each - 2, tall), BEFORE)
    canvas.text(left - 8, base + 10, "words", MUTED, size=11, align="right")
    canvas.bar(Box(left, base + bars, size, 1), LINE)
    canvas.text(left, base + bars + 18, "0", MUTED, size=11)
    canvas.text(left + size / 2, base + bars + 18, "confidence, %", MUTED, size=11, align="center")
    canvas.text(left + size, base + bars + 18, "100", MUTED, size=11, align="right")
    return canvas


def _table(bins: Bins) -> Markup:
    edges = np.linspace(0, 100, len(bins.counts) + 1)
    rows = [
        [
            f"{short(low)}–{short(high)}\u00a0%",
            count(words),
            percent(100 * float(confidence)) if words else "–",
            percent(100 * float(accuracy)) if words else "–",
        ]
        for low, high, words, confidence, accuracy in zip(
            edges[:-1], edges[1:], bins.counts, bins.confidence, bins.accuracy, strict=True
        )
    ]
    return table(["Confidence", "Words", "Their mean", "Right"], rows, numeric=(1, 2, 3))


def _by_language(found: Tagging) -> Markup | None:
    rows = [
        [
            language_name(code),
            count(values.get("words", float("nan"))),
            percent(values.get("accuracy")),
            percent(100 * values["error"]),
        ]
        for code, values in found.languages.items()
        if "error" in values
    ]
    if len(rows) < 2:
        return None
    head = ["Language", "Words", "Right", "Calibration error"]
    return folded("By language", table(head, rows, numeric=(1, 2, 3)))
