"""Scores of benchmarks as results.json has them: over several seeds, and as a Markdown table."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from mmkd_jax.evaluation._comparison import compared, comparison_table
from mmkd_jax.evaluation._scores import mapping
from mmkd_jax.evaluation._text_tasks import LITERATURE, TEXT_TASKS

_DEVIATION = "deviation"
_FOREIGN = "zero_shot_compared"  # of taggers: on languages that nobody learned
_MEANS = ("macro", "after")  # what means over languages are called where they have no other name


def over_seeds(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The means of several runs that differ in their seed alone.

    Where an entry names its "metric", the standard deviation of that (of a sample: by n - 1) stands
    beside it, as "deviation", for the mean over languages and for each language. Where languages
    have one number each, theirs are "languages_deviation".

    Example:
      >>> from mmkd_jax import evaluation
      >>> runs = [
      ...     {"xnli": {"metric": "accuracy", "accuracy": a, "languages": {"de": {"accuracy": a}}}}
      ...     for a in (60.0, 64.0)
      ... ]
      >>> found = evaluation.over_seeds(runs)["xnli"]
      >>> print(found["accuracy"], round(found["deviation"], 3))
      62.0 2.828

    Args:
      results: What each run's ``results.json`` holds; at least one.
    """
    if not results:
        raise ValueError("results must be of at least one run, got none")
    found = _mean(list(results), None)
    # Several taggers are compared seed by seed.
    taggers = [mapping(each.get("tagging")) for each in results]
    if runs := _runs(taggers):
        found["tagging"] |= compared(runs)
    if runs := _runs([mapping(each.get(_FOREIGN)) for each in taggers]):
        found["tagging"][_FOREIGN] = compared(runs)
    return found


def _runs(groups: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [run for group in groups for run in group.get("runs", ())]


def _mean(values: list[Any], metric: str | None) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        metric = first.get("metric", metric)
        shared = [key for key in first if all(key in mapping(value) for value in values)]
        found = {key: _mean([value[key] for value in values], metric) for key in shared}
        if len(values) > 1:
            found |= _deviations(values, found, metric)
        return found
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return statistics.fmean(map(float, values))
    return first


def _deviations(values: list[Any], shared: Mapping[str, Any], metric: Any) -> dict[str, Any]:
    """What is to stand beside the means of these entries."""
    found: dict[str, Any] = {}
    for key in (metric, *_MEANS):
        if isinstance(shared.get(key), float):
            found[_DEVIATION] = statistics.stdev(float(value[key]) for value in values)
            break
    languages = mapping(shared.get("languages"))
    if languages and all(isinstance(score, float) for score in languages.values()):
        found["languages_deviation"] = {
            code: statistics.stdev(float(value["languages"][code]) for value in values)
            for code in languages
        }
    return found


def task_table(results: Mapping[str, Any]) -> str:
    """Scores by language as Markdown, with the literature's beside them; empty if there are none.

    Example:
      >>> from mmkd_jax import evaluation
      >>> languages = {"en": {"accuracy": 81.4}, "de": {"accuracy": 70.25}}
      >>> task = {"metric": "accuracy", "accuracy": 75.825, "languages": languages}
      >>> print(evaluation.task_table({"xnli": task}))
      | xnli | mean | en | de |
      |---|---|---|---|
      | accuracy | 75.8 | 81.4 | 70.2 |
      | mBERT, zero-shot (XTREME, Hu et al. 2020), 15 languages, accuracy | 65.4 | | |

    Args:
      results: What ``results.json`` holds. Entries without "metric" are passed over.
    """
    tables = []
    for name, value in results.items():
        task = mapping(value)
        if "metric" not in task:
            continue
        if task.get("rows"):
            tables.append(comparison_table(task))
            foreign = mapping(task.get(_FOREIGN))
            if foreign.get("rows"):
                tables.append(f"Zero-shot:\n{comparison_table(foreign)}")
            continue
        # A tagger's languages stand in groups: those of its training, and zero-shot ones.
        parts = {
            f"{name} {part}": mapping(group) for part, group in task.items() if part != _FOREIGN
        }
        for label, group in {str(name): task, **parts}.items():
            if mapping(group.get("languages")):
                tables.append(_table(label, _by_metric(group, task["metric"]), task["metric"]))
    return "\n\n".join(tables)


def _by_metric(group: dict[str, Any], metric: str) -> dict[str, Any]:
    """The same, where languages have one number each, with its name."""
    languages, deviations = group["languages"], mapping(group.get("languages_deviation"))
    if all(isinstance(scores, Mapping) for scores in languages.values()):
        return group
    named = {
        code: {metric: score} | ({_DEVIATION: deviations[code]} if code in deviations else {})
        for code, score in languages.items()
    }
    return group | {"languages": named} | ({metric: group["macro"]} if "macro" in group else {})


def _table(name: str, task: dict[str, Any], metric: str) -> str:
    languages = mapping(task["languages"])
    every = dict.fromkeys(key for row in languages.values() for key in mapping(row))
    metrics = sorted(set(every) - {_DEVIATION}, key=[metric, *every].index)
    rows = [[name, "mean", *languages], ["---"] * (len(languages) + 2)]
    for each in metrics:
        of = [task, *languages.values()]
        # The deviation is that of the metric that counts.
        rows.append([each, *(_cell(mapping(scores), each, each == metric) for scores in of)])
    known = TEXT_TASKS.get(name)
    if known is not None:
        beside = f"{LITERATURE}, {len(known.languages)} languages, {known.baseline_metric}"
        rows.append([beside, f"{known.baseline:.1f}", *[""] * len(languages)])
    return "\n".join(_line(row) for row in rows)


def _cell(scores: dict[str, Any], metric: str, marked: bool) -> str:
    if metric not in scores:
        return "–"
    text = f"{scores[metric]:.1f}"
    return f"{text} ± {scores[_DEVIATION]:.1f}" if marked and _DEVIATION in scores else text


def _line(row: Sequence[str]) -> str:
    if all(cell == "---" for cell in row):
        return f"|{'|'.join(row)}|"
    return f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in row)}|"
