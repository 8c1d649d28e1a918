"""Training as a program: it has a pulse, and goes on where it was stopped, to the last bit."""

import functools
import json
import random
import signal
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mmkd_jax import inference
from mmkd_jax.data import sample
from tests.programs.runs import metrics, pulse, run, start


@functools.cache
def undisturbed() -> Path:
    """A run from the first to the last step."""
    workdir = Path(tempfile.mkdtemp()) / "run"
    run("train", *pulse(workdir))
    return workdir


def assert_same_course(workdir: Path) -> None:
    """Metrics and parameters of the undisturbed run, to the last bit."""
    expected = undisturbed()
    assert (workdir / "metrics.jsonl").read_bytes() == (expected / "metrics.jsonl").read_bytes()
    found, wanted = (load_file(d / "student" / "model.safetensors") for d in (workdir, expected))
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


def wait_for(process, path, contains="") -> None:
    """Until the program has got so far."""
    deadline = time.time() + 200
    while process.poll() is None and not (path.exists() and contains in path.read_text()):
        assert time.time() < deadline
        time.sleep(0.02)


def test_leaves_everything_that_is_promised():
    workdir = undisturbed()
    there = {path.name for path in workdir.iterdir()}
    assert there >= {
        *("config.json", "checkpoints", "metrics.jsonl", "throughput.jsonl", "tensorboard"),
        *("results.json", "student"),
    }
    steps = {path.name for path in (workdir / "checkpoints").iterdir()}
    assert {"10", "15", "20"} <= steps
    lines = metrics(workdir)
    losses = [line for line in lines if "loss" in line]
    assert [line["step"] for line in losses] == [5, 10, 15, 20]
    for line in losses:
        total = line["token"] + line["word"] + line["sentence"] + 10 * line["structure"]
        assert line["loss"] == pytest.approx(total, rel=1e-5)
    assert losses[-1]["token"] < losses[0]["token"]
    scores = json.loads((workdir / "results.json").read_text())
    assert scores["retrieval"]["before"] == lines[0]["retrieval/mean"]
    assert scores["retrieval"]["after"] == lines[-1]["retrieval/mean"]


def test_the_student_gives_vectors():
    encoder = inference.load_encoder(undisturbed() / "student")
    texts = [german for _, german in sample.pairs("de", "test")]
    assert encoder.encode(texts, batch_size=16).shape == (40, 16)
    projected = inference.load_encoder(undisturbed() / "student", vectors="projected")
    assert projected.encode(texts[:3], batch_size=16).shape == (3, 8)


def test_a_finished_run_has_nothing_to_do():
    before = (undisturbed() / "metrics.jsonl").read_bytes()
    run("train", *pulse(undisturbed()))
    assert (undisturbed() / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize("round_", range(3))
def test_a_kill_at_any_moment_changes_nothing(tmp_path, round_):
    undisturbed()  # so that compiling is over
    workdir = tmp_path / "run"
    for _ in range(2):
        process = start("train", *pulse(workdir))
        wait_for(process, workdir / "metrics.jsonl")
        # Saves follow upon each other: many of these moments lie within one.
        time.sleep(random.uniform(0.0, 1.5))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    run("train", *pulse(workdir))
    assert_same_course(workdir)


def test_a_polite_stop_is_saved_and_says_so(tmp_path):
    undisturbed()
    workdir = tmp_path / "run"
    slow = "--config.checkpoint_every=1000"
    process = start("train", *pulse(workdir, slow, "--config.total_steps=5000"))
    wait_for(process, workdir / "metrics.jsonl", "loss")
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 75, printed
    assert "the same command" in printed
    saved = [path.name for path in (workdir / "checkpoints").iterdir() if path.name.isdigit()]
    assert len(saved) == 1
    assert all(line["step"] <= int(saved[0]) for line in metrics(workdir))


def test_another_mesh_goes_on_at_the_right_example(tmp_path):
    workdir = tmp_path / "run"
    first = start("train", *pulse(workdir))
    while not (workdir / "checkpoints" / "5").exists() and first.poll() is None:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    run("train", *pulse(workdir, "--config.mesh.fsdp=2"), devices=2)
    expected = {line["step"]: line for line in metrics(undisturbed()) if "loss" in line}
    found = {line["step"]: line for line in metrics(workdir) if "loss" in line}
    assert found.keys() == expected.keys()
    for step, line in found.items():
        assert line["loss"] == pytest.approx(expected[step]["loss"], rel=0.2)
        assert line["epoch"] == expected[step]["epoch"]


def test_one_trainer_a_workdir(tmp_path):
    workdir = tmp_path / "run"
    process = start("train", *pulse(workdir, "--config.total_steps=5000"))
    wait_for(process, workdir / "metrics.jsonl", "loss")
    printed = run("train", *pulse(workdir, "--config.total_steps=5000"), code=1)
    process.kill()
    process.communicate()
    assert f"{process.pid}" in printed


def test_a_workdir_of_another_config_is_refused():
    printed = run("train", *pulse(undisturbed(), "--config.mmkd.weights.word=0.5"), code=1)
    assert "mmkd.weights.word" in printed
    assert "0.5" in printed


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.batch_sise=4", "batch_size"),
        ("--config.mmkd.weights.structur=1.0", "structure"),
        ("--config.batch_size=none", "batch_size"),
        ("--config.batch_size=0", "batch_size must be at least 1"),
        ("--config.pairs.sampling=robin", "round_robin"),
        ("--config.mmkd.weights.token=-1.0", "weights must be at least 0"),
        ("--config.accumulation.pieces=3", "pieces must divide"),
    ],
)
def test_a_typo_says_what_was_meant(tmp_path, flag, message):
    printed = run("train", *pulse(tmp_path / "run", flag), code=1)
    assert message in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "run").exists()
