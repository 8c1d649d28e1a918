"""Finding the translation of a sentence among many, by vectors."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

_BLOCK = 2048  # rows and columns of similarities that are held at once
_NEIGHBOURS = 4  # of margin scoring, as its paper has it
# Scores are computed in float32, and the same vectors may differ by this much by where they stand.
_TIE = 1e-6


def retrieval_accuracy(source: ArrayLike, target: ArrayLike, margin: bool = False) -> float:
    r"""The share of rows of ``source`` whose nearest row of ``target`` has the same number.

    Near is what has a high cosine :math:`c`. With ``margin`` it is divided by the mean cosine to
    the neighbours, which takes away the advantage of vectors that are near to everything:

    .. math:: \frac{c(x, y)}{\frac{1}{2k} \sum_{z \in N_k(x)} c(x, z)
              + \frac{1}{2k} \sum_{z \in N_k(y)} c(y, z)}, \quad k = 4.

    **Ties count as wrong**: the right row must be nearer than each other one, by more than 1e-6,
    which is what float32 can tell apart. So an encoder that gives all sentences one vector scores
    0, whatever their order. A zero vector has cosine 0 to everything. No ``n x n`` matrix is held.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax import evaluation
      >>> english = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
      >>> german = np.array([[5.0, 1.0], [0.0, 2.0], [0.1, 2.0]])
      >>> print(round(evaluation.retrieval_accuracy(german, english), 3))
      0.667

    Args:
      source: ``[n, D]``, what is looked up.
      target: ``[n, D]``, among what it is looked up.
      margin: Whether to score by margin.

    Returns:
      Between 0 and 1; nan if there are no rows.

    References:
      Artetxe and Schwenk, `Margin-based Parallel Corpus Mining with Multilingual Sentence
      Embeddings <https://arxiv.org/abs/1811.01136>`_, 2019.
    """
    source, target = np.asarray(source), np.asarray(target)
    if source.ndim != 2 or source.shape != target.shape:
        raise ValueError(
            "source and target must be [n, D], the same for both, got "
            f"{source.shape} and {target.shape}"
        )
    return accuracy_of(source, target, np.arange(len(target)), margin)


def retrieval_by_language(
    encode: Callable[[list[str]], np.ndarray],
    pairs_by_language: Mapping[str, Sequence[tuple]],
    margin: bool = False,
) -> dict[str, dict[str, float]]:
    """How well English sentences are found by their translations, and the other way round.

    Each language is a test of its own, among its own sentences. A sentence that stands there more
    than once is right wherever it is found. Otherwise as `retrieval_accuracy`.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax import evaluation
      >>> pairs = {"de": [("a cat", "eine Katze"), ("a dog", "ein Hund")]}
      >>> def encode(sentences):
      ...     return np.array([["at" in s, "og" in s or "un" in s] for s in sentences], float)
      >>> evaluation.retrieval_by_language(encode, pairs)["to_english"]
      {'de': 1.0, 'mean': 1.0}

    Args:
      encode: From a list of sentences to their vectors ``[n, D]``. It sees each English sentence
        once, however many languages have it.
      pairs_by_language: For each language, an English sentence and its translation, such as
        `data.Pair`; what follows them is passed over.
      margin: Whether to score by margin.

    Returns:
      "to_english" (a translation finds its English sentence), "from_english", and "mean", of the
      two directions. In each the share of every language, between 0 and 1, and their "mean".
    """
    pairs = {name: [(row[0], row[1]) for row in rows] for name, rows in pairs_by_language.items()}
    if empty := [name for name, rows in pairs.items() if not rows]:
        raise ValueError(f"pairs_by_language must have pairs for each language; {empty} has none")
    if not pairs:
        raise ValueError("pairs_by_language must have a language, got none")
    if "mean" in pairs:
        raise ValueError("pairs_by_language must have no language 'mean', which is the mean of all")
    distinct = {english: None for rows in pairs.values() for english, _ in rows}
    numbers = {text: number for number, text in enumerate(distinct)}
    english_vectors = np.asarray(encode(list(numbers)))
    found: dict[str, dict[str, float]] = {"to_english": {}, "from_english": {}, "mean": {}}
    for name, rows in pairs.items():
        english, others = map(list, zip(*rows, strict=True))
        ours = english_vectors[[numbers[text] for text in english]]
        theirs = np.asarray(encode(others))
        one = accuracy_of(theirs, ours, numbered(english), margin)
        other = accuracy_of(ours, theirs, numbered(others), margin)
        for direction, share in zip(found, (one, other, (one + other) / 2), strict=True):
            found[direction][name] = share
    return {key: row | {"mean": float(np.mean(list(row.values())))} for key, row in found.items()}


def numbered(texts: list[str]) -> np.ndarray:
    """A number for each text, the same for the same ones."""
    first: dict[str, int] = {}
    return np.array([first.setdefault(text, number) for number, text in enumerate(texts)])


def accuracy_of(
    source: np.ndarray, target: np.ndarray, names: Int[np.ndarray, " n"], margin: bool
) -> float:
    """How many rows find a row that has the name of that of their number."""
    if not len(source):
        return float("nan")
    source, target = unit_rows(source), unit_rows(target)
    if margin:
        near_source, near_target = _near(source, target), _near(target, source)
    right = np.full(len(source), -np.inf, np.float32)
    wrong = right.copy()
    for rows, columns, scores in _blocks(source, target):
        if margin:
            scores = scores / ((near_source[rows, None] + near_target[None, columns]) / 2)
        same = names[rows, None] == names[None, columns]
        best = np.where(same, scores, -np.inf).max(axis=1)
        right[rows] = np.maximum(right[rows], best)
        best = np.where(same, -np.inf, scores).max(axis=1)
        wrong[rows] = np.maximum(wrong[rows], best)
    return float((right - wrong > _TIE).mean())


def _near(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """For each row of source the mean cosine to its nearest rows of target."""
    count = min(_NEIGHBOURS, len(target))
    best = np.full((len(source), count), -np.inf, np.float32)
    for rows, _, scores in _blocks(source, target):
        found = np.concatenate([best[rows], scores], axis=1)
        best[rows] = np.partition(found, -count, axis=1)[:, -count:]
    # Of vectors that are near to nothing, the margin would change its sign.
    return np.maximum(best.mean(axis=1), _TIE)


def _blocks(
    source: np.ndarray, target: np.ndarray
) -> Iterator[tuple[slice, slice, Float[np.ndarray, "rows columns"]]]:
    for row in range(0, len(source), _BLOCK):
        rows = slice(row, row + _BLOCK)
        for column in range(0, len(target), _BLOCK):
            columns = slice(column, column + _BLOCK)
            yield rows, columns, source[rows] @ target[columns].T


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """The vectors in float32 and of length 1; zero vectors stay zero."""
    vectors = vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
