"""Which errors are the project's own: those that programs print without a traceback."""

import contextlib
from collections.abc import Iterator

from mmkd_jax._program import _is_message


@contextlib.contextmanager
def only_own_errors() -> Iterator[None]:
    """What comes out of the block is either nothing, or says itself what is wrong."""
    try:
        yield
    except Exception as error:
        if not _is_message(error):
            raise
        assert str(error)
