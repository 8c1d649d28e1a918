"""Starts programs as users start them, in processes of their own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]


def command(program: str, *arguments: str) -> list[str]:
    """What is typed in a terminal."""
    return [sys.executable, "-m", f"mmkd_jax.{program}", *arguments]


def environment(devices: int = 1) -> dict[str, str]:
    """Of a machine with so many devices."""
    # Most of the time is compilation; these runs are short, and need not be fast. All of them must
    # be compiled alike, or their numbers drift apart.
    flags = f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0"
    return {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}


def start(
    program: str, *arguments: str, devices: int = 1, variables: dict[str, str] | None = None
) -> subprocess.Popen:
    """Starts a program and does not wait for it."""
    return subprocess.Popen(
        command(program, *arguments),
        cwd=ROOT,
        env=environment(devices) | (variables or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_together(
    program: str, *arguments: str, count: int = 2, of_last: Sequence[str] = ()
) -> list[subprocess.Popen]:
    """Starts a program as processes that belong together, with a device each.

    Args:
      program: Its name.
      arguments: Of all of them.
      count: How many.
      of_last: Further ones of the last.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    variables = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(count)}
    return [
        start(program, *arguments, *more, variables=variables | {"JAX_PROCESS_ID": str(number)})
        for number, more in enumerate([()] * (count - 1) + [tuple(of_last)])
    ]


def end(processes: list[subprocess.Popen], code: int = 0, seconds: float = 300) -> list[str]:
    """What they have printed to their end, which must be this exit code."""
    try:
        printed = [process.communicate(timeout=seconds)[0] for process in processes]
        assert [process.returncode for process in processes] == [code] * len(printed), printed
        return printed
    finally:
        kill(processes)


def kill(processes: list[subprocess.Popen]) -> None:
    """As kill -9 does."""
    for process in processes:
        process.kill()
    for process in processes:
        process.communicate()


def run(
    program: str, *arguments: str, devices: int = 1, code: int = 0, seconds: float = 300
) -> str:
    """Runs a program to its end, which must be this exit code; returns what it has printed."""
    return end([start(program, *arguments, devices=devices)], code, seconds)[0]


def pulse(workdir: Path, *more: str) -> list[str]:
    """The arguments of the smallest run."""
    return ["--config=configs/pulse.py", f"--workdir={workdir}", *more]


def metrics(workdir: Path) -> list[dict]:
    """The lines of metrics.jsonl."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_same_course(workdir: Path, expected: Path) -> None:
    """Metrics and parameters of another run, to the last bit."""
    assert (workdir / "metrics.jsonl").read_bytes() == (expected / "metrics.jsonl").read_bytes()
    found, wanted = (load_file(d / "student" / "model.safetensors") for d in (workdir, expected))
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


def assert_nearly_same(workdir: Path, expected: Path) -> None:
    """Metrics and parameters of a run on another number of processes, to 1e-5."""
    for line, wanted in zip(metrics(workdir), metrics(expected), strict=True):
        assert line.keys() == wanted.keys()
        names = sorted(wanted)
        found = [[each[name] for name in names] for each in (line, wanted)]
        np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5, err_msg=str(names))
    found, wanted = (load_file(d / "student" / "model.safetensors") for d in (workdir, expected))
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        # Attention does not depend on it: its gradient is rounding, which Adam makes steps of.
        if not name.endswith("key.bias"):
            np.testing.assert_allclose(found[name], tensor, atol=1e-5, err_msg=name)


def saved(workdir: Path) -> list[int]:
    """The steps of the checkpoints that are whole."""
    folder = workdir / "checkpoints"
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    return sorted(int(name) for name in names if name.isdigit())


def wait_for(
    reached: Callable[[], Any], *processes: subprocess.Popen, seconds: float = 200
) -> None:
    """Until a run has got so far; its processes must not end before."""
    deadline = time.time() + seconds
    while not reached():
        assert time.time() < deadline
        if any(process.poll() is not None for process in processes):
            raise AssertionError(f"it has ended: {end(list(processes))}")
        time.sleep(0.01)
