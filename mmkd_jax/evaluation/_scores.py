"""Retrieval before and after training, as results.json tells it."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple


class Scores(NamedTuple):
    """Percentages; what is not known is None, or not in the mapping.

    Attributes:
      before: The mean over languages before training.
      after: The mean over languages now.
      languages: Now, by language.
      languages_before: Before training, by language.
    """

    before: float | None
    after: float | None
    languages: dict[str, float]
    languages_before: dict[str, float]

    def ordered(self) -> list[str]:
        """The languages, best first."""
        codes = dict.fromkeys([*self.languages, *self.languages_before])
        return sorted(codes, key=lambda code: (-self.languages.get(code, -1.0), code))


def scores_of(results: Any) -> Scores | None:
    """The scores in what results.json holds; None if there are none.

    A mean that is not given is taken over the languages.
    """
    retrieval = mapping(mapping(results).get("retrieval"))
    after, before = (
        _percentages(retrieval.get(name)) for name in ("languages", "languages_before")
    )
    scores = Scores(
        _mean(retrieval.get("before"), before), _mean(retrieval.get("after"), after), after, before
    )
    return None if scores.after is None and not before else scores


def mapping(value: Any) -> dict[str, Any]:
    """A mapping as it is, and anything else as an empty one: files may hold anything."""
    return dict(value) if isinstance(value, Mapping) else {}


def numbers(value: Any) -> dict[str, float]:
    """What is a finite number in a mapping."""
    found = {str(name): number(part) for name, part in mapping(value).items()}
    return {name: part for name, part in found.items() if math.isfinite(part)}


def number(value: Any) -> float:
    """A number, or text that stands for one such as "NaN"; not a number for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _percentages(value: Any) -> dict[str, float]:
    return {name: part for name, part in numbers(value).items() if 0 <= part <= 100}


def _mean(given: Any, by_language: dict[str, float]) -> float | None:
    mean = number(given)
    if 0 <= mean <= 100:
        return mean
    return sum(by_language.values()) / len(by_language) if by_language else None
