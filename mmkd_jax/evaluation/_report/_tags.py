"""Which tags are taken for which others."""

import numpy as np

from mmkd_jax.evaluation._report._details import Tagging
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section, table
from mmkd_jax.evaluation._report._numbers import count, percent
from mmkd_jax.evaluation._report._pictures import Box, Canvas
from mmkd_jax.evaluation._report._shades import Shades, labelled_map, on_both_grounds, scale

_MOST = 24  # tags of the picture
_LONGEST = 12  # letters of a tag
_LISTED = 12  # mistakes of the table


def tags(found: Tagging) -> Markup | None:
    """A map of gold tags by predicted ones, and the most frequent mistakes."""
    total = found.confusion.sum()
    if not total:
        return None
    order = _order(found)
    right = 100 * float(np.trace(found.confusion) / total)
    left_out = f" Shown are the {_MOST} most frequent tags." if len(order) > _MOST else ""
    return section(
        "Confusion of tags",
        element(
            "p",
            "Of the words with the row's gold tag, how many percent got the column's. Of all "
            f"{count(total)} words ",
            joined(element("strong", percent(right)), " got the right one."),
            left_out or None,
        ),
        on_both_grounds(
            lambda shades, width: _draw(found, order[:_MOST], shades, width),
            "Confusion of tags",
            "A map of gold tags by predicted tags. The diagonal is what is right.",
        ),
        folded("The most frequent mistakes", _mistakes(found)),
    )


def _order(found: Tagging) -> list[int]:
    """Tags that occur, in the order of the tag set, or the frequent ones first if all are many."""
    words = found.confusion.sum(axis=1) + found.confusion.sum(axis=0)
    used = [index for index in range(len(found.tags)) if words[index]]
    return used if len(used) <= _MOST else sorted(used, key=lambda index: -words[index])


def _draw(found: Tagging, order: list[int], shades: Shades, width: int | float) -> Canvas:
    names = [_cut(found.tags[index]) for index in order]
    left = 14 + 6.8 * max(map(len, names))
    size = min(width - left, 56 * len(order))
    canvas = Canvas(width, left + size + 36)
    words = found.confusion[order].sum(axis=1, keepdims=True)
    counts = found.confusion[np.ix_(order, order)]
    share = np.divide(counts, words, out=np.full(counts.shape, np.nan), where=words > 0)
    percents = np.where(share >= 0.005, 100 * share, np.nan)
    # By the square root: a few percent, which is what mistakes are, would be as good as nothing.
    labelled_map(canvas, Box(left, left, size, size), np.sqrt(share), shades, names, percents)
    scale(canvas, left, left + size + 16, "0", "100\u00a0%, halfway 25\u00a0%", shades)
    return canvas


def _cut(tag: str) -> str:
    return tag if len(tag) <= _LONGEST else tag[: _LONGEST - 1] + "…"


def _mistakes(found: Tagging) -> Markup:
    wrong = found.confusion.copy()
    np.fill_diagonal(wrong, 0)
    places = np.argsort(-wrong, axis=None, kind="stable")[:_LISTED]
    words = found.confusion.sum(axis=1)
    rows = []
    for row, column in zip(*np.unravel_index(places, wrong.shape), strict=True):
        if wrong[row, column]:
            share = percent(100 * float(wrong[row, column] / words[row]))
            names = (element("code", found.tags[index]) for index in (row, column))
            rows.append([*names, count(wrong[row, column]), share])
    return table(["Gold", "Predicted", "Words", "Of the gold tag"], rows, numeric=(2, 3))
