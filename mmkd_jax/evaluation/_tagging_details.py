"""What a report shows of a tagger, beyond its scores by language."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmkd_jax.evaluation._calibration import Calibration, calibration
from mmkd_jax.evaluation._replace import replace_file

_Tags = Any  # numbers, one a word: a sequence or an array


def write_tagging_details(
    folder: str | os.PathLike[str],
    tags: Sequence[str],
    gold: Sequence[_Tags],
    predicted: Sequence[_Tags],
    probabilities: Sequence[Any] | None = None,
    languages: Sequence[str] | None = None,
    words: Sequence[Sequence[str]] | None = None,
    k_best: Mapping[int, Sequence[tuple[_Tags, Any]]] | None = None,
) -> None:
    """Writes the numbers from which a report shows where a tagger errs, for trainers.

    ``tagging_details.json`` holds

    - "tags": their names;
    - "confusion": words by tag, ``[gold][predicted]``;
    - "languages": by code, "words", "accuracy" in percent, and with probabilities "error", the
      expected calibration error;
    - "calibration", with probabilities: "counts", "confidence" and "accuracy" of ten bins, "error";
    - "hard", with k_best: sentences with "language", "words", "gold" and "paths", best first, each
      with "tags" and "probability".

    Example:
      >>> import tempfile
      >>> from mmkd_jax import evaluation
      >>> folder, tags = tempfile.mkdtemp(), ["NOUN", "VERB"]
      >>> gold, marginals = [[0, 1]], [[[0.9, 0.1], [0.6, 0.4]]]
      >>> evaluation.hard_sentences(gold, marginals, count=1)
      [0]
      >>> evaluation.write_tagging_details(
      ...     folder, tags, gold, [[0, 0]], marginals, ["en"], [["Birds", "fly"]],
      ...     k_best={0: [([0, 0], 0.55), ([0, 1], 0.35)]},
      ... )

    Args:
      folder: The workdir.
      tags: Names, by number.
      gold: For each sentence, its tags' numbers; what is below 0 is not judged.
      predicted: The same, from the tagger.
      probabilities: For each sentence ``[words, tags]``, how probable each tag is.
      languages: For each sentence, its code.
      words: For each sentence.
      k_best: From the numbers of some sentences, such as `hard_sentences`, to their best paths of
        tags with their probabilities, best first; needs `words`.
    """
    languages = ["" for _ in gold] if languages is None else languages
    _check(tags, gold, predicted, probabilities, languages, words, k_best)
    truth, guess, sure = (
        [np.asarray(row) for row in rows] for rows in (gold, predicted, probabilities or [])
    )
    found: dict[str, Any] = {
        "tags": list(tags),
        "confusion": _confusion(truth, guess, len(tags)).tolist(),
        "languages": {
            code: _of_language(code, languages, truth, guess, sure)
            for code in dict.fromkeys(languages)
            if code
        },
    }
    if sure:
        whole = _calibration(truth, guess, sure)
        found["calibration"] = {name: value.tolist() for name, value in whole._asdict().items()}
        found["calibration"]["error"] = whole.error
    if k_best and words is not None:
        found["hard"] = [
            {
                "language": languages[number],
                "words": list(words[number]),
                "gold": _names(gold[number], tags),
                "paths": [
                    {"tags": _names(path, tags), "probability": float(probability)}
                    for path, probability in paths
                ],
            }
            for number, paths in k_best.items()
        ]
    text = json.dumps(found, ensure_ascii=False) + "\n"
    replace_file(Path(folder) / "tagging_details.json", lambda file: file.write(text.encode()))


def hard_sentences(
    gold: Sequence[_Tags],
    probabilities: Sequence[Any],
    count: int = 8,
    shortest: int = 1,
    longest: int = 24,
) -> list[int]:
    """The sentences whose gold tags the tagger finds least probable, by the mean over their words.

    Args:
      gold: For each sentence, its tags' numbers; what is below 0 is not judged.
      probabilities: For each sentence ``[words, tags]``.
      count: How many.
      shortest: Words of a sentence at least.
      longest: And at most: of longer ones there is too much to look at.

    Returns:
      Their numbers, the hardest one first.
    """
    hardness = {}
    for number, (row, of_row) in enumerate(zip(gold, probabilities, strict=True)):
        tags = np.asarray(row, int)
        if shortest <= len(tags) <= longest and (tags >= 0).any():
            known = np.flatnonzero(tags >= 0)
            right = np.asarray(of_row, float)[known, tags[known]]
            hardness[number] = -np.log(np.maximum(right, 1e-12)).mean()
    return sorted(hardness, key=lambda number: -hardness[number])[:count]


def _check(tags, gold, predicted, probabilities, languages, words, k_best) -> None:
    for name, rows in (
        ("predicted", predicted),
        ("probabilities", probabilities),
        ("languages", languages),
        ("words", words),
    ):
        if rows is None:
            continue
        if len(rows) != len(gold):
            raise ValueError(f"{name} must be of {len(gold)} sentences, as gold is: {len(rows)}")
        if name != "languages":
            for number, (row, wanted) in enumerate(zip(rows, gold, strict=True)):
                if len(row) != len(wanted):
                    raise ValueError(
                        f"{name}[{number}] must be of {len(wanted)} words, as gold is: {len(row)}"
                    )
    for name, rows in (("gold", gold), ("predicted", predicted)):
        largest = max((int(np.max(row)) for row in rows if len(row)), default=0)
        if largest >= len(tags):
            raise ValueError(f"{name} must hold numbers of {len(tags)} tags, got {largest}")
    if k_best and words is None:
        raise ValueError("k_best is of no use without words")


def _judged(truth: list[np.ndarray], guess: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Gold and predicted tags of all words that have both."""
    if not truth:
        return np.zeros(0, int), np.zeros(0, int)
    all_gold, all_guesses = np.concatenate(truth).astype(int), np.concatenate(guess).astype(int)
    known = (all_gold >= 0) & (all_guesses >= 0)
    return all_gold[known], all_guesses[known]


def _confusion(truth: list[np.ndarray], guess: list[np.ndarray], tags: int) -> np.ndarray:
    gold, predicted = _judged(truth, guess)
    return np.bincount(gold * tags + predicted, minlength=tags * tags).reshape(tags, tags)


def _calibration(
    truth: list[np.ndarray], guess: list[np.ndarray], sure: list[np.ndarray]
) -> Calibration:
    gold, predicted = _judged(truth, guess)
    confidence = [
        of_row[np.flatnonzero(known), row[known]]
        for row, of_row, known in (
            (row.astype(int), of_row, (want >= 0) & (row >= 0))
            for want, row, of_row in zip(truth, guess, sure, strict=True)
            if len(row)
        )
    ]
    return calibration(np.concatenate([np.zeros(0), *confidence]), gold == predicted)


def _of_language(
    code: str,
    languages: Sequence[str],
    truth: list[np.ndarray],
    guess: list[np.ndarray],
    sure: list[np.ndarray],
) -> dict[str, int | float]:
    mine = [number for number, language in enumerate(languages) if language == code]
    parts = [[rows[number] for number in mine] for rows in (truth, guess)]
    gold, predicted = _judged(*parts)
    accuracy = 100 * float((gold == predicted).mean()) if len(gold) else 0.0
    found: dict[str, int | float] = {"words": len(gold), "accuracy": accuracy}
    if sure:
        found["error"] = _calibration(*parts, [sure[number] for number in mine]).error
    return found


def _names(row: _Tags, tags: Sequence[str]) -> list[str]:
    return [tags[int(tag)] if tag >= 0 else "" for tag in row]
