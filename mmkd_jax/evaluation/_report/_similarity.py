"""Whether the student finds alike what its teacher finds alike."""

import numpy as np

from mmkd_jax.evaluation._report._details import Similarity
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section
from mmkd_jax.evaluation._report._pictures import MUTED, Box, Canvas
from mmkd_jax.evaluation._report._shades import Shades, on_both_grounds, scale, shaded


def similarity(run: Run) -> Markup | None:
    """Two maps of the same sentences, in the same order."""
    if run.similarity is None:
        return None
    found = _arranged(run.similarity)
    count = len(found.teacher)
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
        on_both_grounds(
            lambda shades, width: _draw(found, shades, width),
            "Maps of cosine similarities",
            "Of the teacher on the left, of the student on the right.",
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


def _draw(found: Similarity, shades: Shades, width: int | float) -> Canvas:
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
        shaded(canvas, Box(x, 24, each, each), (cosines - low) / (1 - low), shades)
    scale(canvas, 0, each + 42, f"{low:.1f}".replace("-", "−"), "1.0, the same", shades)
    return canvas


def _lowest(found: Similarity) -> float:
    """Where the scale begins, for both maps alike: a round number below all cosines."""
    lowest = min(found.teacher.min(), found.student.min())
    return min(float(np.floor(lowest * 10) / 10), 0.9)


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
