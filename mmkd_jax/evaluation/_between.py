"""Retrieval between any two languages, and the sentences that are taken for others."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from mmkd_jax.evaluation._retrieval import accuracy_of, numbered, unit_rows

_FEWEST = 8  # sentences that two languages share; among fewer it is easy to be right


class Parallel(NamedTuple):
    """The same sentences in several languages.

    Attributes:
      languages: Codes, the first one "en".
      texts: Of each language, the sentences it has.
      meanings: Of each language, the numbers of its sentences' English counterparts.
    """

    languages: list[str]
    texts: list[list[str]]
    meanings: list[np.ndarray]


class Confusion(NamedTuple):
    """A translation that is nearer to another English sentence than to its own.

    Attributes:
      language: Of the translation.
      translation: Its text.
      english: The sentence it translates.
      found: The English sentence that is nearest to it.
      cosine: With `english`.
      cosine_found: With `found`.
    """

    language: str
    translation: str
    english: str
    found: str
    cosine: float
    cosine_found: float


def parallel_sentences(
    pairs_by_language: Mapping[str, Sequence[tuple]], most: int = 256
) -> Parallel:
    """At most so many sentences a language, first those that most languages have."""
    pairs: dict[str, dict[str, str]] = {}
    for language, rows in pairs_by_language.items():
        if language != "en":
            for english, translation, *_ in rows:
                pairs.setdefault(language, {}).setdefault(english, translation)
    counts: dict[str, int] = {}
    for found in pairs.values():
        for english in found:
            counts[english] = counts.get(english, 0) + 1
    common = sorted(counts, key=lambda english: -counts[english])
    chosen = {
        language: [english for english in common if english in found][:most]
        for language, found in pairs.items()
    }
    wanted = {english for of_language in chosen.values() for english in of_language}
    texts = [english for english in common if english in wanted]
    number = {english: index for index, english in enumerate(texts)}
    return Parallel(
        ["en", *pairs],
        [
            texts,
            *([pairs[language][english] for english in chosen[language]] for language in pairs),
        ],
        [
            np.arange(len(texts)),
            *(np.array([number[english] for english in chosen[name]], int) for name in pairs),
        ],
    )


def retrieval_between(
    parallel: Parallel, vectors: Sequence[Float[np.ndarray, "_ D"]]
) -> tuple[Float[np.ndarray, "L L"], Int[np.ndarray, "L L"]]:
    """How often a sentence of one language finds its counterpart in another.

    Two languages are compared on the sentences that both have. Ties count as wrong, and a text that
    stands there more than once is right wherever it is found, as in `retrieval_accuracy`.

    Args:
      parallel: The sentences.
      vectors: Of each language, those of its texts.

    Returns:
      ``[L, L]``, from 0 to 1: sentences of the row's language look for those of the column's; nan
      on the diagonal, and where two languages share fewer than 8 sentences. Then how many they
      share.
    """
    count = len(parallel.languages)
    accuracy = np.full((count, count), np.nan)
    shared = np.zeros((count, count), int)
    units = [unit_rows(np.asarray(of_language)) for of_language in vectors]
    for row in range(count):
        for column in range(count):
            _, ours, theirs = np.intersect1d(
                parallel.meanings[row], parallel.meanings[column], return_indices=True
            )
            shared[row, column] = len(ours)
            if row != column and len(ours) >= _FEWEST:
                names = numbered([parallel.texts[column][index] for index in theirs])
                accuracy[row, column] = accuracy_of(
                    units[row][ours], units[column][theirs], names, margin=False
                )
    return accuracy, shared


def worst_confusions(
    parallel: Parallel,
    vectors: Sequence[Float[np.ndarray, "_ D"]],
    count: int = 16,
    of_language: int = 2,
) -> list[Confusion]:
    """The translations that are furthest from their own English sentence, given what they found.

    Furthest is what has the largest difference between the two cosines.

    Args:
      parallel: The sentences.
      vectors: Of each language, those of its texts.
      count: How many at most.
      of_language: So many of a language at most, so that the worst one does not fill the list.
    """
    english = unit_rows(np.asarray(vectors[0]))
    found: list[Confusion] = []
    for language, texts, meanings, of in list(zip(*parallel, vectors, strict=True))[1:]:
        cosines = unit_rows(np.asarray(of)) @ english.T
        right = cosines[np.arange(len(texts)), meanings]
        nearest = cosines.argmax(axis=1)
        gaps = cosines.max(axis=1) - right
        for index in np.argsort(-gaps, kind="stable")[:of_language]:
            if gaps[index] > 0:
                found.append(
                    Confusion(
                        language,
                        texts[index],
                        parallel.texts[0][meanings[index]],
                        parallel.texts[0][nearest[index]],
                        float(right[index]),
                        float(cosines[index, nearest[index]]),
                    )
                )
    return sorted(found, key=lambda one: one.cosine - one.cosine_found)[:count]
