"""What a report shows of a tagger, beyond its scores by language."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax.evaluation._calibration import calibration
from mmkd_jax.evaluation._replace import replace_file

Tags = Sequence[str]
Confidences = Any  # [words], numbers


def write_tagging_details(
    folder: str | os.PathLike[str],
    tags: Tags,
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    confidences: Sequence[Confidences] | None = None,
    languages: Sequence[str] | None = None,
    words: Sequence[Sequence[str]] | None = None,
    k_best: Mapping[int, Sequence[tuple[Tags, float]]] | None = None,
) -> None:
    """Writes the numbers from which a report shows where a tagger errs, for trainers.

    ``tagging_details.json`` holds

    - "tags": their names;
    - "confusion": words by tag, ``[gold][predicted]``;
    - "languages": by code, "words", "accuracy" in percent, and with confidences "error", the
      expected calibration error;
    - "calibration", with confidences: "counts", "confidence" and "accuracy" of ten bins, "error";
    - "hard", with k_best: sentences with "language", "words", "gold" and "paths", best first, each
      with "tags" and "probability".

    Example:
      >>> import tempfile
      >>> from mmkd_jax import evaluation
      >>> gold, predicted = [["NOUN", "VERB"]], [["NOUN", "NOUN"]]
      >>> confidences = [[0.9, 0.6]]
      >>> evaluation.hard_sentences(gold, predicted, confidences, count=1)
      [0]
      >>> evaluation.write_tagging_details(
      ...     tempfile.mkdtemp(), ["NOUN", "VERB"], gold, predicted, confidences, ["en"],
      ...     words=[["Birds", "fly"]],
      ...     k_best={0: [(["NOUN", "NOUN"], 0.55), (["NOUN", "VERB"], 0.35)]},
      ... )

    Args:
      folder: The workdir.
      tags: Names in their order; what occurs beside them comes after them.
      gold: For each sentence, its words' tags; a word whose tag is "" is not judged.
      predicted: The same, from the tagger.
      confidences: For each sentence, how probable each predicted tag is.
      languages: For each sentence, its code.
      words: For each sentence.
      k_best: From the numbers of some sentences, such as `hard_sentences`, to their best tag
        sequences and how probable these are, best first, such as an `inference.Tagging` has as its
        guesses; needs `words`.
    """
    languages = ["" for _ in gold] if languages is None else languages
    _check(gold, predicted, confidences, languages, words, k_best)
    judged = _judged(gold, predicted, confidences, languages)
    known = [word.gold for word in judged] + [word.predicted for word in judged]
    place = {tag: number for number, tag in enumerate(dict.fromkeys([*tags, *known]))}
    confusion = np.zeros((len(place), len(place)), int)
    for word in judged:
        confusion[place[word.gold], place[word.predicted]] += 1
    found: dict[str, Any] = {
        "tags": list(place),
        "confusion": confusion.tolist(),
        "languages": {
            code: _of_language([word for word in judged if word.language == code])
            for code in dict.fromkeys(languages)
            if code
        },
    }
    if confidences is not None:
        whole = calibration([word.confidence for word in judged], _right(judged))
        found["calibration"] = {name: value.tolist() for name, value in whole._asdict().items()}
        found["calibration"]["error"] = whole.error
    if k_best and words is not None:
        found["hard"] = [
            {
                "language": languages[number],
                "words": list(words[number]),
                "gold": list(gold[number]),
                "paths": [
                    {"tags": list(path), "probability": float(probability)}
                    for path, probability in paths
                ],
            }
            for number, paths in k_best.items()
        ]
    text = json.dumps(found, ensure_ascii=False) + "\n"
    replace_file(Path(folder) / "tagging_details.json", lambda file: file.write(text.encode()))


def hard_sentences(
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    confidences: Sequence[Confidences],
    count: int = 8,
    shortest: int = 2,
    longest: int = 24,
) -> list[int]:
    """The sentences whose gold tags the tagger finds least probable, by the mean over their words.

    Of a word that is wrong, the gold tag's probability is at most what the predicted one leaves.

    Args:
      gold: For each sentence, its words' tags; a word whose tag is "" is not judged.
      predicted: The same, from the tagger.
      confidences: For each sentence, how probable each predicted tag is.
      count: How many.
      shortest: Words of a sentence at least.
      longest: And at most: of longer ones there is too much to look at.

    Returns:
      Their numbers, the hardest one first.
    """
    hardness: dict[int, float] = {}
    for number, (row, guess, sure) in enumerate(zip(gold, predicted, confidences, strict=True)):
        losses = [
            -math.log(max(float(known) if tag == other else 1 - float(known), 1e-12))
            for tag, other, known in zip(row, guess, sure, strict=True)
            if tag
        ]
        if losses and shortest <= len(row) <= longest:
            hardness[number] = sum(losses) / len(losses)
    return sorted(hardness, key=lambda number: -hardness[number])[:count]


class _Word(NamedTuple):
    gold: str
    predicted: str
    confidence: float | None
    language: str


def _judged(
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    confidences: Sequence[Confidences] | None,
    languages: Sequence[str],
) -> list[_Word]:
    return [
        _Word(tag, guess, None if confidences is None else float(confidences[number][index]), code)
        for number, (row, guesses, code) in enumerate(zip(gold, predicted, languages, strict=True))
        for index, (tag, guess) in enumerate(zip(row, guesses, strict=True))
        if tag
    ]


def _right(judged: list[_Word]) -> list[bool]:
    return [word.gold == word.predicted for word in judged]


def _of_language(judged: list[_Word]) -> dict[str, int | float]:
    right = _right(judged)
    accuracy = 100 * sum(right) / max(len(right), 1)
    found: dict[str, int | float] = {"words": len(right), "accuracy": accuracy}
    sure = [word.confidence for word in judged if word.confidence is not None]
    return found | ({"error": calibration(sure, right).error} if sure else {})


def _check(
    gold: Sequence[Tags],
    predicted: Sequence[Tags],
    confidences: Sequence[Confidences] | None,
    languages: Sequence[str],
    words: Sequence[Sequence[str]] | None,
    k_best: Mapping[int, Any] | None,
) -> None:
    if len(languages) != len(gold):
        raise ValueError(
            f"languages must be of {len(gold)} sentences, as gold is, got {len(languages)}"
        )
    rows_by_name = {"predicted": predicted, "confidences": confidences, "words": words}
    for name, rows in rows_by_name.items():
        if rows is None:
            continue
        if len(rows) != len(gold):
            raise ValueError(
                f"{name} must be of {len(gold)} sentences, as gold is, got {len(rows)}"
            )
        for number, (row, wanted) in enumerate(zip(rows, gold, strict=True)):
            if len(row) != len(wanted):
                raise ValueError(
                    f"{name}[{number}] must be of {len(wanted)} words, as gold is, got {len(row)}"
                )
    if k_best and words is None:
        raise ValueError("k_best needs words: paths without their words cannot be read")
