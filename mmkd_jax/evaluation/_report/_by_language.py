"""Scores by language, best resourced languages first, beside those of other runs."""

import functools
from collections.abc import Callable
from typing import NamedTuple

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._bars import Bar, Group, Row, draw_bars
from mmkd_jax.evaluation._report._data import learned_by_language, unit
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section, table
from mmkd_jax.evaluation._report._numbers import count, percent
from mmkd_jax.evaluation._report._pictures import picture
from mmkd_jax.evaluation._report._runs import colour_class, legend
from mmkd_jax.evaluation._report._tasks import Series, Task
from mmkd_jax.evaluation._resources import resource_class

_NAMES = {"mbert": "mBERT of the literature", "exact_match": "exact match"}
_MEANINGS = {
    "retrieval": "For each held-out translation the nearest English sentence is looked up, by "
    "cosine. Shown is how often it is the right one, in percent.",
}
_ORDER = (
    "Languages with much text and labelled data in the world come first: classes 5 to 1 of "
    "Joshi et al. 2020."
)


def by_language(run: Run) -> Markup | None:
    """A section a task."""
    parts = [_section(run, task) for task in run.tasks if task.ordered()]
    return joined(*parts) if parts else None


class _Column(NamedTuple):
    """Scores of one kind, with the name that readers see."""

    name: str
    series: Series


def _section(run: Run, task: Task) -> Markup:
    columns = _columns(run, task)
    order = _by_class(task)
    groups = [_group(number, codes, task, columns) for number, codes in order.items()]
    name, _, group = task.name.replace("_", " ").partition(", ")
    title = f"{name} by language" + (f", {group}" if group else "")
    return section(
        title[0].upper() + title[1:],
        element(
            "p",
            _MEANINGS.get(
                task.name, f"{task.metric}, in percent." if task.metric else "In percent."
            ),
            f" {_ORDER}" if any(number is not None for number in order) else None,
        ),
        _legend(run, task, columns),
        picture(
            functools.partial(draw_bars, _means(task, columns), groups),
            title,
            f"Bars: one for each of {len(task.ordered())} languages"
            + (f" and each of {len(columns)} columns of the table below" if columns[1:] else ""),
        ),
        _gains(task) if task.gains else None,
        folded("The same as a table", _table(run, task, columns)),
    )


def _gains(task: Task) -> Markup:
    """Means side by side, and what they gain."""
    rows = []
    for series in (task.now, *task.beside):
        gain, error = task.gains.get(series.name, (None, None))
        gained = "–" if gain is None else f"{gain:+.2f}{_spread(error, 2)}"
        mean = percent(series.mean) + _spread(series.deviations.get(""), 1)
        rows.append([_named(series), mean, gained])
    return joined(
        element(
            "p",
            "Means over languages, and gains over the baseline. After ±: of means the deviation "
            "over seeds; of gains, which are taken seed by seed, the standard error.",
        ),
        table(["", "Mean", "Gain"], rows, numeric=(1, 2)),
    )


def _columns(run: Run, task: Task) -> list[_Column]:
    """What the run is about first; then what stands beside it, here and in other runs."""
    name = run.name if run.others else _named(task.now)
    columns = [_Column(name, task.now), *(_Column(_named(one), one) for one in task.beside)]
    for other in run.others:
        known = next((theirs for theirs in other.tasks if theirs.name == task.name), None)
        empty = Series("", {}, None, {})
        columns.append(_Column(other.name, empty if known is None else known.now))
    return columns


def _named(series: Series) -> str:
    return _NAMES.get(series.name, series.name.replace("_", " "))


def _by_class(task: Task) -> dict[int | None, list[str]]:
    """The languages by class, the best resourced ones and the best ones first."""
    classes: dict[int | None, list[str]] = {number: [] for number in (5, 4, 3, 2, 1, None)}
    for code in task.ordered():
        classes[resource_class(code)].append(code)
    return {number: codes for number, codes in classes.items() if codes}


def _group(number: int | None, codes: list[str], task: Task, columns: list[_Column]) -> Group:
    rows = [
        Row(
            language_name(code),
            _bars(task, columns, lambda one, code=code: one.languages.get(code), code),
        )
        for code in codes
    ]
    known = [task.now.languages[code] for code in codes if code in task.now.languages]
    mean = f", mean {sum(known) / len(known):.1f}" if len(known) > 1 else ""
    return Group(f"{'Not classified' if number is None else f'Class {number}'}{mean}", rows)


def _means(task: Task, columns: list[_Column]) -> Row:
    return Row("Mean", _bars(task, columns, lambda one: one.mean, None))


def _bars(
    task: Task,
    columns: list[_Column],
    score: Callable[[Series], float | None],
    code: str | None,
) -> list[Bar]:
    """The first one with what was before training."""
    before = score(task.before) if task.before else None
    first, *others = (
        Bar(score(column.series), None, column.series.deviations.get(code or ""))
        for column in columns
    )
    return [first._replace(before=before), *others]


def _legend(run: Run, task: Task, columns: list[_Column]) -> Markup | None:
    key: list[tuple[str, str]] = []
    if task.before is not None:
        now = columns[0].name if columns[1:] else "gained by training"
        key += [("before", "before training"), ("after", now)]
        before, after = task.before.languages, task.now.languages
        if any(after.get(code, 100.0) < old for code, old in before.items()):
            key.append(("lost", "lost"))
    elif columns[1:]:
        key.append(("after", columns[0].name))
    key += [(colour_class(place), column.name) for place, column in enumerate(columns[1:])]
    return legend(key) if key else None


def _table(run: Run, task: Task, columns: list[_Column]) -> Markup:
    learned = learned_by_language(run)
    head = ["Language", "Code", "Class"]
    head += [f"{unit(run).capitalize()}s"] if learned else []
    head += ["Before"] if task.before else []
    head += [column.name for column in columns] if columns[1:] else ["Score"]
    rows = []
    for code in [code for codes in _by_class(task).values() for code in codes]:
        number = resource_class(code)
        row = [language_name(code), element("code", code), "–" if number is None else str(number)]
        row += [count(learned[code]) if code in learned else "–"] if learned else []
        row += [percent(task.before.languages.get(code))] if task.before else []
        row += [_score(column.series, code) for column in columns]
        rows.append(row)
    return table(head, rows, numeric=tuple(range(2, len(head))))


def _score(series: Series, code: str) -> str:
    return percent(series.languages.get(code)) + _spread(series.deviations.get(code), 1)


def _spread(deviation: float | None, digits: int) -> str:
    return "" if deviation is None else f" ± {deviation:.{digits}f}"
