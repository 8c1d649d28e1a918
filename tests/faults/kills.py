"""kill -9, and what is left of a run: for the tests, and for benchmarks/faults.py."""

import json
import re
import time
from pathlib import Path
from typing import NamedTuple

from tests.programs.runs import kill, saved, start, wait_for

MOMENTS = ("starting", "between saves", "in a save")


class Kill(NamedTuple):
    """A process that was killed.

    Attributes:
      moment: One of `MOMENTS`.
      whole: The newest checkpoint that was whole when the process before this one was killed.
      resumed: Where this one went on; None if it was killed before it had said so.
      reached: The last step that it has written down.
      left: The newest checkpoint that is whole now.
    """

    moment: str
    whole: int
    resumed: int | None
    reached: int
    left: int

    @property
    def lost(self) -> int:
        """Steps that must be done again though there was a finished save beyond them."""
        return 0 if self.resumed is None else max(0, self.whole - self.resumed)


def kill_once(
    arguments: list[str], workdir: Path, moment: str, seconds: float = 0.0, steps: int = 0
) -> Kill:
    """Starts a run, or goes on with it, and kills it.

    Args:
      arguments: Of ``mmkd_jax.train``.
      workdir: Of the run. Without a checkpoint "between saves" is after the first one, and "in a
        save" in the first one.
      moment: One of `MOMENTS`.
      seconds: To wait after its start; between saves, after it has said where it goes on.
      steps: That it is to make first, between saves.
    """
    whole, resumed = newest(workdir), None
    process = start("train", *arguments)
    if moment != "starting" and whole:
        line = process.stdout.readline()
        said = re.fullmatch(r"going on after step (\d+)\n", line)
        if said is None:
            raise AssertionError(f"it does not go on: {line}{process.communicate()[0]}")
        resumed = int(said[1])
    if moment == "in a save":
        begun = workdir / "checkpoints"
        wait_for(lambda: any(begun.glob("*orbax-checkpoint-tmp*")), process, seconds=1000)
    else:
        if moment == "between saves":
            wait_for(lambda: newest(workdir), process, seconds=1000)
            aim = newest(workdir) + steps
            wait_for(lambda: last_written(workdir) >= aim, process, seconds=1000)
        time.sleep(seconds)
    kill([process])
    return Kill(moment, whole, resumed, last_written(workdir), newest(workdir))


def last_written(workdir: Path) -> int:
    """The last step that is written down; the kill may have left a piece of a line."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = (line for line in reversed(lines) if line.endswith("\n"))
    return json.loads(next(whole, '{"step": 0}'))["step"]


def newest(workdir: Path) -> int:
    """The newest checkpoint that is whole, 0 if there is none."""
    return max(saved(workdir), default=0)
