"""What is left of reads that were given up, kept off the screen."""

import functools
import logging
import sys
from typing import Any


@functools.cache
def let_go_silently() -> None:
    """Drops what Python says about the arrays that were being read when one could not be.

    Orbax gives up all of them at once. They end one after the other, seconds later perhaps, and
    Python prints a page about each, in which the one line that matters is lost. This stays in
    place, and lets everything else pass.
    """
    before = sys.unraisablehook

    def hook(unraisable: Any) -> None:
        if not _is_of_a_read(unraisable):
            before(unraisable)

    sys.unraisablehook = hook
    logging.getLogger("asyncio").addFilter(lambda record: not _tells_of_a_read(record))


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
