"""Small corpora for tests: sentences of made-up words, and their tokenised form."""

import functools

import numpy as np

from mmkd_jax.data import Prepared, Source, SubwordTokenizer, tokenize_pairs
from tests.data.vocabularies import words_of_letters

LETTERS = "abcdefgh"


def sentences(count: int, seed: int, longest: int = 12) -> list[str]:
    """Sentences of 1 to `longest` words of 1 to 6 letters."""
    random = np.random.default_rng(seed)
    return [
        " ".join(
            "".join(random.choice(list(LETTERS), random.integers(1, 7)))
            for _ in range(random.integers(1, longest + 1))
        )
        for _ in range(count)
    ]


def pairs(count: int, seed: int, longest: int = 12) -> list[tuple[str, str]]:
    """Pairs of sentences, whose lengths have nothing to do with each other."""
    both = sentences(count, seed, longest), sentences(count, seed + 1000, longest)
    return list(zip(*both, strict=True))


def sources(counts: tuple[int, ...] = (60, 25, 5)) -> list[Source]:
    """One source a language: de, fr, zh."""
    names = ("de", "fr", "zh")
    return [
        Source(f"made-up {name}", name, pairs(count, seed))
        for seed, (name, count) in enumerate(zip(names, counts, strict=False))
    ]


@functools.cache
def student() -> SubwordTokenizer:
    """Knows pairs of letters."""
    return words_of_letters(LETTERS, *(a + b for a in LETTERS for b in LETTERS))


@functools.cache
def teacher() -> SubwordTokenizer:
    """Knows single letters only, so that its words are longer."""
    return words_of_letters(*LETTERS)


@functools.cache
def prepared(max_length: int = 64) -> Prepared:
    """The pairs of `sources`, in memory."""
    return tokenize_pairs(sources(), teacher(), student(), max_length)


def tagged(sentences) -> list[str]:
    """The sentences as ``word/tag word/tag``."""
    return [
        " ".join(f"{word}/{tag}" for word, tag in zip(each.words, each.tags, strict=True))
        for each in sentences
    ]
