"""XNLI, PAWS-X and XQuAD: what is asked of a fine-tuned model, and what its answers are worth."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mmkd_jax.evaluation._agreement import accuracy
from mmkd_jax.evaluation._answers import answer_score

# Hu et al., "XTREME", 2020 (arXiv:2003.11080), table 2: multilingual BERT, trained on English,
# mean over the languages of each benchmark.
LITERATURE = "mBERT, zero-shot (XTREME, Hu et al. 2020)"


class TextTask(NamedTuple):
    """A benchmark.

    Attributes:
      name: Of it.
      records: What `data.open_texts` is to open.
      kind: Of the head.
      labels: Of classes.
      metric: The one that counts.
      languages: All that it has, English first.
      baseline: Of multilingual BERT in the literature, in percent.
      baseline_metric: By which it was measured.
    """

    name: str
    records: Literal["inferences", "paraphrases", "questions"]
    kind: Literal["classes", "spans"]
    labels: tuple[str, ...]
    metric: str
    languages: tuple[str, ...]
    baseline: float
    baseline_metric: str


def _languages(others: str) -> tuple[str, ...]:
    return ("en", *others.split())


TEXT_TASKS = {
    "xnli": TextTask(
        "xnli",
        "inferences",
        "classes",
        ("entailment", "neutral", "contradiction"),
        "accuracy",
        _languages("ar bg de el es fr hi ru sw th tr ur vi zh"),
        65.4,
        "accuracy",
    ),
    "paws_x": TextTask(
        "paws_x",
        "paraphrases",
        "classes",
        ("different", "same"),
        "accuracy",
        _languages("de es fr ja ko zh"),
        81.9,
        "accuracy",
    ),
    # XTREME scores XQuAD by SQuAD's own rules, whatever the language.
    "xquad": TextTask(
        "xquad",
        "questions",
        "spans",
        (),
        "f1",
        _languages("ar de el es hi ru th tr vi zh"),
        64.5,
        "squad_f1",
    ),
}


def texts_and_labels(
    task: TextTask, records: Sequence[Any]
) -> tuple[list[str], list[str], np.ndarray]:
    """First texts, second texts, and the numbers of the labels ``[n, 1]``."""
    first, second, found = map(list, zip(*(record[:3] for record in records), strict=True))
    numbers = [label if isinstance(label, int) else task.labels.index(label) for label in found]
    return first, second, np.array(numbers, np.int32)[:, None]


def score_texts(
    task: TextTask,
    model: Any,
    records: Mapping[str, Sequence[Any]],
    folder: Path | None = None,
    count: int = 20,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, dict[str, float]]:
    """What a model's answers are worth in each language, in percent.

    Args:
      task: The benchmark.
      model: Fine-tuned for it, an `inference.TextModel`.
      records: By language.
      folder: Where predictions are written to; none if they are not.
      count: Answers a question that are kept there.
      say: Called with a line for each language, as it comes.

    Returns:
      By language, by metric: "accuracy"; or "f1" and "exact_match" by the rules of MLQA,
      "squad_f1" and "squad_exact_match" by those of SQuAD.
    """
    found = {}
    for language, rows in records.items():
        score = _answers if task.kind == "spans" else _classes
        path = None if folder is None else folder / f"{task.name}.{language}"
        scores = score(task, model, rows, language, path, count)
        found[language] = {name: 100 * value for name, value in scores.items()}
        say(f"{task.name} {language}: {found[language][task.metric]:.1f}")
    return found


def _classes(
    task: TextTask,
    model: Any,
    records: Sequence[Any],
    language: str,
    path: Path | None,
    count: int,
) -> dict[str, float]:
    del language, count
    first, second, right = texts_and_labels(task, records)
    chosen = model.classify(first, second).argmax(axis=1)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"{task.labels[number]}\n" for number in chosen)
        path.with_name(f"{path.name}.txt").write_text(lines, encoding="utf-8")
    return {"accuracy": accuracy(chosen, right[:, 0])}


def _answers(
    task: TextTask,
    model: Any,
    records: Sequence[Any],
    language: str,
    path: Path | None,
    count: int,
) -> dict[str, float]:
    del task
    answers = model.answer(records, count)
    if path is not None:
        _write_answers(path.with_name(f"{path.name}.json"), records, answers)
    found = {}
    for prefix, rules in (("", language), ("squad_", None)):
        scores = [
            answer_score(best[0].text, record.answers, rules)
            for record, best in zip(records, answers, strict=True)
        ]
        exact, f1 = np.mean(scores, axis=0).tolist()
        found |= {f"{prefix}f1": f1, f"{prefix}exact_match": exact}
    return found


def _write_answers(path: Path, records: Sequence[Any], answers: Sequence[Sequence[Any]]) -> None:
    """The best answers to each question, by the questions' ids."""
    found = {
        record.id: [answer._asdict() for answer in best]
        for record, best in zip(records, answers, strict=True)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def text_results(task: TextTask, scores: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """For results.json: means over languages, those of each, and the literature's.

    Args:
      task: The benchmark.
      scores: By language, by metric, in percent.
    """
    metrics = list(next(iter(scores.values())))
    means = {name: float(np.mean([row[name] for row in scores.values()])) for name in metrics}
    languages = {language: dict(row) for language, row in scores.items()}
    return {"metric": task.metric, **means, "languages": languages, "mbert": task.baseline}
