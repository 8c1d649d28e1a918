"""Scores by language, of whatever tasks results.json tells of."""

from typing import Any, NamedTuple

from mmkd_jax.evaluation._scores import mapping, number, numbers, scores_of

# Of several scores of a language, the one that a run is about; the others stand beside it.
_FIRST = ("student", "mean", "f1", "accuracy", "after")
_SPREAD = ("deviation", "std", "error", "seeds")


class Series(NamedTuple):
    """Percentages by language.

    Attributes:
      name: What they are of.
      languages: By code.
      mean: Over languages, None if it is not known.
      deviations: By code, of several seeds; may be empty.
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
    """

    name: str
    now: Series
    before: Series | None
    beside: list[Series]

    def ordered(self) -> list[str]:
        """The languages, best first."""
        before = self.before.languages if self.before else {}
        codes = dict.fromkeys([*self.now.languages, *before])
        return sorted(codes, key=lambda code: (-self.now.languages.get(code, -1.0), code))


def tasks_of(results: Any) -> list[Task]:
    """The tasks in what results.json holds.

    A task is an entry with "languages": a percentage by language, or by language several of them by
    name. Percentages beside "languages" are means, of what their names say.
    """
    found = []
    for name, value in mapping(results).items():
        task = _retrieval(results) if name == "retrieval" else _task(str(name), mapping(value))
        if task is not None:
            found.append(task)
    return found


def _retrieval(results: Any) -> Task | None:
    scores = scores_of(results)
    if scores is None:
        return None
    before = None
    if scores.before is not None or scores.languages_before:
        before = Series("before", scores.languages_before, scores.before, {})
    return Task("retrieval", Series("now", scores.languages, scores.after, {}), before, [])


def _task(name: str, value: dict[str, Any]) -> Task | None:
    languages = mapping(value.get("languages"))
    means = _percentages(value)
    by_name: dict[str, dict[str, float]] = {}
    spread: dict[str, float] = {}
    plain = _percentages(languages)
    for code, nested in languages.items():
        for key, score in _percentages(nested).items():
            if key in _SPREAD:
                spread[str(code)] = score
            else:
                by_name.setdefault(key, {})[str(code)] = score
    mains = [key for key in _FIRST if key in by_name or key in means]
    main = mains[0] if mains else next(iter(by_name), "now")
    if plain:
        by_name[main] = plain
    if not by_name:
        return None
    series = [
        Series(key, by_name.get(key, {}), _mean(means.get(key), by_name.get(key, {})), {})
        for key in dict.fromkeys([*by_name, *means])
        if key not in _SPREAD and key != "before"
    ]
    now = next(one for one in series if one.name == main)._replace(deviations=spread)
    before = None
    if "before" in means or "languages_before" in value:
        at_first = _percentages(value.get("languages_before"))
        before = Series("before", at_first, _mean(means.get("before"), at_first), {})
    return Task(name, now, before, [one for one in series if one.name != main])


def _percentages(value: Any) -> dict[str, float]:
    return {name: part for name, part in numbers(value).items() if 0 <= part <= 100}


def _mean(given: float | None, languages: dict[str, float]) -> float | None:
    mean = number(given)
    if 0 <= mean <= 100:
        return mean
    return sum(languages.values()) / len(languages) if languages else None
