"""How alike sentences are to the teacher, and their translations to the student."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

Encode = Callable[[Sequence[str]], np.ndarray]


def save_similarity(
    path: Path,
    teacher: Encode,
    student: Encode,
    pairs: Mapping[str, Sequence[tuple[str, str]]],
    count: int = 24,
) -> None:
    """Writes the cosines among some sentences, as both see them, for the report.

    Args:
      path: An npz file: "teacher" and "student", ``[n, n]``, and "texts", a json list of English,
        translation and language.
      teacher: From English to vectors.
      student: From translations to vectors.
      pairs: English and translation by language.
      count: How many sentences, of the languages in turn.
    """
    chosen = _in_turn(pairs, count)
    english, translations, _ = zip(*chosen, strict=True)
    np.savez(
        path,
        teacher=_cosines(teacher(english)),
        student=_cosines(student(translations)),
        texts=np.array(json.dumps(chosen, ensure_ascii=False)),
    )


def _in_turn(
    pairs: Mapping[str, Sequence[tuple[str, str]]], count: int
) -> list[tuple[str, str, str]]:
    """Different English sentences, from one language after the other, the long ones first.

    Of single words there is little to see.
    """
    left = {
        language: sorted(of, key=lambda pair: (-len(pair[0]), pair))
        for language, of in pairs.items()
    }
    chosen: dict[str, tuple[str, str, str]] = {}
    while len(chosen) < count and any(left.values()):
        for language, of in left.items():
            while of:
                english, translation = of.pop(0)
                if english not in chosen:
                    chosen[english] = (english, translation, language)
                    break
    return list(chosen.values())[:count]


def _cosines(vectors: np.ndarray) -> np.ndarray:
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return units @ units.T
