"""Scores by language, of whatever tasks results.json tells of."""

from typing import Any, NamedTuple

from mmkd_jax.evaluation._scores import mapping, number, numbers, scores_of

# Of several scores of a language, the one that a run is about; the others stand beside it.
_FIRST = ("student", "mean", "macro", "f1", "accuracy", "after")
_SPREAD = ("deviation", "std")
_GROUPS = ("test", "zero_shot", "dev")  # of a task's corpora


class Series(NamedTuple):
    """Percentages by language.

    Attributes:
      name: What they are of.
      languages: By code.
      mean: Over languages, None if it is not known.
      deviations: By code, of several seeds, and under "" that of the mean; may be empty.
    """

    name: str
    languages: dict[str, float]
    mean: float | None
    deviations: dict[str, float]


class Task(NamedTuple):
    """A task and what a run has come to in it.

    Attributes:
      name: As results.json has it.
      now: What the run is about.
      before: The same before training.
      beside: What it is to be compared with, such as a baseline.
      metric: What the percentages are, such as "F1"; "" if it is not said.
      gains: By the names of series, what their means gain over a baseline in the same run, and the
        standard error of that, None of one run.
    """

    name: str
    now: Series
    before: Series | None
    beside: list[Series]
    metric: str
    gains: dict[str, tuple[float, float | None]]

    def ordered(self) -> list[str]:
        """The languages, best first."""
        before = self.before.languages if self.before else {}
        codes = dict.fromkeys([*self.now.languages, *before])
        return sorted(codes, key=lambda code: (-self.now.languages.get(code, -1.0), code))


def tasks_of(results: Any) -> list[Task]:
    """The tasks in what results.json holds.

    A task is an entry with "languages": a percentage by language, or by language several of them by
    name, of which "metric" names the first. Percentages beside "languages" are means, of what their
    names say. A task may have groups of corpora: "test", "zero_shot", or else "dev".
    """
    found = []
    for name, value in mapping(results).items():
        if name == "retrieval":
            tasks = [_retrieval(results)]
        else:
            tasks = [_task(*group) for group in _groups(str(name), mapping(value))]
        found += [task for task in tasks if task is not None]
    return found


def _groups(name: str, value: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Entries with languages, each with its name."""
    metric = {"metric": value.get("metric")}
    groups = {group: mapping(value.get(group)) for group in _GROUPS}
    found = []
    if "languages" in value:
        found.append((name, _spread_of(groups["test"] or groups["dev"]) | value))
    for group, entry in groups.items():
        if entry and (group == "zero_shot" or not found):
            shown = name if group == "test" else f"{name}, {group.replace('_', '-')}"
            # Several taggers, where there are, stand beside one another.
            beside = mapping(value.get(f"{group}_compared"))
            found.append((shown, metric | (_spread_of(entry) | beside if beside else entry)))
    return found


def _spread_of(group: dict[str, Any]) -> dict[str, Any]:
    return {key: group[key] for key in (*_SPREAD, "languages_deviation") if key in group}


def _retrieval(results: Any) -> Task | None:
    scores = scores_of(results)
    if scores is None:
        return None
    before = None
    if scores.before is not None or scores.languages_before:
        before = Series("before", scores.languages_before, scores.before, {})
    return Task("retrieval", Series("now", scores.languages, scores.after, {}), before, [], "", {})


def _task(name: str, value: dict[str, Any]) -> Task | None:
    languages, metric = mapping(value.get("languages")), str(value.get("metric") or "")
    means = {key: mean for key, mean in _percentages(value).items() if key not in _SPREAD}
    by_name: dict[str, dict[str, float]] = {}
    spread = _percentages(value.get("languages_deviation"))
    spread |= _of_mean(value)
    for code, nested in languages.items():
        for key, score in _percentages(nested).items():
            if key in _SPREAD:
                spread[str(code)] = score
            else:
                by_name.setdefault(key, {})[str(code)] = score
    names = [key for key in (metric, *_FIRST) if key in by_name or key in means]
    main = names[0] if names else next(iter(by_name), "now")
    if plain := _percentages(languages):
        by_name[main] = plain
    if not by_name.get(main):
        return None
    rows = mapping(value.get("rows"))
    series = {
        key: Series(
            key,
            by_name.get(key, {}),
            _mean(means.get(key), by_name.get(key, {})),
            _of_mean(mapping(rows.get(key))),
        )
        for key in dict.fromkeys([*by_name, *means])
        if key != "before"
    }
    now = series.pop(main)._replace(deviations=spread)
    before = None
    if "before" in means or "languages_before" in value:
        at_first = _percentages(value.get("languages_before"))
        before = Series("before", at_first, _mean(means.get("before"), at_first), {})
    shown = metric.replace("_", " ")
    return Task(
        name, now, before, list(series.values()), shown[:1].upper() + shown[1:], _gains_of(rows)
    )


def _gains_of(rows: dict[str, Any]) -> dict[str, tuple[float, float | None]]:
    found = {str(name): numbers(row) for name, row in rows.items()}
    return {
        name: (row["gain"], row.get("gain_error")) for name, row in found.items() if "gain" in row
    }


def _of_mean(value: dict[str, Any]) -> dict[str, float]:
    """The deviation of a mean over languages."""
    found = [score for key, score in _percentages(value).items() if key in _SPREAD]
    return {"": found[0]} if found else {}


def _percentages(value: Any) -> dict[str, float]:
    return {name: part for name, part in numbers(value).items() if 0 <= part <= 100}


def _mean(given: float | None, languages: dict[str, float]) -> float | None:
    mean = number(given)
    if 0 <= mean <= 100:
        return mean
    return sum(languages.values()) / len(languages) if languages else None
