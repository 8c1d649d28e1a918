"""Whether the student finds alike what its teacher finds alike."""

import functools

import numpy as np

from mmkd_jax.evaluation._report._files import Run, Similarity
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section
from mmkd_jax.evaluation._report._pictures import LINE, MUTED, Box, Canvas, picture

# From far to near, on light ground and on dark: one hue, evenly lighter or darker.
_SHADES = {
    "on-light": ("#ffffff", "#dbe8fb", "#a5c6f5", "#5d97e8", "#1a66cc", "#0c3f8a", "#06224d"),
    "on-dark": ("#15181c", "#16304f", "#1b4a80", "#2b6cb8", "#5a9bea", "#a3c8f8", "#f1f7ff"),
}


def similarity(run: Run) -> Markup | None:
    """Two maps of the same sentences, in the same order."""
    if run.similarity is None:
        return None
    found = _arranged(run.similarity)
    count = len(found.teacher)
    label = "Maps of cosine similarities: of the teacher on the left, of the student on the right"
    agreement = _agreement(found)
    return section(
        "Teacher and student",
        element(
            "p",
            f"The same {count} held-out sentences twice: the teacher reads them in English, the "
            "student in translation. A cell is the cosine of two sentences; neighbours are what "
            "the teacher finds alike. ",
            joined("The two maps correlate with ", element("strong", f"{agreement:.2f}"), ".")
            if agreement is not None
            else None,
        ),
        *(
            element("div", picture(functools.partial(_draw, found, shades), label), class_=ground)
            for ground, shades in _SHADES.items()
        ),
        _sentences(found.texts),
    )


def _arranged(found: Similarity) -> Similarity:
    """With sentences next to each other that the teacher finds alike."""
    order = _order(found.teacher)
    square = np.ix_(order, order)
    texts = [found.texts[index] for index in order] if found.texts else []
    return Similarity(found.teacher[square], found.student[square], texts)


def _order(cosines: np.ndarray) -> np.ndarray:
    """From each sentence to the nearest one that is left, beginning at the most peculiar one."""
    cosines = (cosines + cosines.T) / 2
    here = int(cosines.sum(axis=1).argmin())
    order, left = [here], np.ones(len(cosines), bool)
    left[here] = False
    while left.any():
        here = int(np.where(left, cosines[here], -np.inf).argmax())
        order.append(here)
        left[here] = False
    return np.array(order)


def _agreement(found: Similarity) -> float | None:
    """Pearson's correlation over all pairs of different sentences."""
    above = np.triu_indices(len(found.teacher), 1)
    teacher, student = found.teacher[above], found.student[above]
    if teacher.std() < 1e-9 or student.std() < 1e-9:
        return None
    return float(np.corrcoef(teacher, student)[0, 1])


def _draw(found: Similarity, shades: tuple[str, ...], width: int | float) -> Canvas:
    space = 40 if width > 500 else 16
    each = (width - space) / 2
    canvas = Canvas(width, each + 56)
    low = _lowest(found)
    for x, title, reads, cosines in (
        (0, "Teacher", "English", found.teacher),
        (each + space, "Student", "translations", found.student),
    ):
        canvas.text(x, 13, title, bold=True)
        canvas.text(x + each, 13, reads, MUTED, size=12, align="right")
        _map(canvas, Box(x, 24, each, each), (cosines - low) / (1 - low), shades)
    # Which shade is which cosine.
    top = each + 42
    canvas.text(0, top + 9, f"{low:.1f}".replace("-", "−"), MUTED, size=11)
    _map(canvas, Box(32, top, 160, 10), np.linspace(0, 1, 64)[None], shades)
    canvas.text(202, top + 9, "1.0, the same", MUTED, size=11)
    return canvas


def _lowest(found: Similarity) -> float:
    """Where the scale begins, for both maps alike: a round number below all cosines."""
    lowest = min(found.teacher.min(), found.student.min())
    return min(float(np.floor(lowest * 10) / 10), 0.9)


def _map(canvas: Canvas, box: Box, values: np.ndarray, shades: tuple[str, ...]) -> None:
    """Numbers from 0 to 1 as shades, in a thin frame."""
    from matplotlib.colors import LinearSegmentedColormap

    canvas.bar(Box(box.x - 1, box.y - 1, box.width + 2, box.height + 2), LINE)
    axes = canvas.axes(box)
    axes.set_axis_off()
    colours = LinearSegmentedColormap.from_list("near", shades)
    axes.imshow(values, colours, vmin=0, vmax=1, interpolation="none", aspect="auto", clip_on=False)


def _sentences(texts: list[tuple[str, ...]]) -> Markup | None:
    if not texts:
        return None
    rows = (
        element(
            "li",
            *(
                element("span", part, dir="auto", class_=None if first else "translation")
                for first, part in zip([True] + [False] * len(text), text, strict=False)
            ),
        )
        for text in texts
    )
    return folded("The sentences, from top to bottom", element("ol", *rows, class_="sentences"))
