"""What a report shows of held-out translations, beyond their scores by language."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmkd_jax.evaluation._between import (
    Parallel,
    parallel_sentences,
    retrieval_between,
    worst_confusions,
)
from mmkd_jax.evaluation._replace import replace_file

Encode = Callable[[Sequence[str]], np.ndarray]
_POINTS = 160  # of the map of sentences: more run into one another
_FEWEST, _MOST = 8, 24  # English sentences of the map


def write_retrieval_details(
    folder: str | os.PathLike[str],
    before: Encode,
    after: Encode,
    pairs_by_language: Mapping[str, Sequence[tuple]],
    most: int = 256,
) -> None:
    """Writes the numbers from which a report shows retrieval between languages, for trainers.

    ``retrieval_details.json`` holds

    - "languages": codes, the first one "en";
    - "before" and "after": how often a sentence of the row's language finds its counterpart in the
      column's, in percent; null on the diagonal and where two languages share fewer than 8
      sentences;
    - "sentences": how many they share;
    - "confused": the translations that are furthest from their own English sentence after training,
      the worst one first: "language", "translation", "english", "found" (what is nearest instead),
      "cosine" (with "english"), "cosine_found".

    ``vectors.npz`` holds some English sentences and their translations before and after: "before"
    and "after", float16 ``[n, D]``, and "texts", a json list of text, language, and number of the
    English sentence.

    Args:
      folder: The workdir.
      before: From sentences to vectors, before training.
      after: The same, now.
      pairs_by_language: For each language, an English sentence and its translation; what follows
        them is passed over.
      most: Sentences of a language; those that most languages have come first.
    """
    parallel = parallel_sentences(pairs_by_language, most)
    if len(parallel.languages) < 2:
        return
    at_first, now = (
        [np.asarray(encode(texts)) for texts in parallel.texts] for encode in (before, after)
    )
    matrix_before, _ = retrieval_between(parallel, at_first)
    matrix_after, shared = retrieval_between(parallel, now)
    found = {
        "languages": parallel.languages,
        "before": _percent(matrix_before),
        "after": _percent(matrix_after),
        "sentences": shared.tolist(),
        "confused": [one._asdict() for one in worst_confusions(parallel, now)],
    }
    folder = Path(folder)
    text = json.dumps(found, ensure_ascii=False) + "\n"
    replace_file(folder / "retrieval_details.json", lambda file: file.write(text.encode()))
    places = _for_the_map(parallel)
    texts = [
        [parallel.texts[row][index], parallel.languages[row], int(parallel.meanings[row][index])]
        for row, index in places
    ]
    one, other = (
        np.stack([vectors[row][index] for row, index in places]).astype(np.float16)
        for vectors in (at_first, now)
    )
    replace_file(
        folder / "vectors.npz",
        lambda file: np.savez(
            file, before=one, after=other, texts=np.array(json.dumps(texts, ensure_ascii=False))
        ),
    )


def _percent(matrix: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(cell) else 100 * float(cell) for cell in row] for row in matrix]


def _for_the_map(parallel: Parallel) -> list[tuple[int, int]]:
    """Language and number in it, of some English sentences and all that translates them.

    Of single words there is little to see: among the sentences that most languages have, the long
    ones come first.
    """
    where: dict[int, list[tuple[int, int]]] = {}
    for row, meanings in enumerate(parallel.meanings):
        for index, meaning in enumerate(meanings):
            where.setdefault(int(meaning), []).append((row, index))
    texts = parallel.texts[0]
    order = sorted(where, key=lambda meaning: (-len(where[meaning]), -len(texts[meaning])))
    chosen: list[tuple[int, int]] = []
    for number, meaning in enumerate(order[:_MOST]):
        if number >= _FEWEST and len(chosen) + len(where[meaning]) > _POINTS:
            break
        chosen += where[meaning]
    return chosen
