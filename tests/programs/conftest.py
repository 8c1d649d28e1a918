"""Runs that many tests look at are made once, by whichever of pytest's workers comes first."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.programs.runs import pulse, run


@pytest.fixture(scope="session")
def once(tmp_path_factory) -> Callable[[str, Callable[[Path], None]], Path]:
    """Makes a folder of this name, unless another worker has."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        with open(root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = root / f"{name}.made"
            if not made.exists():
                fill(root / name)
                made.touch()
        return root / name

    return make


@pytest.fixture(scope="session")
def undisturbed(once) -> Path:
    """The workdir of a run from the first to the last step; tests leave it as it is."""
    return once("undisturbed", lambda workdir: run("train", *pulse(workdir)))
