"""Taggers beside one another: means over repetitions, and what one gains over another."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_TEACHERS = "teachers"
_FIRST = (_TEACHERS, "baseline", "student")  # of the rows; the others come as they were named

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
        taken over those that all of them have in all runs. Only "teachers" may have fewer of these.

    Returns:
      By name the mean over languages and runs; "languages", by language and name the mean over
      runs; "rows", by name "macro", its "deviation" over runs, and, beside a baseline, the "gain"
      over it in the same run and its standard error. What takes two runs is None with one. A row
      that lacks languages names them as "missing"; its gain is over the others.
    """
    everywhere = [name for name in runs[0] if all(name in run for run in runs)]
    languages = _shared(runs, [name for name in everywhere if name != _TEACHERS])
    of_each = dict.fromkeys(everywhere, languages)
    if _TEACHERS in of_each:
        taught = set(_shared(runs, [_TEACHERS]))
        of_each[_TEACHERS] = [language for language in languages if language in taught]
    first = [name for name in _FIRST if name in of_each]
    names = [name for name in (*first, *everywhere) if of_each[name]]
    rows: dict[str, Any] = {}
    for name in dict.fromkeys(names):
        own = of_each[name]
        baseline = None if name == "baseline" else _macro(runs, "baseline", own)
        rows[name] = _row(_macro(runs, name, own), baseline)
        if missing := [language for language in languages if language not in own]:
            rows[name]["missing"] = missing
    by_language = {
        language: {
            name: float(np.mean([run[name][language] for run in runs]))
            for name in rows
            if language in of_each[name]
        }
        for language in languages
    }
    means = {name: row["macro"] for name, row in rows.items() if name in _FIRST}
    return means | {"languages": by_language, "rows": rows}


def compared(runs: Sequence[Run]) -> dict[str, Any]:
    """The comparison, and under "runs" what it was made of."""
    return comparison(runs) | {"runs": list(runs)}


def _shared(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """The languages that all of these have in all runs."""
    found = [set(run[name]) for run in runs for name in names]
    return sorted(set.intersection(*found)) if found else []


def _macro(runs: Sequence[Run], name: str, languages: Sequence[str]) -> np.ndarray | None:
    """The mean over languages, of each run; None for a tagger that is not in all of them."""
    if not all(name in run for run in runs):
        return None
    return np.array([[run[name][language] for language in languages] for run in runs]).mean(axis=1)


def comparison_table(found: Mapping[str, Any]) -> str:
    """The means, deviations and gains as plain text, a tagger a line.

    A star marks a mean over fewer languages, where a row lacks some.

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
        scores = [found["languages"][language].get(name) for language in languages]
        of_languages = ["–" if score is None else f"{score:.2f}" for score in scores]
        macro = f"{row['macro']:.2f}" + ("*" if "missing" in row else "")
        macro += _plus_minus(row["deviation"])
        gain = row.get("gain")
        gained = "" if gain is None else f"{gain:+.2f}" + _plus_minus(row["gain_error"])
        lines.append([name, *of_languages, macro, gained])
    notes = [
        f"* over fewer languages: {name} has no {', '.join(row['missing'])}"
        for name, row in found["rows"].items()
        if "missing" in row
    ]
    return "\n".join(_aligned(lines) + notes)


def _row(macro: Any, baseline: np.ndarray | None) -> dict[str, Any]:
    row: dict[str, Any] = {"macro": float(macro.mean()), "deviation": _deviation(macro)}
    if baseline is not None:
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
