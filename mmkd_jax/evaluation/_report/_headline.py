"""The figures that matter, large."""

import numpy as np

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._files import Curve, Run
from mmkd_jax.evaluation._report._html import Markup, element
from mmkd_jax.evaluation._report._numbers import count, duration, percent, plural, short
from mmkd_jax.evaluation._report._tasks import Series, Task
from mmkd_jax.evaluation._scores import number


def headline(run: Run) -> Markup:
    """The name of the run, what it has reached, and in which circumstances."""
    facts = [
        element("div", element("dt", name), element("dd", value)) for name, value in _facts(run)
    ]
    return element(
        "header",
        element("p", _kind(run), class_="kind"),
        element("h1", run.name),
        _reached(run),
        element("dl", *facts, class_="facts") if facts else None,
        element("p", _seeds(run), class_="seeds") if run.seed else None,
        element("p", _trouble(run), class_="trouble") if _trouble(run) else None,
    )


def _kind(run: Run) -> str:
    method = str(run.config.get("method", "")).replace("_", " ")
    method = method.upper() if method == "mmkd" else method.capitalize()
    total = number(run.config.get("total_steps"))
    stopped = f", at step {count(run.step)} of {count(total)}" if run.step < total else ""
    return f"{method} run{stopped}" if method else f"Run{stopped}"


def _reached(run: Run) -> Markup | None:
    """One large figure, and a sentence that says what it is."""
    task = run.tasks[0] if run.tasks else None
    if task is not None and task.now.mean is not None:
        meaning = (
            "of held-out translations are nearest to their own English sentence"
            if task.name == "retrieval"
            else f"{task.metric} in {task.name.replace('_', ' ')}, the mean over languages".strip()
        )
        for other, then in ((task.before, ", before training and now"), *_baseline(task)):
            if other is not None and other.mean is not None:
                before = element("span", percent(other.mean), " → ", class_="from")
                return _large(before, percent(task.now.mean), meaning + then)
        return _large(None, percent(task.now.mean), meaning)
    loss = _finite(run.metrics.get("loss"))
    if not len(loss):
        return None
    before = element("span", short(loss[0]), " → ", class_="from") if len(loss) > 1 else None
    return _large(before, short(loss[-1]), "loss, at first and now" if before else "loss")


def _baseline(task: Task) -> list[tuple[Series, str]]:
    found = [series for series in task.beside if series.name == "baseline"]
    return [(series, f": the baseline, and the {task.now.name}") for series in found]


def _large(before: Markup | None, now: str, meaning: str) -> Markup:
    figure = element("p", before, element("strong", now), class_="figure")
    return element("div", figure, element("p", meaning), class_="reached")


def _facts(run: Run) -> list[tuple[str, str]]:
    found = []
    scores = run.tasks[0].now.languages if run.tasks else {}
    if scores:
        ordered = [code for code in run.tasks[0].ordered() if code in scores]
        found.append(("Languages", count(len(ordered))))
        for name, code in (("Best", ordered[0]), ("Last", ordered[-1])):
            if len(ordered) > 1:
                found.append((f"{name}: {language_name(code)}", percent(scores[code])))
    if run.step:
        found.append(("Steps", count(run.step)))
        batch = number(run.config.get("batch_size"))
        if batch > 0 and run.unit == "pairs":  # a tagger's batch is of tokens
            found.append(("Pairs seen", short_count(run.step * batch)))
    if seconds := seconds_of_steps(run):
        found.append(("Training time", duration(seconds)))
    rate, used = (typical(run.speed.get(f"per_second/{name}")) for name in ("pairs", "mfu"))
    if np.isfinite(rate):
        found.append(("Speed", f"{short(rate)} {run.unit}/s"))
    if np.isfinite(used):
        found.append(("Model FLOPs used", percent(100 * used)))
    return found


def short_count(value: int | float) -> str:
    """Whole up to a million, then three digits."""
    return count(value) if value < 1e6 else short(value)


def seconds_of_steps(run: Run) -> float:
    """How long the steps took: compiling, evaluating and saving are not in the rates."""
    rate = run.speed.get("per_second/steps")
    if rate is None:
        return 0.0
    steps = np.diff(rate.steps, prepend=0.0)
    known = np.isfinite(rate.values) & (rate.values > 0)
    seconds = float((steps[known] / rate.values[known]).sum())
    return seconds if np.isfinite(seconds) else 0.0


def typical(curve: Curve | None, last: bool = False) -> float:
    """The median of what is finite, or the last of it; not a number if there is nothing."""
    values = _finite(curve)
    if not len(values):
        return float("nan")
    return float(values[-1] if last else np.median(values))


def _finite(curve: Curve | None) -> np.ndarray:
    return np.zeros(0) if curve is None else curve.values[np.isfinite(curve.values)]


def _seeds(run: Run) -> str:
    """Which of its seeds the page is about."""
    seeds = count(number(run.config.get("seeds")))
    if run.is_mean:
        return f"Scores are means over {seeds} seeds. All else on this page is of one, {run.seed}."
    return f"The first of {seeds} seeds, {run.seed}."


def _trouble(run: Run) -> str:
    """What the reader should know before believing anything else."""
    skipped = _finite(run.metrics.get("skipped"))
    if not len(skipped) or skipped[-1] <= 0:
        return ""
    return f"{plural(skipped[-1], 'step')} skipped: loss or gradient was not finite."
