"""What processes find out apart and must know together, such as whether a file can be read."""

from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

Value = TypeVar("Value")
_LONGEST = 2000  # letters of a reason


class DamagedError(Exception):
    """Says why a checkpoint cannot be read."""


def on_all(read: Callable[[], Value]) -> Value:
    """Reads something on every process; if one of them fails, they all do."""
    value, reason = None, None
    try:
        value = read()
    except Exception as error:  # whatever a damaged file makes its reader do
        reason = in_short(error)
    failed = reason is not None
    if jax.process_count() > 1:
        failed = bool(np.any(multihost_utils.process_allgather(np.array(failed))))
    if failed:
        raise DamagedError(reason or "another process could not read it, and says why")
    return value  # type: ignore[return-value]


class ElsewhereError(RuntimeError):
    """Another process has failed; the message has its reason."""


def all_or_none(do: Callable[[], Value]) -> Value:
    """Does something on every process; if it fails on one of them, it does on all.

    Raises:
      ElsewhereError: If it went well here, but not on another process. Where it failed, what it
        raised.
    """
    value, error = None, None
    try:
        value = do()
    except Exception as reason:
        error = reason
    if jax.process_count() > 1:
        said = "" if error is None else str(error) or type(error).__name__
        others = _texts_of_all(said)
        if error is None and any(others):
            number, reason = next((n, text) for n, text in enumerate(others) if text)
            raise ElsewhereError(f"process {number} has stopped, because {reason}")
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def on_first(do: Callable[[], Value]) -> Value | None:
    """Does something on the first process, for all of them, which wait; fails as `all_or_none`."""
    return all_or_none(lambda: do() if jax.process_index() == 0 else None)


def _texts_of_all(text: str) -> list[str]:
    """The texts of all processes, cut where they get long."""
    mine = np.zeros(_LONGEST, np.uint8)
    letters = text.encode()[:_LONGEST]
    mine[: len(letters)] = np.frombuffer(letters, np.uint8)
    rows = np.asarray(multihost_utils.process_allgather(mine), np.uint8)
    return [bytes(row).rstrip(b"\0").decode(errors="ignore") for row in rows]


def same_everywhere(steps: list[int]) -> list[int]:
    """The first process's: a folder may show itself later to another machine."""
    if jax.process_count() == 1:
        return steps
    count = int(multihost_utils.broadcast_one_to_all(np.int32(len(steps))))
    mine = np.zeros(count, np.int32)
    mine[: len(steps[:count])] = steps[:count]
    return [int(step) for step in multihost_utils.broadcast_one_to_all(mine)]


def in_short(error: BaseException) -> str:
    """What began it, and no more than a few lines: Orbax and tensorstore tell long stories."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = " ".join(str(error).split())
    if len(text) > 400:
        text = f"{text[:200]} … {text[-200:]}"
    name = type(error).__name__
    return text if text and isinstance(error, ValueError) else f"{name}: {text}"
