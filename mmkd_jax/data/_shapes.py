"""A few row lengths for all batches of a run, chosen from the lengths of the data."""

from itertools import product

import numpy as np

_CHANGES = (-4, -2, -1, 1, 2, 4)  # in multiples, when shapes are improved


def fit_shapes(
    lengths: np.ndarray,
    prices: tuple[float, ...],
    most: int = 6,
    multiple: int = 4,
    counts: np.ndarray | None = None,
) -> np.ndarray:
    """Chooses at most so many shapes, so that rows hold little padding.

    An example goes into the cheapest shape that holds it. First the edges of the last column
    (the longest row) are found exactly, by dynamic programming; then single numbers of the shapes
    are moved as long as the price of all examples falls.

    Args:
      lengths: ``[n, D]``, how long an example's rows are, one a view.
      prices: ``[D]``, what a slot of each view costs.
      most: shapes at most; each is compiled once.
      multiple: row lengths are multiples of it, or the longest there is.
      counts: ``[n]``, how often each example comes; by default once.

    Returns:
      ``[K, D]``, K <= most, each at least as large as the one before in every view; the last one
      holds every example.
    """
    lengths, prices = np.asarray(lengths), np.asarray(prices, np.float64)
    if lengths.ndim != 2 or not len(lengths) or lengths.shape[1] != len(prices):
        raise ValueError(
            f"lengths must be [n, {len(prices)}], a column a price, got {lengths.shape}"
        )
    if most < 1 or multiple < 1:
        raise ValueError(f"most and multiple must be at least 1, got {most} and {multiple}")
    counts = np.ones(len(lengths)) if counts is None else np.asarray(counts, np.float64)
    lengths = np.maximum(lengths, 1)  # an array without columns is of use to nobody
    rounded = np.minimum(-(-lengths // multiple) * multiple, lengths.max(axis=0))
    rows, counts = _distinct(rounded, counts)
    edges = _best_edges(rows[:, -1], counts, most)
    shapes = _first_guess(rows, edges, multiple)
    return _improved(shapes, rows, counts, prices, multiple)


def assign(lengths: np.ndarray, shapes: np.ndarray) -> np.ndarray:
    """The first shape that holds each example, ``[n]``; ValueError where there is none."""
    found = np.full(len(lengths), -1)
    for number in reversed(range(len(shapes))):
        found[(lengths <= shapes[number]).all(axis=1)] = number
    if (found < 0).any():
        longest = lengths.max(axis=0).tolist()
        raise ValueError(f"shapes must hold the longest rows, {longest}, got {shapes.tolist()}")
    return found


def _distinct(rows: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that differ, and how often each comes."""
    base = int(rows.max()) + 1
    codes = rows @ base ** np.arange(rows.shape[1])  # sorting numbers is quicker than rows
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    return rows[first], np.bincount(inverse, weights=counts, minlength=len(first))


def _best_edges(values: np.ndarray, counts: np.ndarray, most: int) -> np.ndarray:
    """At most so many edges, the sum over all values of the edge above each being least."""
    edges, inverse = np.unique(values, return_inverse=True)
    below = np.concatenate([[0], np.cumsum(np.bincount(inverse, weights=counts))])
    # cost[i, j]: values above edge i and up to edge j are put into rows of length edges[j].
    number = np.arange(len(edges))
    cost = (below[1:][None] - below[1:][:, None]) * edges[None]
    cost = np.where(number[:, None] < number[None], cost, np.inf)
    best, came_from = below[1:] * edges, []
    for _ in range(min(most, len(edges)) - 1):
        total = best[:, None] + cost
        came_from.append(total.argmin(axis=0))
        best = total.min(axis=0)
    chosen = [len(edges) - 1]
    for step in reversed(came_from):
        chosen.append(int(step[chosen[-1]]))
    return edges[chosen[::-1]]


def _first_guess(rows: np.ndarray, edges: np.ndarray, multiple: int) -> np.ndarray:
    """Other columns in proportion to the last: most examples of a shape fit that."""
    top = rows.max(axis=0)
    shapes = []
    for edge in edges:
        near = rows[rows[:, -1] <= edge]
        typical = np.percentile(near / near[:, -1:], 80, axis=0) * edge
        shapes.append(np.ceil(typical / multiple).astype(np.int64) * multiple)
    shapes = np.minimum(np.array(shapes), top)
    shapes[:, -1], shapes[-1] = edges, top
    return shapes


def _improved(
    shapes: np.ndarray, rows: np.ndarray, counts: np.ndarray, prices: np.ndarray, multiple: int
) -> np.ndarray:
    top = rows.max(axis=0)

    def price(shapes: np.ndarray) -> float:
        of_shape = np.bincount(assign(rows, shapes), weights=counts, minlength=len(shapes))
        return float(of_shape @ (shapes @ prices))

    def nested(shapes: np.ndarray) -> np.ndarray:
        in_order = shapes[np.argsort(shapes @ prices, kind="stable")]
        return np.maximum.accumulate(in_order, axis=0)

    shapes = nested(shapes)
    best, improves = price(shapes), True
    while improves:
        improves = False
        for k, column, change in product(range(len(shapes) - 1), range(len(top)), _CHANGES):
            length = _moved(int(shapes[k, column]), change, multiple)
            if multiple <= length <= top[column]:
                moved = shapes.copy()
                moved[k, column] = length
                moved = nested(moved)
                if (now := price(moved)) < best:
                    best, shapes, improves = now, moved, True
    return shapes


def _moved(length: int, change: int, multiple: int) -> int:
    """So many multiples further, counted from the next one: the longest length may be none."""
    whole = length // multiple if change > 0 else -(-length // multiple)
    return (whole + change) * multiple
