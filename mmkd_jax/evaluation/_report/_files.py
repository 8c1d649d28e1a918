"""What a workdir holds."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax.evaluation._report._details import (
    Between,
    Confused,
    Similarity,
    Space,
    Tagging,
    read_retrieval_details,
    read_similarity,
    read_space,
    read_tagging_details,
)
from mmkd_jax.evaluation._report._reading import clean, read_json, read_text
from mmkd_jax.evaluation._report._tasks import Task, tasks_of
from mmkd_jax.evaluation._scores import mapping, number

MEANS = ("mean", "macro")  # what metrics call the mean over languages
_LARGEST = 1e30  # beyond it a loss is as good as infinite, and pictures have no space for it


class Curve(NamedTuple):
    """A metric over the steps.

    Attributes:
      steps: ``[n]``, increasing.
      values: ``[n]``, not all of them finite.
    """

    steps: np.ndarray
    values: np.ndarray


class Run(NamedTuple):
    """All that a report is made from.

    Attributes:
      name: Of the run.
      metrics: By name; what repeats exactly.
      speed: By name; what depends on the machine.
      tasks: Scores by language, from the results or, while there are none, from the metrics.
      config: As it was run.
      models: What the encoders have turned out to be, by role.
      manifest: Of the prepared pairs.
      data: How much there is of what, by source.
      versions: Of what the run was computed with.
      similarity: Among held-out sentences.
      between: Retrieval between languages.
      confused: Translations that are taken for others.
      space: Vectors of parallel sentences.
      tagging: Where a tagger errs.
      seed: Of a run of several seeds, the folder of the one that all but config and scores is of.
      is_mean: Whether the scores are means over the seeds.
      others: Runs to compare with.
    """

    name: str
    metrics: dict[str, Curve]
    speed: dict[str, Curve]
    tasks: list[Task]
    config: dict[str, Any]
    models: dict[str, Any]
    manifest: dict[str, Any]
    data: dict[str, Any]
    versions: dict[str, Any]
    similarity: Similarity | None
    between: Between | None
    confused: list[Confused]
    space: Space | None
    tagging: Tagging | None
    seed: str = ""
    is_mean: bool = False
    others: "tuple[Run, ...]" = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to report about."""
        return not any(self[1 : self._fields.index("seed")])

    @property
    def unit(self) -> str:
        """What a step takes many of."""
        return "pairs" if self.config.get("method") == "mmkd" else "examples"

    @property
    def step(self) -> int:
        """The last step that anything is known of."""
        curves = [*self.metrics.values(), *self.speed.values()]
        return max((int(curve.steps[-1]) for curve in curves), default=0)


def read_run(folder: Path, texts: Sequence[str | Sequence[str]] | None = None) -> Run:
    """Reads a workdir.

    Of several seeds, which have folders of their own, the first one stands for all but the scores.

    Args:
      folder: The workdir.
      texts: Of the sentences of the similarities, instead of those in the file.
    """
    run = _read(folder, texts)
    seeds = [path for path in folder.glob("seed-*") if path.name[5:].isdecimal()]
    if run.metrics or not seeds:
        return run
    one = min(seeds, key=lambda path: int(path.name[5:]))
    first = _read(one, texts)
    return first._replace(
        name=run.name,
        config=run.config or first.config,
        tasks=run.tasks or first.tasks,
        seed=one.name,
        is_mean=bool(run.tasks),
    )


def _read(folder: Path, texts: Sequence[str | Sequence[str]] | None) -> Run:
    metrics = _curves(folder / "metrics.jsonl")
    results = read_json(folder / "results.json")
    between, confused = read_retrieval_details(folder / "retrieval_details.json")
    return Run(
        name=clean(folder.absolute().name),
        metrics=metrics,
        speed=_curves(folder / "throughput.jsonl"),
        tasks=tasks_of(results) or tasks_of(_scores_in(metrics)),
        config=mapping(read_json(folder / "config.json")),
        models=_models(folder),
        manifest=mapping(read_json(folder / "prepared" / "manifest.json")),
        data=mapping(read_json(folder / "data.json")),
        versions=mapping(read_json(folder / "versions.json")),
        similarity=read_similarity(folder / "similarity.npz", texts),
        between=between,
        confused=confused,
        space=read_space(folder / "vectors.npz"),
        tagging=read_tagging_details(folder / "tagging_details.json"),
    )


def _models(folder: Path) -> dict[str, Any]:
    """By role; a tagger is a model by itself."""
    tagger = mapping(read_json(folder / "tagger.json"))
    return mapping(read_json(folder / "models.json")) | ({"tagger": tagger} if tagger else {})


def _curves(path: Path) -> dict[str, Curve]:
    """By name. Of several values of a step the last one counts."""
    points: dict[str, dict[int, float]] = {}
    for line in _lines(path):
        step = line.pop("step", None)
        if isinstance(step, int) and 0 <= step < 2**53:
            for name, value in line.items():
                points.setdefault(name, {})[step] = number(value)
    return {name: _curve(found) for name, found in points.items()}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Those that can be read: a kill may have left the last one in pieces."""
    for line in read_text(path).splitlines():
        try:
            yield mapping(clean(json.loads(line)))
        except (ValueError, RecursionError):
            continue


def _curve(points: dict[int, float]) -> Curve:
    steps = sorted(points)
    values = np.array([points[step] for step in steps], float)
    values[~(np.abs(values) < _LARGEST)] = np.nan
    return Curve(np.array(steps, float), values)


def _scores_in(metrics: dict[str, Curve]) -> dict[str, Any]:
    """What results.json will hold, as far as the metrics know it yet: they name TASK/LANGUAGE."""
    found: dict[str, Any] = {}
    for name in metrics:
        task, _, mean = name.rpartition("/")
        if task and mean in MEANS:
            first, last = _first_and_last(metrics, task)
            means = {"before": first.pop(mean, None), "after": last.pop(mean, None)}
            known = {key: value for key, value in means.items() if value is not None}
            found[task] = known | {"languages": last}
            found[task] |= {"languages_before": first} if first else {}
    return found


def _first_and_last(
    metrics: dict[str, Curve], task: str
) -> tuple[dict[str, float], dict[str, float]]:
    """Scores by language before the first step, and now."""
    first, last = {}, {}
    for name, curve in metrics.items():
        if name.startswith(f"{task}/"):
            language = name.removeprefix(f"{task}/")
            if curve.steps[0] == 0:
                first[language] = float(curve.values[0])
            if curve.steps[-1] > 0:
                last[language] = float(curve.values[-1])
    return first, last
