"""Sentences that are too long for an encoder, in windows that overlap."""

from typing import NamedTuple

import numpy as np


class Window(NamedTuple):
    """Words of a sentence that are read together.

    Attributes:
      begin: The first word.
      end: The one after the last.
    """

    begin: int
    end: int


def windows(subwords: np.ndarray, room: int) -> list[Window]:
    """Windows of whole words, about half of each new.

    >>> import numpy as np
    >>> from mmkd_jax.inference._windows import windows
    >>> windows(np.array([1, 1, 2, 1, 3, 1, 1]), room=5)
    [Window(begin=0, end=4), Window(begin=3, end=6), Window(begin=4, end=7)]

    Args:
      subwords: ``[W]``, how many each word has, at most `room`.
      room: Subwords a window at most.
    """
    ends = np.cumsum(subwords)
    found: list[Window] = []
    begin = 0
    while True:
        before = int(ends[begin - 1]) if begin else 0
        end = int(np.searchsorted(ends, before + room, side="right"))
        if not found or end > found[-1].end:
            found.append(Window(begin, end))
        if end >= len(subwords):
            return found
        half = int(np.searchsorted(ends, before + room // 2, side="right"))
        begin = min(max(half, begin + 1), end)


def best_window(found: list[Window], subwords: np.ndarray) -> np.ndarray:
    """``[W]``, the window in which each word has most around it, up to the sentence's ends.

    >>> import numpy as np
    >>> from mmkd_jax.inference._windows import Window, best_window
    >>> best_window([Window(0, 4), Window(2, 6)], np.ones(6, int)).tolist()
    [0, 0, 0, 1, 1, 1]
    """
    ends = np.cumsum(subwords)
    starts, total = ends - subwords, len(subwords)
    around = np.full((len(found), total), -1.0)
    for row, (begin, end) in zip(around, found, strict=True):
        left = starts[begin:end] - starts[begin] if begin else np.inf
        right = ends[end - 1] - ends[begin:end] if end < total else np.inf
        row[begin:end] = np.minimum(np.minimum(left, right), ends[-1] if total else 0)
    return around.argmax(axis=0)
