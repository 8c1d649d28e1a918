"""Maps of shades: a number is a colour, from far to near, on light ground and on dark."""

import functools
from collections.abc import Callable

import numpy as np

from mmkd_jax.evaluation._report._html import Markup, element, joined
from mmkd_jax.evaluation._report._pictures import GROUND, INK, LINE, MUTED, Box, Canvas, picture

Shades = tuple[str, ...]
# One hue, evenly lighter or darker.
_SHADES = {
    "on-light": ("#ffffff", "#dbe8fb", "#a5c6f5", "#5d97e8", "#1a66cc", "#0c3f8a", "#06224d"),
    "on-dark": ("#15181c", "#16304f", "#1b4a80", "#2b6cb8", "#5a9bea", "#a3c8f8", "#f1f7ff"),
}
_TURN = 0.55  # from here on text in the colour of the ground can be read better


def on_both_grounds(
    draw: Callable[[Shades, int | float], Canvas], title: str, description: str | None = None
) -> Markup:
    """A picture for light and one for dark ground; `draw` is given the shades and the width."""
    return joined(
        *(
            element(
                "div", picture(functools.partial(draw, shades), title, description), class_=ground
            )
            for ground, shades in _SHADES.items()
        )
    )


def shaded(canvas: Canvas, box: Box, values: np.ndarray, shades: Shades) -> None:
    """Numbers from 0 to 1 as shades, in a thin frame; nan stays empty."""
    from matplotlib.colors import LinearSegmentedColormap

    canvas.bar(Box(box.x - 1, box.y - 1, box.width + 2, box.height + 2), LINE)
    axes = canvas.axes(box)
    axes.set_axis_off()
    colours = LinearSegmentedColormap.from_list("near", shades)
    axes.imshow(values, colours, vmin=0, vmax=1, interpolation="none", aspect="auto", clip_on=False)


def labelled_map(
    canvas: Canvas,
    box: Box,
    values: np.ndarray,
    shades: Shades,
    names: list[str],
    cells: np.ndarray | None = None,
) -> None:
    """A map whose rows and columns have the same names, left of it and above it.

    Args:
      canvas: To draw on.
      box: Of the map; names are outside.
      values: ``[n, n]`` from 0 to 1; nan stays empty.
      shades: Colours.
      names: Of rows and columns.
      cells: Numbers to write into the cells, where these are large enough.
    """
    shaded(canvas, box, values, shades)
    size = box.width / len(names)
    letters = min(12.0, size * 0.95)
    every = 1 if size >= 7 else 2  # names that would run into one another: every other one
    for number, name in enumerate(names):
        if number % every:
            continue
        middle = (number + 0.5) * size
        canvas.text(
            box.x - 6, box.y + middle + letters * 0.36, name, MUTED, size=letters, align="right"
        )
        canvas.text(box.x + middle, box.y - 6, name, MUTED, size=letters, upright=True)
    if cells is None or size < 22:
        return
    for row, column in np.ndindex(cells.shape):
        if np.isfinite(cells[row, column]) and np.isfinite(values[row, column]):
            canvas.text(
                box.x + (column + 0.5) * size,
                box.y + (row + 0.5) * size + 3.8,
                f"{cells[row, column]:.0f}",
                GROUND if values[row, column] >= _TURN else INK,
                size=min(11.0, size * 0.42),
                align="center",
            )


def scale(
    canvas: Canvas, x: int | float, y: int | float, low: str, high: str, shades: Shades
) -> None:
    """Which shade is which number."""
    start = x + 8 + 6.5 * len(low)
    canvas.text(x, y + 9, low, MUTED, size=11)
    shaded(canvas, Box(start, y, 140, 10), np.linspace(0, 1, 64)[None], shades)
    canvas.text(start + 150, y + 9, high, MUTED, size=11)
