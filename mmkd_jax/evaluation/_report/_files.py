"""What a workdir holds, read so that nothing in it can stop a report.

A file that is not there, or that cannot be read, is as good as empty: a run that was killed, or
that goes on at this moment, is worth a report too.
"""

import json
import logging
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax.evaluation._scores import Scores, mapping, number, scores_of

_LOG = logging.getLogger(__name__)
# Control characters and halves of surrogate pairs: no HTML, and no font knows what to do with them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_MOST_SENTENCES = 200
_LARGEST = 1e30  # beyond it a loss is as good as infinite, and pictures have no space for it


class Curve(NamedTuple):
    """A metric over the steps.

    Attributes:
      steps: ``[n]``, increasing.
      values: ``[n]``, not all of them finite.
    """

    steps: np.ndarray
    values: np.ndarray


class Similarity(NamedTuple):
    """Cosines among the same sentences, in two models.

    Attributes:
      teacher: ``[n, n]``, of English sentences.
      student: ``[n, n]``, of their translations.
      texts: What each sentence says: itself, or in English and in translation. May be empty.
    """

    teacher: np.ndarray
    student: np.ndarray
    texts: list[tuple[str, ...]]


class Run(NamedTuple):
    """All that a report is made from.

    Attributes:
      name: Of the run.
      metrics: By name; what repeats exactly.
      speed: By name; what depends on the machine.
      scores: Of retrieval, from the results or, while there are none, from the metrics.
      config: As it was run.
      models: What the encoders have turned out to be, by role.
      manifest: Of the prepared pairs.
      versions: Of what the run was computed with.
      similarity: Among held-out sentences.
    """

    name: str
    metrics: dict[str, Curve]
    speed: dict[str, Curve]
    scores: Scores | None
    config: dict[str, Any]
    models: dict[str, Any]
    manifest: dict[str, Any]
    versions: dict[str, Any]
    similarity: Similarity | None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to report about."""
        return not any(self[1:])

    @property
    def step(self) -> int:
        """The last step that anything is known of."""
        curves = [*self.metrics.values(), *self.speed.values()]
        return max((int(curve.steps[-1]) for curve in curves), default=0)


def read_run(folder: Path, texts: Sequence[str | Sequence[str]] | None = None) -> Run:
    """Reads a workdir.

    Args:
      folder: The workdir.
      texts: Of the sentences of the similarities, instead of those in the file.
    """
    metrics = _curves(folder / "metrics.jsonl")
    results = {**_scores_in(metrics), **mapping(_json(folder / "results.json"))}
    return Run(
        name=_clean(folder.absolute().name),
        metrics=metrics,
        speed=_curves(folder / "throughput.jsonl"),
        scores=scores_of(results),
        config=mapping(_json(folder / "config.json")),
        models=mapping(_json(folder / "models.json")),
        manifest=mapping(_json(folder / "prepared" / "manifest.json")),
        versions=mapping(_json(folder / "versions.json")),
        similarity=_similarity(folder / "similarity.npz", texts),
    )


def _json(path: Path) -> Any:
    text = _text(path)
    try:
        return _clean(json.loads(text)) if text else None
    except (ValueError, RecursionError) as error:
        _LOG.warning("%s is left out of the report: %s", path, error)
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        _LOG.warning("%s is left out of the report: %s", path, error)
        return ""


def _clean(value: Any) -> Any:
    """The same, without characters that cannot be shown."""
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_clean(name): _clean(part) for name, part in value.items()}
    return [_clean(part) for part in value] if isinstance(value, list) else value


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
    for line in _text(path).splitlines():
        try:
            yield mapping(_clean(json.loads(line)))
        except (ValueError, RecursionError):
            continue


def _curve(points: dict[int, float]) -> Curve:
    steps = sorted(points)
    values = np.array([points[step] for step in steps], float)
    values[~(np.abs(values) < _LARGEST)] = np.nan
    return Curve(np.array(steps, float), values)


def _scores_in(metrics: dict[str, Curve]) -> dict[str, Any]:
    """What results.json will hold, as far as the metrics know it yet."""
    first, last = {}, {}
    for name, curve in metrics.items():
        if name.startswith("retrieval/"):
            language = name.removeprefix("retrieval/")
            last[language] = float(curve.values[-1])
            if curve.steps[0] == 0:
                first[language] = float(curve.values[0])
                if len(curve.steps) == 1:
                    del last[language]
    retrieval = {"before": first.pop("mean", None), "after": last.pop("mean", None)}
    return {"retrieval": retrieval | {"languages": last, "languages_before": first}}


def _similarity(path: Path, texts: Sequence[str | Sequence[str]] | None) -> Similarity | None:
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            teacher, student = (np.asarray(file[name], float) for name in ("teacher", "student"))
            if texts is None:
                texts = json.loads(str(file["texts"])) if "texts" in file else []
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _LOG.warning("%s is left out of the report: %s", path, error)
        return None
    count = len(teacher) if teacher.ndim else 0
    if count < 2 or teacher.shape != (count, count) or student.shape != teacher.shape:
        _LOG.warning("%s is left out of the report: not two square arrays alike", path)
        return None
    if not (np.isfinite(teacher).all() and np.isfinite(student).all()):
        _LOG.warning("%s is left out of the report: some numbers are not finite", path)
        return None
    few = slice(_MOST_SENTENCES)
    teacher, student = (cosines[few, few].clip(-1, 1) for cosines in (teacher, student))
    return Similarity(teacher, student, _texts(texts, count)[few])


def _texts(texts: Any, count: int) -> list[tuple[str, ...]]:
    """A sentence or several wordings of it, for each of the rows, or nothing at all."""
    if not isinstance(texts, (list, tuple)) or len(texts) != count:
        return []
    return [
        tuple(_clean(str(part)) for part in (one if isinstance(one, (list, tuple)) else [one]))
        for one in texts
    ]
