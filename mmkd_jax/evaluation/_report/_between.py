"""Which language finds its sentences in which other one."""

import numpy as np

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._details import Between
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section, table
from mmkd_jax.evaluation._report._numbers import count, percent
from mmkd_jax.evaluation._report._pictures import Box, Canvas
from mmkd_jax.evaluation._report._shades import Shades, labelled_map, on_both_grounds, scale
from mmkd_jax.evaluation._resources import resource_class


def between(run: Run) -> Markup | None:
    """A map of languages by languages."""
    found = run.between
    if found is None or not np.isfinite(found.after).any():
        return None
    found = _arranged(found)
    known = np.isfinite(found.after)
    sentences = found.sentences[known]
    few, many = count(sentences.min()), count(sentences.max())
    among = few if few == many else f"{few} to {many}"
    before, after = (
        np.nanmean(table) if np.isfinite(table).any() else np.nan for table in found[1:3]
    )
    return section(
        "From language to language",
        element(
            "p",
            f"Sentences of the row's language look for their counterparts in the column's, among "
            f"{among} that both languages have. Shown is how often the nearest one is the right "
            "one, in percent. On average: ",
            joined(element("strong", percent(float(after))), f", {percent(float(before))} before"),
            " training.",
        ),
        on_both_grounds(
            lambda shades, width: _draw(found, shades, width),
            "Retrieval from language to language",
            f"A map of {len(found.languages)} languages by as many: the darker on light ground, "
            "the more is found.",
        ),
        folded("The same as a table", _table(found)),
    )


def _arranged(found: Between) -> Between:
    """English first, then the best resourced languages."""
    order = sorted(
        range(len(found.languages)),
        key=lambda index: (
            found.languages[index] != "en",
            -(resource_class(found.languages[index]) or 0),
            found.languages[index],
        ),
    )
    square = np.ix_(order, order)
    names = [found.languages[index] for index in order]
    return Between(names, *(cells[square] for cells in found[1:]))


def _draw(found: Between, shades: Shades, width: int | float) -> Canvas:
    left = 14 + 6.6 * min(max(map(len, found.languages)), 8)
    size = min(width - left, 64 * len(found.languages))
    canvas = Canvas(width, left + size + 36)
    names = [code if len(code) <= 8 else code[:7] + "…" for code in found.languages]
    box = Box(left, left, size, size)
    labelled_map(canvas, box, found.after / 100, shades, names, found.after)
    scale(canvas, left, left + size + 16, "0", "100\u00a0%", shades)
    return canvas


def _table(found: Between) -> Markup:
    """From a language to all others and back, on average."""
    rows = []
    for index, code in enumerate(found.languages):
        cells = (found.before[index], found.after[index], found.after[:, index])
        means = (float(np.nanmean(row)) if np.isfinite(row).any() else None for row in cells)
        rows.append([language_name(code), element("code", code), *map(percent, means)])
    head = ["Language", "Code", "Finds, before", "Finds", "Is found"]
    return table(head, rows, numeric=(2, 3, 4))
