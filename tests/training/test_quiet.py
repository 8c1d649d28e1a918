import logging
import sys
from types import SimpleNamespace

import pytest

from mmkd_jax.training._quiet import keep_orbax_quiet


@pytest.fixture
def told(monkeypatch):
    """What still reaches the hook that was there before."""
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    for name in ("asyncio", "absl"):
        log = logging.getLogger(name)
        monkeypatch.setattr(log, "filters", list(log.filters))
    keep_orbax_quiet.__wrapped__()
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


def test_tracebacks_of_orbax_go_silently_and_others_do_not(told, caplog):
    log = logging.getLogger("absl")

    def record(file, traceback):
        told_with = (ValueError, ValueError("x"), None) if traceback else None
        log.handle(log.makeRecord("absl", logging.ERROR, file, 1, "%s", (file,), told_with))

    record("/lib/orbax/checkpoint/future.py", True)
    record("/lib/orbax/checkpoint/future.py", False)
    record("/lib/grain/reader.py", True)
    assert [entry.args for entry in caplog.records] == [
        ("/lib/orbax/checkpoint/future.py",),
        ("/lib/grain/reader.py",),
    ]
