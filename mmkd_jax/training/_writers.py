"""Where numbers go that training comes up with.

Whatever has `write` and `close` will do; what is here writes files.
"""

import contextlib
import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, SupportsFloat, runtime_checkable

from mmkd_jax.training._workdir import write_atomically


@runtime_checkable
class Writer(Protocol):
    """Takes the numbers of a step."""

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Takes numbers by name."""
        ...

    def close(self) -> None:
        """Returns when everything is written."""
        ...


class JsonLines:
    """A json object a line, ``{"step": 10, "loss": 0.25}``, each in the file at once.

    Floats are written so that they come back bit by bit. What json has no number for is written as
    text, ``"NaN"``, ``"Infinity"`` or ``"-Infinity"``: every parser takes that, and Python's
    ``float`` reads numbers and these alike.

    Example:
      >>> import pathlib, tempfile
      >>> from mmkd_jax.training._writers import JsonLines
      >>> folder = tempfile.TemporaryDirectory()
      >>> path = pathlib.Path(folder.name, "metrics.jsonl")
      >>> lines = JsonLines(path)
      >>> for step in (1, 2, 3):
      ...     lines.write(step, {"loss": 1 / step})
      >>> lines.close()
      >>> JsonLines(path, step=2).close()  # resumed from a checkpoint of step 2
      >>> print(path.read_text(), end="")
      {"step": 1, "loss": 1.0}
      {"step": 2, "loss": 0.5}
      >>> folder.cleanup()

    Args:
      path: of the file, which is made or appended to.
      step: that training goes on from. Lines of later steps are cut off, and a last line that is
        not whole, as a kill may leave it.

    Raises:
      ValueError: if an earlier line is none of these; it names the line.
    """

    def __init__(self, path: str | os.PathLike[str], step: int = 0):
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        _cut(self._path, step)
        self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Appends a line."""
        if "step" in values:
            raise ValueError("values must not have a 'step', which is the step's own name")
        numbers = {name: _as_json(value) for name, value in values.items()}
        line = json.dumps({"step": step} | numbers, ensure_ascii=False, allow_nan=False) + "\n"
        rest = line.encode()
        while rest:  # of a disk that is full, the second write tells
            rest = rest[self._file.write(rest) or 0 :]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class TensorBoard:
    """Event files that TensorBoard shows as one curve a name, however often a run was resumed.

    Args:
      folder: of the event files.
      step: that training goes on from. TensorBoard leaves out what was written of later ones.
    """

    def __init__(self, folder: str | os.PathLike[str], step: int = 0):
        # Here, so that programs which write none of these files need not wait for it.
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(
            os.fspath(folder),
            purge_step=step + 1,  # the first one to be left out
            flush_secs=10,
            # Names have the second in them: who resumes within it must not write over the file.
            filename_suffix=f".{time.time_ns()}",
        )

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Adds a point to the curve of each name."""
        for name, value in values.items():
            self._writer.add_scalar(name, float(value), step)

    def close(self) -> None:
        """Returns when everything is written."""
        self._writer.close()


class Writers:
    """Several writers as one.

    Args:
      writers: that get everything, in this order.
    """

    def __init__(self, writers: Sequence[Writer]):
        self._writers = tuple(writers)

    def write(self, step: int, values: Mapping[str, SupportsFloat]) -> None:
        """Writes with all of them."""
        for writer in self._writers:
            writer.write(step, values)

    def close(self) -> None:
        """Closes all of them, even if one fails."""
        with contextlib.ExitStack() as stack:
            for writer in self._writers:
                stack.callback(writer.close)


def _cut(path: Path, step: int) -> None:
    """Leaves the lines up to a step."""
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    whole = lines[:-1] if lines and not lines[-1].endswith(b"\n") else lines
    kept = [line for number, line in enumerate(whole, 1) if _step(path, number, line) <= step]
    if len(kept) < len(lines):
        write_atomically(path, b"".join(kept).decode())


def _step(path: Path, number: int, line: bytes) -> int:
    try:
        step = json.loads(line)["step"]
        if isinstance(step, int):
            return step
    except (ValueError, KeyError, TypeError):
        pass
    raise ValueError(
        f"{path}, line {number} must be a json object with a step, got {line[:80]!r}. Mend or "
        "remove the line, or move the file away"
    )


def _as_json(value: SupportsFloat) -> int | float | str:
    if isinstance(value, int):  # booleans too
        return value
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
