"""Tasks that models are measured by, and what is said of the result."""

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mmkd_jax._encoder_tasks import (
    Options,
    Specs,
    agreement,
    layers_table,
    probe,
    retrieval,
    sample_pairs,
    text_task,
)

_LOG = logging.getLogger("mmkd_jax.evaluate")
OPTIONS = Options()
NONE: Specs = {}


class Task(NamedTuple):
    """Something that a model is measured by.

    Attributes:
      specs: From the settings of a run to its descriptions of test corpora, and their root.
      measure: From a model's folder, descriptions, root and options to scores: "metric"; in percent
        "macro", and "languages" by language; likewise "zero_shot", where there are such languages.
        Or means by metric, and "languages" by language, by metric.
      sample: Descriptions where none are given.
    """

    specs: Callable[[Any], tuple[Specs, str]]
    measure: Callable[[str, Specs, str, Options], dict[str, Any]]
    sample: Callable[[], Specs] = dict


def tagging(model: str, specs: Specs, root: str, options: Options) -> dict[str, Any]:
    """F1 of spans, or accuracy of tags."""
    from mmkd_jax import data, evaluation, inference

    tagger = inference.load_tagger(model)
    corpora: dict[str, list] = {}
    for source in data.open_tagged(specs, root or "."):
        some = itertools.islice(source.sentences(), options.limit or None)
        corpora.setdefault(source.language, []).extend(some)
    of_spans = tagger.config.tags.scheme is not None
    for language, rows in corpora.items():
        _compare_tags(language, rows, tagger.config.tags)
    found = evaluation.tagging_scores(tagger.tag, dict(sorted(corpora.items())), of_spans)
    found.pop("macro")
    return {"metric": "f1" if of_spans else "accuracy"} | by_language(found, tagger.languages)


def _compare_tags(language: str, rows: Sequence[Any], known: Any) -> None:
    """Says what of a corpus the tagger never finds; ValueError if that is everything."""
    there = {tag for row in rows for tag in row.tags}
    if known.scheme is None:
        kinds, found = "tags", set(known.names)
    else:
        kinds, found = "types", set(known.types)
        there = {tag.partition("-")[2] or tag for tag in there - {"O"}}
    said = f"{language}: the tagger knows the {kinds} {', '.join(sorted(found))}, the corpus has "
    if there and not there & found:
        raise ValueError(f"{said}none of them, but {', '.join(sorted(there)[:20])}")
    if there - found:
        _LOG.warning("%salso %s, which it never finds", said, ", ".join(sorted(there - found)))


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


def _pair_specs(settings: Any) -> tuple[Specs, str]:
    if not hasattr(settings, "pairs"):
        raise ValueError(f"--config is of method {settings.method!r}, which has no pairs")
    return settings.pairs.held_out, settings.pairs.root


def _text_specs(settings: Any) -> tuple[Specs, str]:
    if not hasattr(settings, "texts"):
        raise ValueError(f"--config is of method {settings.method!r}, which has no such texts")
    return settings.texts.test, settings.texts.root


TASKS = {
    "tagging": Task(_tagging_specs, tagging),
    "retrieval": Task(_pair_specs, retrieval, sample_pairs),
    "agreement": Task(_pair_specs, agreement, sample_pairs),
    "probe": Task(_pair_specs, probe, sample_pairs),
    **{name: Task(_text_specs, text_task(name)) for name in ("xnli", "paws_x", "xquad")},
}


def evaluate(
    model: str, task: str, specs: Specs = NONE, root: str = ".", options: Options = OPTIONS
) -> dict[str, Any]:
    """The scores of a model in a task, in percent."""
    if task not in TASKS:
        raise ValueError(f"--task must be one of {', '.join(TASKS)}, got {task!r}")
    specs = specs or TASKS[task].sample()
    if not specs:
        raise ValueError("there is no test corpus: name some in --config or --corpora")
    return {"model": model, "task": task} | TASKS[task].measure(model, specs, root, options)


def report(scores: Mapping[str, Any]) -> str:
    """The scores as Markdown, rounded."""
    from mmkd_jax import evaluation

    parts = [evaluation.task_table({scores["task"]: scores})]
    if "layers" in scores:
        parts.append(layers_table(scores["layers"]))
    return "\n\n".join(parts)
