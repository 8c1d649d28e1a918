"""Preparing by several processes, and exporting, as programs."""

import signal
import time

import numpy as np
import pytest

from mmkd_jax import inference
from tests.programs.runs import metrics, pulse, run, start

CONFIG = "--config=configs/pulse.py"
TEXTS = ["Guten Morgen!", "Good morning!"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Written by two processes, one of which was killed on the way."""
    folder = tmp_path_factory.mktemp("pairs") / "prepared"
    first = start("prepare", CONFIG, f"--out={folder}", "--shard=0/2")
    while not (folder / "tokenizers" / "student" / "made_by.json").exists():
        assert first.poll() is None
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    run("prepare", CONFIG, f"--out={folder}", "--shard=0/2")
    run("prepare", CONFIG, f"--out={folder}", "--shard=1/2")
    assert (folder / "manifest.json").exists()
    return folder


@pytest.fixture(scope="module")
def workdir(prepared):
    """A run on pairs that were prepared before."""
    workdir = prepared.parent / "run"
    run("train", *pulse(workdir, f"--config.pairs.folder={prepared}"))
    return workdir


def test_prepared_pairs_are_those_that_a_run_prepares(workdir, tmp_path):
    run("train", *pulse(tmp_path / "run"))
    assert metrics(workdir) == metrics(tmp_path / "run")


def test_pairs_of_another_tokenizer_are_refused(prepared, tmp_path):
    flags = [f"--config.pairs.folder={prepared}", "--config.student.vocabulary_size=400"]
    printed = run("train", *pulse(tmp_path / "run", *flags), code=1)
    assert "vocabulary_size" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("part", ["2/2", "a/b", "1"])
def test_parts_are_checked(part, tmp_path):
    printed = run("prepare", CONFIG, f"--out={tmp_path}", f"--shard={part}", code=1)
    assert "--shard must be I/N" in printed


def test_exports_are_the_checkpoints(workdir, tmp_path):
    expected = inference.load_encoder(workdir / "student").encode(TEXTS, batch_size=2)
    for step in ("latest", "20"):
        out = tmp_path / step
        run("export", f"--workdir={workdir}", f"--out={out}", f"--step={step}")
        found = inference.load_encoder(out).encode(TEXTS, batch_size=2)
        np.testing.assert_array_equal(found, expected)
    run("export", f"--workdir={workdir}", f"--out={tmp_path / 'best'}", "--step=best")
    assert inference.load_encoder(tmp_path / "best").encode(TEXTS, batch_size=2).shape == (2, 16)


def test_exports_that_cannot_be(workdir, tmp_path):
    out = f"--out={tmp_path / 'out'}"
    printed = run("export", f"--workdir={workdir}", out, "--step=7", code=1)
    assert "--step must be latest, best, or one of" in printed
    printed = run("export", f"--workdir={tmp_path}", out, code=1)
    assert "no workdir" in printed
