"""Training on several processes: as if it were one, whatever is done to one of them."""

import signal
from pathlib import Path

import pytest

from mmkd_jax.training import Workdir
from tests.programs.runs import (
    assert_nearly_same,
    end,
    kill,
    pulse,
    run,
    saved,
    start,
    start_together,
    wait_for,
)

# Dropout's numbers depend on the layout of the devices.
STILL = [f"--config.student.{name}=0.0" for name in ("dropout", "attention_dropout")]
STEPS = ["--config.total_steps=40", "--config.eval_every=20", *STILL]


@pytest.fixture(scope="module")
def alone(once) -> Path:
    """A run of one process with two devices."""
    return once("alone", lambda workdir: run("train", *pulse(workdir, *STEPS), devices=2))


def test_one_is_asked_to_stop_and_both_do_and_one_process_goes_on(tmp_path, alone):
    workdir = tmp_path / "run"
    two = start_together("train", *pulse(workdir, *STEPS))
    # They have joined by then, and there is a step to come.
    wait_for((workdir / "models.json").exists, *two)
    two[1].send_signal(signal.SIGTERM)
    first, _ = end(two, code=75)
    assert "the same command" in first
    stopped = saved(workdir)[-1]
    assert stopped < 40
    two = start_together("train", *pulse(workdir, *STEPS))
    wait_for(lambda: saved(workdir)[-1] > stopped, *two)
    kill(two)
    assert saved(workdir)[-1] < 40
    run("train", *pulse(workdir, *STEPS), devices=2)
    assert_nearly_same(workdir, alone)


def test_one_process_is_killed_and_two_go_on(tmp_path, alone):
    workdir = tmp_path / "run"
    one = [start("train", *pulse(workdir, *STEPS), devices=2)]
    wait_for(lambda: saved(workdir), *one)
    kill(one)
    assert saved(workdir)[-1] < 40
    end(start_together("train", *pulse(workdir, *STEPS)))
    assert_nearly_same(workdir, alone)


def test_different_configs_are_refused_by_both(tmp_path):
    workdir = tmp_path / "run"
    processes = start_together("train", *pulse(workdir), of_last=["--config.batch_size=16"])
    for printed in end(processes, code=1, seconds=100):
        assert "config must be the same in all processes" in printed
        assert "batch_size: 8 → 16" in printed
        assert "Traceback" not in printed
    assert not workdir.exists()


def test_of_a_workdir_that_is_in_use_both_keep_out(tmp_path):
    with Workdir(tmp_path / "run").lock():
        for printed in end(start_together("train", *pulse(tmp_path / "run")), code=1, seconds=100):
            assert "is in use by another trainer" in printed
            assert "Traceback" not in printed
    assert not (tmp_path / "run" / "config.json").exists()


def test_if_one_is_killed_the_other_ends_too(tmp_path):
    workdir = tmp_path / "run"
    two = start_together("train", *pulse(workdir, *STEPS))
    wait_for((workdir / "models.json").exists, *two)
    two[1].kill()
    try:
        printed, _ = two[0].communicate(timeout=100)
    finally:
        kill(two)
    assert two[0].returncode not in (0, 75)
    # Either ours, or what JAX's own watch over the processes says before it ends one.
    said = ("Another process of this run has ended", "another task died")
    assert any(words in printed for words in said), printed
