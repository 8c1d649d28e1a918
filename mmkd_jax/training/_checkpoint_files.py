"""What lies in a folder of checkpoints: one folder a step, and a record beside the arrays.

The format of the arrays has no checksum of its own values, and reads zeros where a piece is
missing. The record has what is needed to notice.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, SupportsFloat

from mmkd_jax.training._fingerprints import named_leaves

STATE = "state"
RECORD = "record"
_RECORD_FILE = "metadata"  # as Orbax calls the file of a json item


def steps_in(folder: Path) -> list[int]:
    """The steps whose checkpoints were written to the end, in order."""
    if not folder.is_dir():
        return []
    names = (path.name for path in folder.iterdir() if path.is_dir())
    return sorted(int(name) for name in names if name.isdecimal())


def unfinished_in(folder: Path) -> list[str]:
    """What saves have left that came to no end."""
    return sorted(path.name for path in folder.glob("*.orbax-checkpoint-tmp*"))


def move_aside(folder: Path, step: int) -> Path:
    """Takes a checkpoint out of the row; returns where it is now."""
    place, number = folder / f"corrupt-{step}", 1
    while place.exists():
        number += 1
        place = folder / f"corrupt-{step}-{number}"
    os.rename(folder / str(step), place)
    return place


def make_record(
    state: Any,
    fingerprints: Mapping[str, int],
    extra: dict,
    metrics: Mapping[str, SupportsFloat] | None,
) -> dict[str, Any]:
    """What is kept beside the arrays, with a checksum of itself.

    Raises:
      ValueError: if `extra` cannot be written as json.
    """
    record = {
        "leaves": {
            name: description(leaf) | {"fingerprint": fingerprints[name]}
            for name, leaf in named_leaves(state).items()
        },
        "extra": _as_json(extra),
        "metrics": metrics and {name: float(value) for name, value in metrics.items()},
    }
    return record | {"sha256": _checksum(record)}


def read_record(folder: Path, step: int) -> dict[str, Any]:
    """The record of a step.

    Raises:
      ValueError: if it is damaged.
      OSError: if it cannot be read.
    """
    path = folder / str(step) / RECORD / _RECORD_FILE
    try:
        record = json.loads(path.read_bytes())
        expected = record.pop("sha256")
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if expected != _checksum(record):
        raise ValueError(f"{path} is damaged: its content does not match its checksum")
    return record


def description(leaf: Any) -> dict[str, Any]:
    """What must be the same for an array to be restored."""
    return {"shape": list(leaf.shape), "dtype": leaf.dtype.name}


def check_same_leaves(
    saved: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Any], where: Path
) -> None:
    """ValueError that names the first array in which they differ."""
    fault = None
    for name, leaf in wanted.items():
        new, old = description(leaf), saved.get(name)
        if old is None:
            fault = f"has no {name}, {_in_words(new)}, which is asked for"
        elif (old["shape"], old["dtype"]) != (new["shape"], new["dtype"]):
            fault = f"has {name} as {_in_words(old)}, asked for is {_in_words(new)}"
        if fault is not None:
            break
    else:
        for name in saved:
            if name not in wanted:
                fault = f"has {name}, {_in_words(saved[name])}, which is not asked for"
                break
    if fault is not None:
        raise ValueError(
            f"abstract_state must be like what was saved: the checkpoint {where} {fault}. Restore "
            "it with the configuration that it was saved with, or start in another folder"
        )


def check_fingerprints(
    saved: Mapping[str, Mapping[str, Any]], found: Mapping[str, int], where: Path
) -> None:
    """ValueError that names arrays whose values have changed."""
    changed = [name for name, number in found.items() if saved[name]["fingerprint"] != number]
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ValueError(
            f"{where} is damaged: the values of {', '.join(changed[:3])}{more} are not those that "
            "were saved"
        )


def _in_words(described: Mapping[str, Any]) -> str:
    return f"{described['dtype']} {list(described['shape'])}"


def _as_json(extra: dict) -> Any:
    """What comes back when it is read, so that checksums are of the same thing."""
    try:
        return json.loads(json.dumps(extra))
    except (TypeError, ValueError) as error:
        raise ValueError(
            "extra must be what json can hold (dicts, lists, text, numbers, booleans, None): "
            f"{error}"
        ) from error


def _checksum(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
