"""Runs beside one another, and which colour is whose."""

from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._headline import seconds_of_steps, typical
from mmkd_jax.evaluation._report._html import Markup, breakable, element, section, table
from mmkd_jax.evaluation._report._numbers import count, duration, percent, short
from mmkd_jax.evaluation._report._pictures import OTHERS


def runs(run: Run) -> Markup | None:
    """A row a run: what it has come to, and what that took."""
    if not run.others:
        return None
    everyone = [run, *run.others]
    tasks = list(dict.fromkeys(task.name for one in everyone for task in one.tasks))
    head = ["Run", "Steps", *(f"{task.replace('_', ' ')}".capitalize() for task in tasks)]
    rows = []
    for place, one in enumerate(everyone):
        means = {task.name: task.now.mean for task in one.tasks}
        loss = typical(one.metrics.get("loss"), last=True)
        seconds = seconds_of_steps(one)
        speed = typical(one.speed.get("per_second/pairs"))
        rows.append(
            [
                element(
                    "span",
                    swatch("after" if not place else colour_class(place - 1)),
                    breakable(one.name),
                    class_="named",
                ),
                count(one.step),
                *(percent(means.get(task)) for task in tasks),
                short(loss),
                duration(seconds) if seconds else "–",
                short(speed),
            ]
        )
    head += ["Loss", "Training time", f"{run.unit.capitalize()}/s"]
    return section(
        "Runs",
        element("p", "The first one is what the rest of this page is about."),
        table(head, rows, numeric=tuple(range(1, len(head)))),
    )


def colour_class(place: int) -> str:
    """The class of a colour of what stands beside the run, by its place."""
    return f"other-{place % len(OTHERS) + 1}"


def swatch(colour: str) -> Markup:
    """A small piece of a colour."""
    return element("i", class_=f"swatch {colour}")


def legend(key: list[tuple[str, str]]) -> Markup:
    """What the colours of a picture mean: classes and their meanings."""
    return element(
        "p",
        *(element("span", swatch(colour), breakable(text)) for colour, text in key),
        class_="legend",
    )
