"""How much data a run has, by source: counted before it begins, and shown in its report."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmkd_jax import training
from mmkd_jax.runs._models import write_json


class Counted(NamedTuple):
    """What was found in a source.

    Attributes:
      part: What it is for: train, dev, test, and what else a run has.
      name: Of the source.
      language: Of the source.
      count: Of its records.
    """

    part: str
    name: str
    language: str
    count: int


def counted(parts: Mapping[str, Sequence[Any]]) -> list[Counted]:
    """Reads all sources once, each a name, a language, what reads its records, and an origin.

    Raises:
      ValueError: A source has no records.
    """
    rows = []
    for part, sources in parts.items():
        for name, language, records, origin in sources:
            found = records() if callable(records) else records
            count = len(found) if isinstance(found, Sequence) else sum(1 for _ in found)
            if not count:
                raise ValueError(f"{part}: source {name!r} has nothing in {language!r}: {origin}")
            rows.append(Counted(part, name, language, count))
    return rows


def write_counts(folder: Path, unit: str, counts: Sequence[Counted]) -> None:
    """Writes ``data.json``, from which the report tells of the data.

    All processes of a run call this; the first one writes.

    Args:
      folder: The workdir.
      unit: What is counted, such as "sentence".
      counts: By source.
    """
    rows = [count._asdict() for count in counts]
    training.on_first(lambda: write_json(folder / "data.json", {"unit": unit, "sources": rows}))
