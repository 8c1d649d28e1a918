"""Measures how long a run takes from its start to its first step: the first time, and later.

    python benchmarks/startup.py    # about 5 minutes on 2 cores

Writes `results/startup.json` and its section of `RESULTS.md`.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from side_by_side import Report, Row

ROOT = Path(__file__).resolve().parents[1]
# What is compiled is looked for in the workdir, as users have it.
LEFT_OUT = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")
WALL, PROCESSOR = "from the start to the first step [s]", "processor time until then [s]"
FIRST = "first start"
TARGET = 2.0

INTRO = f"""\
`configs/pulse.py` is started in a new folder, stopped by SIGTERM after its first step, and started
again, which goes on from what it has saved. *Ours* is the second start, and the peer the first,
which makes vocabularies, prepares the pairs, judges once and compiles; the second finds all that in
the workdir. A run with models of real size gains more, since compiling takes longer. Medians of
rounds; the target is a second start in less than 1/{TARGET:.0f} of the time."""


class Start(NamedTuple):
    wall: float
    processor: float


def start_and_stop(workdir: Path) -> Start:
    """Starts a run or goes on with it, until it has written down a step."""
    before = newest_step(workdir)
    command = [sys.executable, "-m", "mmkd_jax.train", "--config=configs/pulse.py"]
    command += [f"--workdir={workdir}", "--config.log_every=1", "--config.total_steps=100000"]
    kept = {name: value for name, value in os.environ.items() if name not in LEFT_OUT}
    begin = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, env=kept | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    while newest_step(workdir) <= before:
        if process.poll() is not None:
            raise SystemExit(f"it has ended with exit code {process.returncode}")
        time.sleep(0.02)
    taken = Start(time.monotonic() - begin, processor_seconds(process.pid))
    process.send_signal(signal.SIGTERM)
    if process.wait() != 75:
        raise SystemExit(f"it has ended with exit code {process.returncode}, wanted 75")
    return taken


def newest_step(workdir: Path) -> int:
    """The last step whose loss is written down."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    steps = [0]
    for line in lines:
        if line.endswith("}") and '"loss"' in line:
            steps.append(json.loads(line)["step"])
    return steps[-1]


def processor_seconds(pid: int) -> float:
    """Of a process that runs, as Linux counts them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    first, second = [], []
    for number in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as folder:
            for found in (first, second):
                found.append(start_and_stop(Path(folder) / "run"))
        print(f"round {number + 1}: {first[-1]}, then {second[-1]}", flush=True)
    report = Report("startup", "Starting a run", INTRO, ["jax", "orbax-checkpoint", "transformers"])
    for field, metric in (("wall", WALL), ("processor", PROCESSOR)):
        mine, other = (
            statistics.median(getattr(start, field) for start in found) for found in (second, first)
        )
        target = TARGET if field == "wall" else None
        report.add(Row("second start", metric, mine, other, FIRST, target))
        report.show(metric)
    report.write()


if __name__ == "__main__":
    main()
