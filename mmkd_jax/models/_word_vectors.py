"""Word vectors from a file."""

from collections.abc import Container
from pathlib import Path

import numpy as np


def read_vectors(
    path: str | Path, words: Container[str] | None = None, limit: int | None = None
) -> tuple[list[str], np.ndarray]:
    r"""Reads word vectors in the text format of word2vec and fastText (``.vec``).

    The first line gives the number of words and the width; each other line has a word and its
    numbers, separated by single spaces. A word that comes again is left out.

    Example:
      >>> import pathlib, tempfile
      >>> from mmkd_jax import models
      >>> file = pathlib.Path(tempfile.mkdtemp()) / "two.vec"
      >>> _ = file.write_text("2 3\nHaus 1 2 3\nStraße 4 5 6\n", encoding="utf-8")
      >>> models.read_vectors(file, words={"Straße"})
      (['Straße'], array([[4., 5., 6.]], dtype=float32))

    Args:
      path: The file.
      words: Only these, if given: what a corpus does not have need not be kept.
      limit: At most so many, the first of the file, which are the most frequent ones.

    Returns:
      The words and their vectors ``[V, D]``, float32.

    Raises:
      ValueError: What is wrong, and in which line.
    """
    found: list[str] = []
    vectors: list[np.ndarray] = []
    seen: set[str] = set()
    with open(path, encoding="utf-8", errors="strict", newline="\n") as lines:
        width = _width(path, lines.readline())
        for number, line in enumerate(lines, start=2):
            if limit is not None and len(found) >= limit:
                break
            word, *values = line.rstrip(" \r\n").split(" ")
            # Some words hold spaces (no-break ones among them): the numbers are the last ones.
            if len(values) > width:
                word = " ".join([word, *values[:-width]])
                values = values[-width:]
            if word in seen or (words is not None and word not in words):
                continue
            if len(values) != width:
                raise ValueError(
                    f"{path}:{number}: a word and {width} numbers were expected, "
                    f"got {len(values)} numbers"
                )
            try:
                vectors.append(np.array(values, np.float32))
            except ValueError as error:
                raise ValueError(f"{path}:{number}: not all are numbers: {error}") from None
            found.append(word)
            seen.add(word)
    return found, np.array(vectors, np.float32).reshape(len(found), width)


def _width(path: str | Path, header: str) -> int:
    sizes = header.split()
    if len(sizes) != 2 or not all(size.isdecimal() for size in sizes) or int(sizes[1]) < 1:
        raise ValueError(
            f"{path}:1: the number of words and the width were expected, got {header[:40]!r}"
        )
    return int(sizes[1])
