"""Where sentences and their translations lie, before and after, in two dimensions."""

import functools

import numpy as np
from jaxtyping import Float

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._details import Space
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section
from mmkd_jax.evaluation._report._numbers import plural
from mmkd_jax.evaluation._report._pictures import (
    ACCENT,
    BEFORE,
    GROUND,
    MUTED,
    Box,
    Canvas,
    picture,
)
from mmkd_jax.evaluation._report._runs import legend


def space(run: Run) -> Markup | None:
    """English sentences, each with lines to its translations."""
    found = run.space
    if found is None or not _own(found)[1].size:
        return None
    english, own = _own(found)
    spread = [_spread(vectors, own) for vectors in (found.before, found.after)]
    return section(
        "Sentences and their translations",
        element(
            "p",
            f"{plural(len(english), 'English sentence')} and {plural(len(own), 'translation')}, "
            "each with a line to its sentence, in the plane in which they differ most (principal "
            "components, before and after each by itself). A translation's distance from its "
            "sentence, over that from another English one: ",
            joined(f"{spread[0]:.2f} before, ", element("strong", f"{spread[1]:.2f}"), " now."),
        ),
        legend([("after", "English"), ("before", "translation")]),
        picture(
            functools.partial(_draw, found, english, own),
            "Sentences and their translations in a plane",
            "Before training on one map, after training on the other.",
        ),
        folded("The sentences", _sentences(found, english, own)),
    )


def _own(found: Space) -> tuple[np.ndarray, np.ndarray]:
    """Rows of English sentences; then ``[m, 2]``: rows of a translation and of its sentence."""
    where = {meaning: row for row, (_, code, meaning) in enumerate(found.texts) if code == "en"}
    pairs = [
        (row, where[meaning])
        for row, (_, code, meaning) in enumerate(found.texts)
        if code != "en" and meaning in where
    ]
    return np.array(list(where.values()), int), np.array(pairs, int).reshape(-1, 2)


def _spread(vectors: np.ndarray, own: np.ndarray) -> float:
    """Mean distance of translations to their sentences, over that to the other sentences."""
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    others = np.unique(own[:, 1])
    near = np.linalg.norm(units[own[:, 0]] - units[own[:, 1]], axis=1).mean()
    all_of_them = np.linalg.norm(units[own[:, 0], None] - units[None, others], axis=2)
    far = (all_of_them.sum() - near * len(own)) / max(len(own) * (len(others) - 1), 1)
    return float(near / far) if far > 0 else float("nan")


def plane(vectors: Float[np.ndarray, "n D"]) -> Float[np.ndarray, "n 2"]:
    """The two principal components, by a singular value decomposition.

    Vectors are scaled to length 1 first, as retrieval by cosine sees them. Of each component the
    largest weight is positive, so that the same vectors always give the same picture.
    """
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    centred = units - units.mean(axis=0)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    places = np.zeros((len(vectors), 2))
    known = min(2, len(values))
    largest = np.abs(right[:known]).argmax(axis=1)
    signs = np.where(right[np.arange(known), largest] < 0, -1.0, 1.0)
    places[:, :known] = left[:, :known] * values[:known] * signs
    return places


def _draw(found: Space, english: np.ndarray, own: np.ndarray, width: int | float) -> Canvas:
    wide = width > 500
    each = (width - 40) / 2 if wide else width
    canvas = Canvas(width, each + 30 if wide else 2 * (each + 30) + 16)
    for number, (title, vectors) in enumerate((("Before", found.before), ("Now", found.after))):
        x, y = (number * (each + 40), 0) if wide else (0, number * (each + 46))
        canvas.text(x, y + 13, title, bold=True)
        _map(canvas, Box(x, y + 26, each, each), plane(vectors), english, own)
    return canvas


def _map(
    canvas: Canvas, box: Box, places: np.ndarray, english: np.ndarray, own: np.ndarray
) -> None:
    """Both directions in the same measure; numbers of the English sentences in their dots."""
    shown = places[np.union1d(english, own[:, 0])]
    middle = (shown.max(axis=0) + shown.min(axis=0)) / 2
    reach = float(np.abs(shown - middle).max()) or 1.0
    inner = box.width / 2 - 12
    points = (places - middle) / reach * inner * (1, -1)
    points = points + (box.x + box.width / 2, box.y + box.width / 2)
    canvas.lines(points[own], 1, MUTED, alpha=0.35)
    canvas.dots(points[own[:, 0]], 2.25, BEFORE)
    canvas.dots(points[english], 9, GROUND)
    canvas.dots(points[english], 7.5, ACCENT)
    for number, row in enumerate(english, start=1):
        x, y = points[row]
        canvas.text(
            float(x), float(y) + 3.6, str(number), GROUND, size=10, align="center", bold=True
        )


def _sentences(found: Space, english: np.ndarray, own: np.ndarray) -> Markup:
    rows = []
    for row in english:
        translations = [found.texts[other] for other, mine in own if mine == row]
        rows.append(
            element(
                "li",
                element("span", found.texts[row][0], dir="auto"),
                *(
                    element(
                        "span",
                        f"{text} ",
                        element("small", language_name(code)),
                        dir="auto",
                        class_="translation",
                    )
                    for text, code, _ in translations
                ),
            )
        )
    return element("ol", *rows, class_="sentences")
