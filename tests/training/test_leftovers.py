import logging
import sys
from types import SimpleNamespace

import pytest

from mmkd_jax.training._leftovers import let_go_silently


@pytest.fixture
def told(monkeypatch):
    """What still reaches the hook that was there before."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    asyncio = logging.getLogger("asyncio")
    monkeypatch.setattr(asyncio, "filters", list(asyncio.filters))
    let_go_silently.__wrapped__()
    return told


def unraisable(error, code_file=None):
    code = SimpleNamespace(co_filename=code_file)
    return SimpleNamespace(
        object=SimpleNamespace(cr_code=code) if code_file else None, exc_value=error
    )


def test_reads_go_silently_and_others_do_not(told, caplog):
    others = [
        unraisable(RuntimeError("Event loop is on fire")),
        unraisable(GeneratorExit(), "/home/me/mine.py"),
        unraisable(OSError("lost")),
    ]
    ours = [
        unraisable(RuntimeError("Event loop is closed")),
        unraisable(GeneratorExit(), "/lib/orbax/checkpoint/serialization.py"),
    ]
    for one in [*others, *ours]:
        sys.unraisablehook(one)
    assert told == others
    log = logging.getLogger("asyncio")
    log.error("Future exception was never retrieved: %s", "OCDBT database at local file")
    log.error("Future exception was never retrieved: %s", "mine")
    assert [entry.args for entry in caplog.records] == [("mine",)]
