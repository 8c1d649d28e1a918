"""How training went: small pictures side by side, all over the same steps."""

import functools
import math
from typing import NamedTuple

import numpy as np

from mmkd_jax.evaluation._report._files import MEANS, Curve, Run
from mmkd_jax.evaluation._report._html import Markup, element, section
from mmkd_jax.evaluation._report._numbers import count, short
from mmkd_jax.evaluation._report._pictures import (
    ACCENT,
    LINE,
    MUTED,
    OTHERS,
    Box,
    Canvas,
    picture,
)
from mmkd_jax.evaluation._report._runs import colour_class, legend

_LEVELS = ("token", "word", "sentence", "structure")
_NOT_LOSSES = ("loss", "finite", "gradient_norm", "learning_rate", "skipped", "epoch")
_POINTS = 300  # of a curve; more than a picture has pixels for
_HEIGHT, _GAP, _AXIS = 126, 36, 26
_TICKS = 34  # space for the numbers beside a curve


class _Panel(NamedTuple):
    title: str
    curve: Curve
    others: list[Curve | None]  # by run


def curves(run: Run) -> Markup | None:
    """Loss, its levels, learning rate, speed and retrieval."""
    panels = _panels(run)
    if not panels:
        return None
    return section(
        "Training",
        element(
            "p",
            "Each from its first value to its last, over the same steps. Levels and objectives "
            "are shown unweighted. Training time, above, is that of the steps alone.",
        ),
        _legend(run),
        picture(
            functools.partial(_draw, panels),
            "Curves of training over its steps",
            f"{', '.join(panel.title for panel in panels)}.",
        ),
        _not_finite(run.metrics.get("loss")),
    )


def _legend(run: Run) -> Markup | None:
    if not run.others:
        return None
    others = ((colour_class(place), other.name) for place, other in enumerate(run.others))
    return legend([("after", run.name), *others])


def _panels(run: Run) -> list[_Panel]:
    metrics = run.metrics
    others = [name for name in metrics if name not in (*_LEVELS, *_NOT_LOSSES) and "/" not in name]
    levels = [name for name in _LEVELS if name in metrics]
    means = [name for name in metrics if "/" in name and name.split("/")[-1] in MEANS]
    wanted = [
        ("Loss", "loss"),
        *((f"{_spelt(name)} level", name) for name in levels),
        *((name.upper() if len(name) <= 3 else _spelt(name), name) for name in sorted(others)),
        ("Learning rate", "learning_rate"),
        ("Gradient norm", "gradient_norm"),
        (f"{run.unit.capitalize()} per second", "per_second/pairs"),
        ("Tokens per second", "per_second/tokens"),
        *((f"{_spelt(name.rpartition('/')[0])}, mean %", name) for name in means),
    ]
    found = []
    for title, name in wanted:
        curve, *rest = ({**one.metrics, **one.speed}.get(name) for one in (run, *run.others))
        if curve is not None and np.isfinite(curve.values).sum() > 1:
            found.append(_Panel(title, curve, rest))
    return found


def _spelt(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _draw(panels: list[_Panel], width: int | float) -> Canvas:
    columns, space = (3, 28) if width > 500 else (2, 22)
    rows = -(-len(panels) // columns)
    each = (width - space * (columns - 1)) / columns
    canvas = Canvas(width, rows * (_HEIGHT + _GAP) + _AXIS)
    last = max(curve.steps[-1] for panel in panels for curve in _known(panel)) or 1.0
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        box = Box(column * (each + space), row * (_HEIGHT + _GAP), each, _HEIGHT)
        _draw_panel(canvas, panel, box, last)
        if number + columns >= len(panels):  # the lowest of its column
            base = box.y + _HEIGHT + 20
            canvas.text(box.x + _TICKS, base, "0", MUTED, size=11)
            canvas.text(box.x + each, base, f"{count(last)} steps", MUTED, size=11, align="right")
    return canvas


def _draw_panel(canvas: Canvas, panel: _Panel, box: Box, last: int | float) -> None:
    known = panel.curve.values[np.isfinite(panel.curve.values)]
    canvas.text(box.x, box.y + 13, panel.title, bold=True)
    canvas.text(box.x, box.y + 31, f"{short(known[0])} → {short(known[-1])}", MUTED, size=12)
    axes = canvas.axes(Box(box.x + _TICKS, box.y + 42, box.width - _TICKS, box.height - 42))
    style = {"clip_on": False, "solid_capstyle": "round"}
    for place, other in enumerate(panel.others):
        if other is not None:
            colour = OTHERS[place % len(OTHERS)]
            axes.plot(*_thinned(other), color=colour, linewidth=1.25, **style)
    curve = _thinned(panel.curve)
    axes.plot(*curve, color=ACCENT, linewidth=1.75, **style)
    low, high = _limits(np.concatenate([_thinned(one).values for one in _known(panel)]))
    axes.set(xlim=(0, last), ylim=(low, high), xticks=[])
    axes.grid(axis="y", color=LINE, linewidth=1, clip_on=False)
    axes.set_axisbelow(True)
    ticks = _ticks(low, high)
    axes.set_yticks(ticks, [short(tick) for tick in ticks])
    for index in _dotted(curve.values):
        x, y = axes.transData.transform((curve.steps[index], curve.values[index]))
        canvas.dot(x, canvas.height - y, 2.75, ACCENT)


def _known(panel: _Panel) -> list[Curve]:
    return [panel.curve, *(other for other in panel.others if other is not None)]


def _dotted(values: np.ndarray) -> np.ndarray:
    """The last point, and those that no line reaches because their neighbours are not finite."""
    finite = np.isfinite(values)
    before = np.concatenate([[False], finite[:-1]])
    after = np.concatenate([finite[1:], [False]])
    alone = finite & ~before & ~after
    alone[np.flatnonzero(finite)[-1]] = True
    return np.flatnonzero(alone)


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


def _ticks(low: int | float, high: int | float) -> list[float]:
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
