"""Reading files so that nothing in them can stop a report.

A file that is not there, or that cannot be read, is as good as empty: a run that was killed, or
that goes on at this moment, is worth a report too.
"""

import json
import logging
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmkd_jax.evaluation._scores import number

_LOG = logging.getLogger(__name__)
# Control characters and halves of surrogate pairs: no HTML, and no font knows what to do with them.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def read_json(path: Path) -> Any:
    """What a json file holds, None if that cannot be known."""
    text = read_text(path)
    try:
        return clean(json.loads(text)) if text else None
    except (ValueError, RecursionError) as error:
        left_out(path, error)
        return None


def read_text(path: Path) -> str:
    """The text of a file, "" if there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        left_out(path, error)
        return ""


def read_arrays(path: Path, names: Sequence[str]) -> tuple[list[np.ndarray], Any] | None:
    """Arrays of numbers from an npz file, and the json value of its array "texts".

    None if the file is not there, or one of them is not.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = [np.asarray(file[name], float) for name in names]
            texts = clean(json.loads(str(file["texts"]))) if "texts" in file else []
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        left_out(path, error)
        return None
    if not all(np.isfinite(array).all() for array in arrays):
        left_out(path, "some numbers are not finite")
        return None
    return arrays, texts


def left_out(path: Path, why: object) -> None:
    """Says that a file is not used."""
    _LOG.warning("%s is left out of the report: %s", path, why)


def clean(value: Any) -> Any:
    """The same, without characters that cannot be shown."""
    if isinstance(value, str):
        return _UNPRINTABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {clean(name): clean(part) for name, part in value.items()}
    return [clean(part) for part in value] if isinstance(value, list) else value


def listed(value: Any) -> list[Any]:
    """A list as it is, and anything else as an empty one."""
    return list(value) if isinstance(value, (list, tuple)) else []


def table_of(value: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Nested lists of numbers as an array; what is no number is nan. None if the shape differs."""
    rows = listed(value)
    if len(shape) == 1:
        found = np.array([number(cell) for cell in rows], float)
    else:
        lines = [[number(cell) for cell in listed(row)] for row in rows]
        if any(len(line) != shape[1] for line in lines):
            return None
        found = np.array(lines, float).reshape(len(lines), shape[1])
    return found if found.shape == shape else None
