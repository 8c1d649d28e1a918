"""Pictures: matplotlib draws them, the page colours them.

A picture is drawn in colours that stand for a part they play. In the SVG they become the page's
own, so that one picture is right on light and on dark ground, and in print. Text stays text, in the
page's font.

Here alone matplotlib is imported, and only when something is drawn: whoever trains without looking
need not wait for it.
"""

import html
import re
from collections.abc import Callable
from io import StringIO
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax.evaluation._report._html import Markup, element

INK, MUTED, LINE, ACCENT, BEFORE = "#010101", "#020202", "#030303", "#040404", "#050505"
GROUND = "#060606"
OTHERS = ("#070701", "#070702", "#070703", "#070704", "#070705")  # what the run is compared with
_ROLES = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    BEFORE: "var(--before)",
    GROUND: "var(--ground)",
    **{colour: f"var(--other-{number})" for number, colour in enumerate(OTHERS, start=1)},
}
WIDE, NARROW = 720, 344  # pixels: the page's column, and that of a phone
_SETTINGS = {
    "svg.fonttype": "none",
    "image.composite_image": False,
    "font.family": "DejaVu Sans",  # comes with matplotlib; the page's font is what is seen
}
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


class Box(NamedTuple):
    """A rectangle of pixels, by its upper left corner."""

    x: int | float
    y: int | float
    width: int | float
    height: int | float


class Canvas:
    """An area of pixels, counted from the upper left corner.

    Args:
      width: In pixels.
      height: In pixels.
    """

    def __init__(self, width: int | float, height: int | float):
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        self.texts: list[str] = []
        # A point is a pixel then, for fonts and lines too.
        self.figure = Figure((width / 72, height / 72), dpi=72)
        self.figure.patch.set_visible(False)
        # Texts stand in front of everything, what is filled and drawn by pixels behind all axes.
        self.ground, self.front = (self.figure.add_axes((0, 0, 1, 1), zorder=z) for z in (-1, 1))
        for whole in (self.ground, self.front):
            whole.set(xlim=(0, width), ylim=(height, 0))
            whole.set_axis_off()

    def text(
        self,
        x: int | float,
        y: int | float,
        text: str,
        colour: str = INK,
        size: int | float = 13,
        align: str = "left",
        bold: bool = False,
        upright: bool = False,
    ) -> None:
        """Writes text that stands on the line at `y`, or that goes up from there."""
        # Matplotlib draws a mark, and `_svg` puts the text there: its fonts lack most scripts, and
        # what it would make of dollars and the like is not what is meant.
        mark = f"@{len(self.texts)}@"
        self.texts.append(text)
        weight = "bold" if bold else "normal"
        way = {"rotation": 90, "va": "bottom", "ha": "center"} if upright else {"ha": align}
        self.front.text(x, y, mark, color=colour, fontsize=size, fontweight=weight, **way)

    def bar(self, box: Box, colour: str) -> None:
        """Fills a rectangle."""
        from matplotlib.patches import Rectangle

        self._add(Rectangle(box[:2], *box[2:], facecolor=colour, linewidth=0))

    def dot(self, x: int | float, y: int | float, radius: int | float, colour: str) -> None:
        """Fills a circle."""
        from matplotlib.patches import Circle

        self._add(Circle((x, y), radius, facecolor=colour, linewidth=0))

    def lines(
        self, segments: np.ndarray, width: int | float, colour: str, alpha: int | float = 1
    ) -> None:
        """Draws straight lines ``[n, 2, 2]``: of each both ends, of these x and y."""
        self._path(np.asarray(segments, float).reshape(-1, 2, 2), width, colour, alpha)

    def dots(self, points: np.ndarray, radius: int | float, colour: str) -> None:
        """Fills circles around points ``[n, 2]``."""
        # As lines without length, whose ends are round: one path, where circles were one each.
        ends = np.stack([points, points + (0.01, 0)], axis=1)
        self._path(ends, 2 * radius, colour, 1)

    def _path(
        self, segments: np.ndarray, width: int | float, colour: str, alpha: int | float
    ) -> None:
        from matplotlib.patches import PathPatch
        from matplotlib.path import Path

        codes = [Path.MOVETO, Path.LINETO] * len(segments)
        path = Path(segments.reshape(-1, 2), codes)
        path.should_simplify = False
        style = {"capstyle": "round", "linewidth": width, "edgecolor": colour, "alpha": alpha}
        self._add(PathPatch(path, facecolor="none", **style))

    def axes(self, box: Box) -> Any:
        """Axes of matplotlib, on transparent ground and without a frame."""
        left, bottom = box.x / self.width, 1 - (box.y + box.height) / self.height
        size = box.width / self.width, box.height / self.height
        axes = self.figure.add_axes((left, bottom, *size))
        axes.patch.set_visible(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, colors=MUTED, labelsize=11, pad=6)
        return axes

    def _add(self, patch: Any) -> None:
        patch.set_clip_on(False)
        self.ground.add_artist(patch)
        patch.set_clip_path(None)


def picture(
    draw: Callable[[int | float], Canvas], title: str, description: str | None = None
) -> Markup:
    """A picture in two widths, of which the page shows the one that fits.

    Args:
      draw: From a width in pixels to the picture.
      title: What it is.
      description: What it shows, for those who do not see it.
    """
    return element(
        "div",
        *(
            element("div", _svg(draw(width), title, description), class_=name)
            for width, name in ((WIDE, "wide"), (NARROW, "narrow"))
        ),
        class_="picture",
    )


def _svg(canvas: Canvas, title: str, description: str | None) -> Markup:
    import matplotlib

    file = StringIO()
    with matplotlib.rc_context(_SETTINGS):
        canvas.figure.savefig(file, format="svg", metadata=_NO_METADATA)
    whole = file.getvalue()
    body = whole[whole.index("</defs>") + len("</defs>") : whole.rindex("</svg>")]
    return element(
        "svg",
        element("title", title),
        element("desc", description) if description else None,
        Markup(_with_texts(_plain(body), canvas.texts)),
        viewBox=f"0 0 {canvas.width:g} {canvas.height:g}",
        role="img",
        aria_label=title,
    )


def _plain(svg: str) -> str:
    """Without what the page knows better, or has no use for."""
    svg = re.sub(r"<defs>.*?</defs>|<!--.*?-->", "", svg, flags=re.DOTALL)
    # Nothing is clipped, so that nothing is referred to by name.
    svg = re.sub(r' (?:id|clip-path|transform)="(?:[^"(]*|url\([^"]*|rotate\(-0 [^"]*)"', "", svg)
    svg = re.sub(r"font-family: [^;\"]*(?:; )?", "", svg)
    svg = svg.replace("xlink:href", "href").replace("base64,\n", "base64,")
    for colour, role in _ROLES.items():
        svg = svg.replace(colour, role)
    return re.sub(r"<g/>|\n(?=\s*\n|<)", "", re.sub(r"\n\s*", "\n", svg))


def _with_texts(svg: str, texts: list[str]) -> str:
    return re.sub(r"@(\d+)@", lambda mark: html.escape(texts[int(mark[1])]), svg)
