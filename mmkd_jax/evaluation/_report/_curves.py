"""How training went: small pictures side by side, all over the same steps."""

import functools
import math
from typing import NamedTuple

import numpy as np

from mmkd_jax.evaluation._report._files import Curve, Run
from mmkd_jax.evaluation._report._html import Markup, element, section
from mmkd_jax.evaluation._report._numbers import count, short
from mmkd_jax.evaluation._report._pictures import ACCENT, LINE, MUTED, Canvas, picture

_LEVELS = ("token", "word", "sentence", "structure")
_NOT_LOSSES = ("loss", "finite", "gradient_norm", "learning_rate", "skipped", "epoch")
_POINTS = 300  # of a curve; more than a picture has pixels for
_HEIGHT, _GAP, _AXIS = 126, 36, 26


class _Panel(NamedTuple):
    title: str
    curve: Curve


def curves(run: Run) -> Markup | None:
    """Loss, its levels, learning rate, speed and retrieval."""
    panels = _panels(run)
    if not panels:
        return None
    return section(
        "Training",
        element(
            "p",
            "Each from its first value to its last, over the same steps. Levels are shown "
            "unweighted. Training time, above, is that of the steps alone.",
        ),
        picture(functools.partial(_draw, panels), "Curves of training over its steps"),
        _not_finite(run.metrics.get("loss")),
    )


def _panels(run: Run) -> list[_Panel]:
    metrics = run.metrics
    others = [name for name in metrics if name not in (*_LEVELS, *_NOT_LOSSES) and "/" not in name]
    levels = [name for name in _LEVELS if name in metrics] + sorted(others)
    wanted = [
        ("Loss", metrics.get("loss")),
        *((f"{name.replace('_', ' ').capitalize()} level", metrics[name]) for name in levels),
        ("Learning rate", metrics.get("learning_rate")),
        ("Gradient norm", metrics.get("gradient_norm")),
        ("Pairs per second", run.speed.get("per_second/pairs")),
        ("Retrieval, mean %", metrics.get("retrieval/mean")),
    ]
    return [
        _Panel(title, curve)
        for title, curve in wanted
        if curve is not None and np.isfinite(curve.values).sum() > 1
    ]


def _draw(panels: list[_Panel], width: float) -> Canvas:
    columns = 3 if width > 500 else 2
    rows = -(-len(panels) // columns)
    space = 28 if width > 500 else 22
    each = (width - space * (columns - 1)) / columns
    canvas = Canvas(width, rows * (_HEIGHT + _GAP) + _AXIS)
    last = max(panel.curve.steps[-1] for panel in panels)
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        is_lowest = number + columns >= len(panels)
        place = column * (each + space), row * (_HEIGHT + _GAP)
        _draw_panel(canvas, panel, *place, each, last, is_lowest)
    return canvas


def _draw_panel(
    canvas: Canvas, panel: _Panel, x: float, y: float, width: float, last: float, is_lowest: bool
) -> None:
    steps, values = _thinned(panel.curve)
    finite = panel.curve.values[np.isfinite(panel.curve.values)]
    canvas.text(x, y + 13, panel.title, bold=True)
    canvas.text(x, y + 31, f"{short(finite[0])} → {short(finite[-1])}", MUTED, size=12)
    left, top, height = 34, 42, _HEIGHT - 42
    axes = canvas.axes(x + left, y + top, width - left, height)
    axes.plot(steps, values, color=ACCENT, linewidth=1.75, clip_on=False, solid_capstyle="round")
    low, high = _limits(values)
    axes.set(xlim=(0, last or 1), ylim=(low, high))
    axes.grid(axis="y", color=LINE, linewidth=1, clip_on=False)
    axes.set_axisbelow(True)
    axes.set_yticks(ticks := _ticks(low, high), [short(tick) for tick in ticks])
    axes.set_xticks([])
    _dots(canvas, steps, values, x + left, y + top, width - left, height, last or 1, low, high)
    if is_lowest:
        base = y + _HEIGHT + 20
        canvas.text(x + left, base, "0", MUTED, size=11)
        canvas.text(x + width, base, f"{count(last)} steps", MUTED, size=11, align="right")


def _dots(
    canvas: Canvas,
    steps: np.ndarray,
    values: np.ndarray,
    left: float,
    top: float,
    width: float,
    height: float,
    last: float,
    low: float,
    high: float,
) -> None:
    """The last point, and those that no line reaches because their neighbours are not finite."""
    finite = np.isfinite(values)
    before = np.concatenate([[False], finite[:-1]])
    after = np.concatenate([finite[1:], [False]])
    alone = finite & ~before & ~after
    alone[np.flatnonzero(finite)[-1]] = True
    for index in np.flatnonzero(alone):
        across = left + width * steps[index] / last
        canvas.dot(across, top + height * (high - values[index]) / (high - low), 2.75, ACCENT)


def _thinned(curve: Curve) -> Curve:
    """Means of neighbours, where there are more points than can be seen."""
    if len(curve.steps) <= _POINTS:
        return Curve(curve.steps, np.where(np.isfinite(curve.values), curve.values, np.nan))
    steps, values = [], []
    for part in np.array_split(np.arange(len(curve.steps)), _POINTS):
        known = curve.values[part][np.isfinite(curve.values[part])]
        steps.append(curve.steps[part].mean())
        values.append(known.mean() if len(known) else math.nan)
    return Curve(np.array([*steps[:-1], curve.steps[-1]]), np.array(values))


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Of the axis: all that is shown, and zero where it is near."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if low == high:
        return low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    if 0 < low < (high - low):
        low = 0.0
    margin = (high - low) / 12
    return low if low == 0 else low - margin, high + margin


def _ticks(low: float, high: float) -> list[float]:
    """Two or three round numbers."""
    from matplotlib.ticker import MaxNLocator

    found = MaxNLocator(nbins=3, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in found if low <= tick <= high]


def _not_finite(loss: Curve | None) -> Markup | None:
    if loss is None or np.isfinite(loss.values).all():
        return None
    steps = [count(step) for step in loss.steps[~np.isfinite(loss.values)]]
    more = f" and {len(steps) - 8} more" if len(steps) > 8 else ""
    return element("p", f"The loss was not finite at step {', '.join(steps[:8])}{more}.")
