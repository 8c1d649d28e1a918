"""Starts programs as users start them, in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def command(program: str, *arguments: str) -> list[str]:
    """What is typed in a terminal."""
    return [sys.executable, "-m", f"mmkd_jax.{program}", *arguments]


def environment(devices: int = 1) -> dict[str, str]:
    """Of a machine with so many devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT)}


def start(program: str, *arguments: str, devices: int = 1) -> subprocess.Popen:
    """Starts a program and does not wait for it."""
    return subprocess.Popen(
        command(program, *arguments),
        cwd=ROOT,
        env=environment(devices),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(program: str, *arguments: str, devices: int = 1, code: int = 0) -> str:
    """Runs a program to its end, which must be this exit code; returns what it has printed."""
    process = start(program, *arguments, devices=devices)
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == code, printed
    return printed


def pulse(workdir: Path, *more: str) -> list[str]:
    """The arguments of the smallest run."""
    return ["--config=configs/pulse.py", f"--workdir={workdir}", *more]


def metrics(workdir: Path) -> list[dict]:
    """The lines of metrics.jsonl."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
