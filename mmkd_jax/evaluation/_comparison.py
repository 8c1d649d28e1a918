"""Taggers beside one another: means over repetitions, and what one gains over another."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_FIRST = (
    "teachers",
    "baseline",
    "student",
)  # the order of rows; the others come as they were named

Run = Mapping[str, Mapping[str, float]]


def comparison(runs: Sequence[Run]) -> dict[str, Any]:
    """What ``results.json`` says of several taggers.

    Example:
      >>> from mmkd_jax import evaluation
      >>> runs = [
      ...     {"student": {"de": 81.0, "tr": 77.0}, "baseline": {"de": 80.0, "tr": 76.0}},
      ...     {"student": {"de": 83.0, "tr": 77.0}, "baseline": {"de": 80.0, "tr": 77.0}},
      ... ]
      >>> found = evaluation.comparison(runs)
      >>> found["student"], found["baseline"], found["languages"]["de"]
      (79.5, 78.25, {'baseline': 80.0, 'student': 82.0})
      >>> found["rows"]["student"]["gain"], found["rows"]["student"]["gain_error"]
      (1.25, 0.25)

    Args:
      runs: One a seed: by the tagger's name its scores by language. The mean over languages is
        taken over those that all of them have.

    Returns:
      By name the mean over languages and runs; "languages", by language and name the mean over
      runs; "rows", by name "macro", its "deviation" over runs, and, beside a baseline, the "gain"
      over it in the same run and its standard error. What takes two runs is None with one.
    """
    names = [name for name in _FIRST if all(name in run for run in runs)]
    others = sorted(set(runs[0]) - set(_FIRST))
    names += [name for name in others if all(name in run for run in runs)]
    common = set.intersection(*(set(run[name]) for run in runs for name in names))
    if not common:
        return {"languages": {}, "rows": {}}
    languages = sorted(common)
    scores = {
        name: np.array([[run[name][language] for language in languages] for run in runs])
        for name in names
    }
    macro = {name: found.mean(axis=1) for name, found in scores.items()}
    by_language = {
        language: {name: float(scores[name][:, i].mean()) for name in names}
        for i, language in enumerate(languages)
    }
    rows = {name: _row(macro[name], macro.get("baseline")) for name in names}
    means = {name: row["macro"] for name, row in rows.items() if name in _FIRST}
    return means | {"languages": by_language, "rows": rows}


def comparison_table(found: Mapping[str, Any]) -> str:
    """The means, deviations and gains as plain text, a tagger a line.

    Example:
      >>> from mmkd_jax.evaluation._comparison import comparison, comparison_table
      >>> runs = [{"student": {"de": 81.0, "tr": 77.0}, "baseline": {"de": 80.0, "tr": 76.0}}] * 2
      >>> print(comparison_table(comparison(runs)))
                    de      tr   macro           gain
      baseline   80.00   76.00   78.00 ± 0.00
      student    81.00   77.00   79.00 ± 0.00   +1.00 ± 0.00
    """
    languages = list(found["languages"])
    lines = [["", *languages, "macro", "gain"]]
    for name, row in found["rows"].items():
        of_languages = [f"{found['languages'][language][name]:.2f}" for language in languages]
        macro = f"{row['macro']:.2f}" + _plus_minus(row["deviation"])
        gain = row.get("gain")
        gained = "" if gain is None else f"{gain:+.2f}" + _plus_minus(row["gain_error"])
        lines.append([name, *of_languages, macro, gained])
    return "\n".join(_aligned(lines))


def _row(macro: np.ndarray, baseline: np.ndarray | None) -> dict[str, float | None]:
    row = {"macro": float(macro.mean()), "deviation": _deviation(macro)}
    if baseline is not None and baseline is not macro:
        gains = macro - baseline
        deviation = _deviation(gains)
        error = None if deviation is None else deviation / math.sqrt(len(gains))
        row |= {"gain": float(gains.mean()), "gain_error": error}
    return row


def _deviation(values: np.ndarray) -> float | None:
    return float(values.std(ddof=1)) if len(values) > 1 else None


def _plus_minus(value: float | None) -> str:
    return "" if value is None else f" ± {value:.2f}"


def _aligned(lines: list[list[str]]) -> list[str]:
    """Names on the left, numbers on the right, deviations below one another."""
    columns = []
    for column in zip(*lines, strict=True):
        parts = [cell.partition(" ±") for cell in column]
        left = max(len(before) for before, _, _ in parts)
        right = max(len(mark + after) for _, mark, after in parts)
        is_first = not columns
        columns.append(
            [
                cell.ljust(left) if is_first else before.rjust(left) + (mark + after).ljust(right)
                for cell, (before, mark, after) in zip(column, parts, strict=True)
            ]
        )
    return ["   ".join(row).rstrip() for row in zip(*columns, strict=True)]
