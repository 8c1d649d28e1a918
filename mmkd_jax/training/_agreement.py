"""What processes find out apart and must know together, such as whether a file can be read."""

from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

Value = TypeVar("Value")


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
