"""Finding the translation of a sentence among others, by its vector."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

_BLOCK = 2**24  # similarities that are held at once
_NEIGHBOURS = 4


def retrieval_accuracy(source: np.ndarray, target: np.ndarray, margin: bool = False) -> float:
    """The share of rows of `source` whose nearest row of `target` is the one of the same number.

    Near is what has a large cosine. Of equally near rows the first is taken, unless it is a vector
    without direction: a zero row finds nothing and is never found.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax import evaluation
      >>> source = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
      >>> evaluation.retrieval_accuracy(source, source[[0, 1, 0]])
      0.6666666666666666

    Args:
      source: ``[n, D]``.
      target: ``[n, D]``, each row's counterpart.
      margin: Divides each cosine by the mean of both sides' cosines with their 4 nearest
        neighbours, so that sentences that are near to everything are not found everywhere.

    References:
      Artetxe and Schwenk, `Margin-based parallel corpus mining with multilingual sentence
      embeddings <https://arxiv.org/abs/1811.01136>`_, 2019.
    """
    if source.ndim != 2 or source.shape != target.shape:
        raise ValueError(
            f"source and target must be [n, D] alike, got {source.shape} and {target.shape}"
        )
    if not len(source):
        raise ValueError("source must have rows, got none")
    source, target = _units(source), _units(target)
    of_source = of_target = None
    if margin:
        of_source, of_target = _neighbourhood(source, target), _neighbourhood(target, source)
    right = 0
    lost = ~target.any(axis=1)
    for rows, cosines in _blocks(source, target):
        if of_source is not None and of_target is not None:
            cosines = cosines / ((of_source[rows, None] + of_target[None]) / 2)
        cosines[:, lost] = -np.inf
        found = cosines.argmax(axis=1)
        here = source[rows].any(axis=1) & (found == np.arange(rows.start, rows.stop))
        right += int((here & ~lost[rows]).sum())
    return right / len(source)


def retrieval_by_language(
    encode: Callable[[Sequence[str]], np.ndarray],
    pairs: Mapping[str, Sequence[tuple[str, str]]],
    margin: bool = False,
) -> dict[str, float]:
    """For each language, how many translations find their English sentence among the others.

    Args:
      encode: From sentences to vectors ``[n, D]``. English that several languages share is encoded
        once.
      pairs: From a language to pairs of an English sentence and its translation.
      margin: As in `retrieval_accuracy`.

    Returns:
      The accuracy by language, and their "mean".
    """
    if not pairs:
        raise ValueError("pairs must hold a language at least, got none")
    english = list(dict.fromkeys(first for of in pairs.values() for first, _ in of))
    numbers = {text: number for number, text in enumerate(english)}
    vectors = encode(english)
    found = {}
    for language, of_language in pairs.items():
        translations = encode([second for _, second in of_language])
        wanted = vectors[[numbers[first] for first, _ in of_language]]
        found[language] = retrieval_accuracy(translations, wanted, margin)
    return found | {"mean": float(np.mean(list(found.values())))}


def _units(vectors: np.ndarray) -> np.ndarray:
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def _blocks(source: np.ndarray, target: np.ndarray):
    """Some rows of the similarities at a time."""
    step = max(1, _BLOCK // len(target))
    for start in range(0, len(source), step):
        rows = slice(start, min(start + step, len(source)))
        yield rows, source[rows] @ target.T


def _neighbourhood(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The mean cosine of each row with its nearest neighbours on the other side."""
    count = min(_NEIGHBOURS, len(target))
    means = [
        np.partition(cosines, -count, axis=1)[:, -count:].mean(axis=1)
        for _, cosines in _blocks(source, target)
    ]
    return np.concatenate(means)
