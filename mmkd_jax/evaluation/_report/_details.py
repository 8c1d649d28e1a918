"""What runs have written down for a report beyond their scores, each in a file of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax.evaluation._report._reading import (
    clean,
    left_out,
    listed,
    read_arrays,
    read_json,
    table_of,
)
from mmkd_jax.evaluation._scores import mapping, number, numbers

_MOST_SENTENCES = 200
_MOST_LANGUAGES = 60
_MOST_TAGS = 60


class Similarity(NamedTuple):
    """Cosines among the same sentences, in two models.

    Attributes:
      teacher: ``[n, n]``, of English sentences.
      student: ``[n, n]``, of their translations.
      texts: What each sentence says: itself, or in English and in translation. May be empty.
    """

    teacher: np.ndarray
    student: np.ndarray
    texts: list[tuple[str, ...]]


class Between(NamedTuple):
    """Retrieval between languages, in percent; nan where it is not known.

    Attributes:
      languages: Codes.
      before: ``[L, L]``, from the row's language to the column's.
      after: ``[L, L]``.
      sentences: ``[L, L]``, among how many.
    """

    languages: list[str]
    before: np.ndarray
    after: np.ndarray
    sentences: np.ndarray


class Confused(NamedTuple):
    """A translation that is nearest to the wrong English sentence."""

    language: str
    translation: str
    english: str
    found: str
    cosine: float
    cosine_found: float


class Space(NamedTuple):
    """Vectors of English sentences and their translations.

    Attributes:
      before: ``[n, D]``.
      after: ``[n, D]``.
      texts: Of each one text, language, and number of the English sentence.
    """

    before: np.ndarray
    after: np.ndarray
    texts: list[tuple[str, str, int]]


class HardSentence(NamedTuple):
    """A sentence with its gold tags and the tagger's best paths, each with its probability."""

    language: str
    words: list[str]
    gold: list[str]
    paths: list[tuple[list[str], float]]


class Bins(NamedTuple):
    """Predictions by confidence, and the expected calibration error."""

    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


class Tagging(NamedTuple):
    """Where a tagger errs.

    Attributes:
      tags: Names.
      confusion: ``[gold, predicted]``, words.
      languages: By code: words, accuracy, error.
      calibration: None if it is not known.
      hard: Hard sentences.
    """

    tags: list[str]
    confusion: np.ndarray
    languages: dict[str, dict[str, float]]
    calibration: Bins | None
    hard: list[HardSentence]


def read_similarity(path: Path, texts: Sequence[str | Sequence[str]] | None) -> Similarity | None:
    """Of similarity.npz; `texts` take the place of those in it."""
    found = read_arrays(path, ("teacher", "student"))
    if found is None:
        return None
    (teacher, student), written = found
    count = len(teacher) if teacher.ndim else 0
    if count < 2 or teacher.shape != (count, count) or student.shape != teacher.shape:
        left_out(path, "not two square arrays alike")
        return None
    few = slice(_MOST_SENTENCES)
    teacher, student = (cosines[few, few].clip(-1, 1) for cosines in (teacher, student))
    return Similarity(teacher, student, _wordings(written if texts is None else texts, count)[few])


def _wordings(texts: Any, count: int) -> list[tuple[str, ...]]:
    """A sentence or several wordings of it, for each of the rows, or nothing at all."""
    if not isinstance(texts, (list, tuple)) or len(texts) != count:
        return []
    return [
        tuple(clean(str(part)) for part in (one if isinstance(one, (list, tuple)) else [one]))
        for one in texts
    ]


def read_retrieval_details(path: Path) -> tuple[Between | None, list[Confused]]:
    """Of retrieval_details.json."""
    found = mapping(read_json(path))
    languages = [str(code) for code in listed(found.get("languages"))]
    shape = len(languages), len(languages)
    tables = [table_of(found.get(name), shape) for name in ("before", "after", "sentences")]
    between = None
    if 1 < len(languages) <= _MOST_LANGUAGES and not any(table is None for table in tables):
        before, after, sentences = (np.where(np.abs(t) <= 1e9, t, np.nan) for t in tables)
        before, after = (np.where((t >= 0) & (t <= 100), t, np.nan) for t in (before, after))
        between = Between(languages, before, after, sentences)
    return between, [_confused(mapping(row)) for row in listed(found.get("confused"))]


def _confused(row: dict[str, Any]) -> Confused:
    texts = (str(row.get(name, "")) for name in ("language", "translation", "english", "found"))
    return Confused(*texts, number(row.get("cosine")), number(row.get("cosine_found")))


def read_space(path: Path) -> Space | None:
    """Of vectors.npz."""
    found = read_arrays(path, ("before", "after"))
    if found is None:
        return None
    (before, after), written = found
    texts = [
        (str(row[0]), str(row[1]), row[2])
        for row in map(listed, listed(written))
        if len(row) == 3 and isinstance(row[2], int)
    ]
    if before.ndim != 2 or before.shape != after.shape or len(texts) != len(before):
        left_out(path, "not two arrays [n, D] alike with a text of each row")
        return None
    return Space(before, after, texts) if len(texts) > 2 else None


def read_tagging_details(path: Path) -> Tagging | None:
    """Of tagging_details.json."""
    found = mapping(read_json(path))
    tags = [str(tag) for tag in listed(found.get("tags"))]
    confusion = table_of(found.get("confusion"), (len(tags), len(tags)))
    if not 1 < len(tags) <= _MOST_TAGS or confusion is None:
        return None
    confusion = np.where(confusion >= 0, confusion, 0).clip(0, 1e15)
    return Tagging(
        tags,
        confusion,
        {code: numbers(value) for code, value in mapping(found.get("languages")).items()},
        _bins(mapping(found.get("calibration"))),
        [one for row in listed(found.get("hard")) if (one := _hard(mapping(row))) is not None],
    )


def _bins(found: dict[str, Any]) -> Bins | None:
    count = len(listed(found.get("counts")))
    rows = [table_of(found.get(name), (count,)) for name in ("counts", "confidence", "accuracy")]
    if not count or any(row is None or not np.isfinite(row).all() for row in rows):
        return None
    counts, confidence, accuracy = rows
    if (counts < 0).any() or not counts.any():
        return None
    return Bins(counts, confidence.clip(0, 1), accuracy.clip(0, 1), number(found.get("error")))


def _hard(row: dict[str, Any]) -> HardSentence | None:
    words, gold = ([str(part) for part in listed(row.get(name))] for name in ("words", "gold"))
    paths = [
        ([str(tag) for tag in listed(path.get("tags"))], number(path.get("probability")))
        for path in map(mapping, listed(row.get("paths")))
    ]
    paths = [path for path in paths if len(path[0]) == len(words)]
    if not words or not paths or len(gold) != len(words):
        return None
    return HardSentence(str(row.get("language", "")), words, gold, paths)
