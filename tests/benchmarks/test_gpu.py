"""The measurements of a GPU run where little is installed, and bring their batches along."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
# What the machine may lack, and what needs the corpora.
MISSING = ("grain", "array_record", "tensorflow_datasets", "ml_collections", "tensorboardX")


def test_a_dry_run_says_what_is_measured():
    done = subprocess.run(
        ["bash", BENCHMARKS / "gpu.sh", "--dry_run"], cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    first, *others = done.stdout.splitlines()
    assert first.startswith("rm -f benchmarks/results/")  # rows of another machine
    commands = [line.split() for line in others]
    assert [command[3] for command in commands] == [
        f"benchmarks/{name}.py" for name in ("gpu", "crf", "losses")
    ]
    assert sum(float(command[1].removesuffix("m")) for command in commands) <= 8


@pytest.fixture(scope="module")
def bare():
    """Runs code beside the benchmarks, where the missing packages cannot be imported."""

    def run(code: str) -> str:
        block = f"import sys; sys.modules.update(dict.fromkeys({MISSING!r}))\n"
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT}:{BENCHMARKS}",
            "MMKD_SHARED_DATA": "/nowhere",
        }
        done = subprocess.run(
            [sys.executable, "-c", block + code], env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("name", ["gpu", "crf", "losses"])
def test_what_is_measured_imports_without_what_may_be_missing(name, bare):
    code = f"import {name}; print({name}.main.__module__)"
    assert bare(code).split() == [name]


def test_batches_come_along(bare):
    code = """
import gpu_batches, mmkd_step_setup as setup, numpy as np
pairs = gpu_batches.load()
assert 1 < len(pairs.batches) <= gpu_batches.SHAPES and abs(pairs.shares.sum() - 1) < 1e-6
for batch in pairs.batches:
    assert len(batch.example) == gpu_batches.BATCH
    for ids, most in ((batch.teacher_ids, 28996), (batch.tlm_ids, 119547)):
        assert 0 <= ids.min() and ids.max() < most
    assert (batch.tlm_where.sum(axis=1) > 0).all()
    assert len(np.unique(batch.tlm_ids)) > 500  # words, not noise
"""
    bare(code)
