"""Measures a model by language: zero-shot languages apart, and nothing rounded in the JSON.

    python -m mmkd_jax.evaluate --model=DIR --task=tagging --config=configs/tagger.py
    python -m mmkd_jax.evaluate --model=DIR --task=tagging --corpora=corpora.json --out=scores.json

``--config`` takes the test corpora of a config, with any overrides (``--config.corpora.root=…``).
``--corpora`` takes a file of descriptions, by any names: ``{"de": {"reader": "conllu", "language":
"de", "path": "de.conllu"}}``; paths are relative to ``--root``. Languages that the model was not
trained on are its zero-shot languages.

tagging: F1 of spans by the rules of the CoNLL evaluation script, or accuracy for tags that spell no
spans. All scores are percentages.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from absl import flags
from ml_collections import config_flags

from mmkd_jax._program import messages, start

_MODEL = flags.DEFINE_string("model", None, "A folder: what a run has exported.")
_TASK = flags.DEFINE_string("task", None, "What is measured: tagging.")
_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.", lock_config=True)
_CORPORA = flags.DEFINE_string("corpora", None, "A json file of descriptions of corpora.")
_ROOT = flags.DEFINE_string("root", ".", "The folder that paths in --corpora are relative to.")
_OUT = flags.DEFINE_string("out", None, "A json file for the scores.")

Specs = Mapping[str, Mapping[str, Any]]


class Task(NamedTuple):
    """Something that a model is measured by.

    Attributes:
      specs: From the settings of a run to its descriptions of test corpora, and their root.
      measure: From a model's folder, descriptions and root to scores: "metric"; in percent "macro",
        and "languages" by language; likewise "zero_shot", where there are such languages.
    """

    specs: Callable[[Any], tuple[Specs, str]]
    measure: Callable[[str, Specs, str], dict[str, Any]]


def tagging(model: str, specs: Specs, root: str) -> dict[str, Any]:
    """F1 of spans, or accuracy of tags."""
    from mmkd_jax import data, evaluation, inference

    tagger = inference.load_tagger(model)
    corpora: dict[str, list] = {}
    for source in data.open_tagged(specs, root or "."):
        corpora.setdefault(source.language, []).extend(source.sentences())
    of_spans = tagger.config.tags.scheme is not None
    found = evaluation.tagging_scores(tagger.tag, dict(sorted(corpora.items())), of_spans)
    found.pop("macro")
    return {"metric": "f1" if of_spans else "accuracy"} | by_language(found, tagger.languages)


def by_language(scores: Mapping[str, float], trained: tuple[str, ...]) -> dict[str, Any]:
    """Shares as percentages, and their means: languages that were trained on, and the others.

    A model that does not say what it was trained on has no zero-shot languages.
    """
    groups: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for language, score in scores.items():
        groups[not trained or language in trained][language] = 100 * score
    means = {
        known: {"macro": sum(some.values()) / len(some), "languages": some}
        for known, some in groups.items()
        if some
    }
    return means.get(True, {}) | ({"zero_shot": means[False]} if False in means else {})


def _tagging_specs(settings: Any) -> tuple[Specs, str]:
    if not hasattr(settings, "corpora"):
        raise ValueError(f"--config is of method {settings.method!r}, which has no tagged corpora")
    corpora = settings.corpora
    return {**corpora.test, **corpora.zero_shot}, corpora.root


TASKS = {"tagging": Task(_tagging_specs, tagging)}


def evaluate(model: str, task: str, specs: Specs, root: str = ".") -> dict[str, Any]:
    """The scores of a model in a task, in percent."""
    if task not in TASKS:
        raise ValueError(f"--task must be one of {', '.join(TASKS)}, got {task!r}")
    if not specs:
        raise ValueError("there is no test corpus: name some in --config or --corpora")
    return {"model": model, "task": task} | TASKS[task].measure(model, specs, root)


def table(scores: Mapping[str, Any]) -> str:
    """The scores as plain text, rounded."""
    rows = [(scores["metric"], "")]
    for label, group in (("", scores), ("zero-shot ", scores.get("zero_shot", {}))):
        languages = group.get("languages", {})
        rows += [(label + language, f"{score:.2f}") for language, score in languages.items()]
        if languages:
            rows.append((label + "macro", f"{group['macro']:.2f}"))
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:{width}}  {score:>6}".rstrip() for name, score in rows)


def main() -> int:
    """The program."""
    from mmkd_jax import config

    with messages("evaluate"):
        if (_CONFIG.value is None) == (_CORPORA.value is None):
            raise ValueError("one of --config and --corpora must say what to measure on")
        if _CORPORA.value is not None:
            specs = json.loads(Path(_CORPORA.value).read_text(encoding="utf-8"))
            root = _ROOT.value
        else:
            task = TASKS.get(_TASK.value, TASKS["tagging"])
            specs, root = task.specs(config.read(_CONFIG.value))
        scores = evaluate(_MODEL.value, _TASK.value, specs, root)
        print(table(scores))
        if _OUT.value:
            text = json.dumps(scores, indent=2, ensure_ascii=False) + "\n"
            Path(_OUT.value).write_text(text, encoding="utf-8")
        return 0


if __name__ == "__main__":
    flags.mark_flags_as_required(["model", "task"])
    start(main, "evaluate")
