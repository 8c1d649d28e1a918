"""Keeps off the screen what Orbax's threads print about a failure that it raises as well."""

import functools
import logging
import sys
from typing import Any


@functools.cache
def keep_orbax_quiet() -> None:
    """Drops the pages about a failed save or restore, in which the line that matters is lost.

    When an array cannot be written, each of Orbax's threads logs the same error with all of its
    traceback. When one cannot be read, Orbax gives up the others half read; those end one after the
    other, seconds later perhaps, and Python prints about each. This stays in place, and lets
    everything else pass.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not _is_of_a_read(unraisable):
            before(unraisable)

    sys.unraisablehook = hook
    logging.getLogger("asyncio").addFilter(lambda record: not _tells_of_a_read(record))
    logging.getLogger("absl").addFilter(lambda record: not _is_a_traceback_of_orbax(record))


def _is_of_a_read(unraisable: Any) -> bool:
    """A coroutine of Orbax, or tensorstore that has news for a loop that is gone."""
    code = getattr(unraisable.object, "cr_code", None)
    if code is not None:
        return "orbax" in code.co_filename
    error = unraisable.exc_value
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"


def _tells_of_a_read(record: logging.LogRecord) -> bool:
    text = record.getMessage().lower()
    return any(name in text for name in ("orbax", "tensorstore", "ocdbt"))


def _is_a_traceback_of_orbax(record: logging.LogRecord) -> bool:
    return bool(record.exc_info) and "orbax" in record.pathname
