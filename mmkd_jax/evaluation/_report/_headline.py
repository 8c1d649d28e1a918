"""The figures that matter, large."""

import numpy as np

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._files import Curve, Run
from mmkd_jax.evaluation._report._html import Markup, element
from mmkd_jax.evaluation._report._numbers import count, duration, percent, plural, short
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
        element("p", _trouble(run), class_="trouble") if _trouble(run) else None,
    )


def _kind(run: Run) -> str:
    method = str(run.config.get("method", "")).upper()
    total = number(run.config.get("total_steps"))
    stopped = f", at step {count(run.step)} of {count(total)}" if run.step < total else ""
    return f"{method} run{stopped}" if method else f"Run{stopped}"


def _reached(run: Run) -> Markup | None:
    """One large figure, and a sentence that says what it is."""
    scores = run.scores
    if scores is not None and scores.after is not None:
        before = None
        if scores.before is not None:
            before = element("span", percent(scores.before), " → ", class_="from")
        meaning = "of held-out translations are nearest to their own English sentence"
        then = "" if scores.before is None else ", before training and now"
        return _large(before, percent(scores.after), meaning + then)
    loss = _finite(run.metrics.get("loss"))
    if not len(loss):
        return None
    before = element("span", short(loss[0]), " → ", class_="from") if len(loss) > 1 else None
    return _large(before, short(loss[-1]), "loss, at first and now" if before else "loss")


def _large(before: Markup | None, now: str, meaning: str) -> Markup:
    figure = element("p", before, element("strong", now), class_="figure")
    return element("div", figure, element("p", meaning), class_="reached")


def _facts(run: Run) -> list[tuple[str, str]]:
    found = []
    if run.scores is not None and run.scores.languages:
        ordered = [code for code in run.scores.ordered() if code in run.scores.languages]
        found.append(("Languages", count(len(ordered))))
        for name, code in (("Best", ordered[0]), ("Last", ordered[-1])):
            if len(ordered) > 1:
                score = percent(run.scores.languages[code])
                found.append((f"{name}: {language_name(code)}", score))
    if run.step:
        found.append(("Steps", count(run.step)))
        batch = number(run.config.get("batch_size"))
        if batch > 0:
            found.append(("Pairs seen", short_count(run.step * batch)))
    if seconds := _seconds(run.speed.get("per_second/steps")):
        found.append(("Training time", duration(seconds)))
    rate = _finite(run.speed.get("per_second/pairs"))
    if len(rate):
        found.append(("Speed", f"{short(float(np.median(rate)))} pairs/s"))
    used = _finite(run.speed.get("per_second/mfu"))
    if len(used):
        found.append(("Model FLOPs used", percent(100 * float(np.median(used)))))
    return found


def short_count(value: int | float) -> str:
    """Whole up to a million, then three digits."""
    return count(value) if value < 1e6 else short(value)


def _seconds(rate: Curve | None) -> float:
    """How long the steps took: compiling, evaluating and saving are not in the rates."""
    if rate is None:
        return 0.0
    steps = np.diff(rate.steps, prepend=0.0)
    known = np.isfinite(rate.values) & (rate.values > 0)
    seconds = float((steps[known] / rate.values[known]).sum())
    return seconds if np.isfinite(seconds) else 0.0


def _finite(curve: Curve | None) -> np.ndarray:
    return np.zeros(0) if curve is None else curve.values[np.isfinite(curve.values)]


def _trouble(run: Run) -> str:
    """What the reader should know before believing anything else."""
    skipped = _finite(run.metrics.get("skipped"))
    if not len(skipped) or skipped[-1] <= 0:
        return ""
    return f"{plural(skipped[-1], 'step')} skipped: loss or gradient was not finite."
