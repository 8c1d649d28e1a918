"""Kills training at random moments, many times, and counts what was lost.

    python benchmarks/faults.py --workdir=DIR              # 50 rounds, then four processes
    python benchmarks/faults.py --workdir=DIR --rounds=5   # prints, writes nothing

Takes about 20 minutes on two idle cores. Rounds are kept in DIR: the same command goes on where it
was stopped. A whole run writes `results/faults.json` and its section of `RESULTS.md`. The tests do
the same with fewer rounds and two processes (tests/faults, tests/programs/test_two_processes.py).
"""

import argparse
import dataclasses
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from side_by_side import Report, Row, figure

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.faults.kills import MOMENTS, Kill, kill_once, newest
from tests.programs.runs import (
    assert_nearly_same,
    assert_same_course,
    end,
    kill,
    pulse,
    run,
    saved,
    start,
    start_together,
    wait_for,
)

STEPS, EVERY = 2000, 20
PATIENCE = 3600  # seconds, on a machine with other work
FLAGS = (
    *(f"--config.total_steps={STEPS}", f"--config.checkpoint_every={EVERY}"),
    *("--config.log_every=1", "--config.eval_every=0"),
)
# What differs between numbers of processes is dropout's randomness alone.
TOGETHER = (
    *("--config.total_steps=40", "--config.eval_every=20"),
    *("--config.student.dropout=0.0", "--config.student.attention_dropout=0.0"),
)
PROCESSES = 4
SAVES = 6

KILLS = "rounds of kill -9"
ENDS = "runs that were killed again and again, and then finished"
APART = f"{PROCESSES} processes over loopback [s]"
OUTCOME = "outcome"

INTRO = f"""\
`configs/pulse.py`, with {STEPS:,} steps, a checkpoint every {EVERY}. A round starts the run, which
goes on from the newest checkpoint that is whole, and kills it with signal 9: while it starts,
within {SAVES} times as many steps as it makes between two saves, or as soon as a save has begun.
*Lost* are steps that had been saved and had to be done again. Steps after the last save are always
done again. Runs that come near their end are finished, and compared with an undisturbed one: every
metric of every step and every weight of the student.

{PROCESSES} processes with a device each, joined by gloo, on 40 steps without dropout; compared with
one process that has {PROCESSES} devices, to 1e-5, but for the biases of attention's keys: nothing
depends on them, and Adam makes steps of the rounding in their gradient."""


# --- Rounds -------------------------------------------------------------------------------------


@dataclasses.dataclass
class Story:
    """What has happened so far, on disk after every round."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "rounds.jsonl"

    def rounds(self) -> list[dict]:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [json.loads(line) for line in lines]

    def add(self, **entry) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")


def run_undisturbed(story: Story) -> float:
    """From the first to the last step, once; returns the seconds until the first save was done."""
    workdir, path = story.folder / "undisturbed", story.folder / "start.json"
    if not path.exists():
        shutil.rmtree(workdir, ignore_errors=True)
        begin = time.monotonic()
        process = start("train", *pulse(workdir, *FLAGS))
        wait_for(lambda: newest(workdir), process, seconds=PATIENCE)
        taken = time.monotonic() - begin
        end([process], seconds=PATIENCE)
        path.write_text(json.dumps(taken))
    return json.loads(path.read_text())


def kill_rounds(story: Story, rounds: int) -> None:
    longest, undisturbed = run_undisturbed(story), story.folder / "undisturbed"
    while (done := len(story.rounds())) < rounds:
        number = sum(entry["finished"] for entry in story.rounds())
        workdir = story.folder / f"run-{number}"
        chance = random.Random(done)
        # A run is killed before its first save once: one must come at last.
        begun = workdir.exists()
        moment = chance.choice(MOMENTS if newest(workdir) or not begun else MOMENTS[1:])
        seconds = chance.uniform(0.0, longest) if moment == "starting" else 0.0
        steps = chance.randint(1, SAVES * EVERY)
        found = kill_once(pulse(workdir, *FLAGS), workdir, moment, seconds, steps)
        finished = newest(workdir) > 0.85 * STEPS or done + 1 == rounds
        if finished:
            run("train", *pulse(workdir, *FLAGS), seconds=PATIENCE)
            assert_same_course(workdir, undisturbed)
        story.add(**found._asdict(), finished=finished)
        print(f"round {done + 1}: {found}{', finished: the same' * finished}", flush=True)


def kill_rows(story: Story) -> list[Row]:
    entries = story.rounds()
    finished = sum(entry.pop("finished") for entry in entries)
    kills = [Kill(**entry) for entry in entries]
    rows = []
    for moment in MOMENTS:
        of_this = [each for each in kills if each.moment == moment]
        lost = sum(each.lost for each in of_this)
        again = max((each.reached - each.left for each in of_this), default=0)
        note = f"{lost} steps lost; at most {max(again, 0)} steps after the last save done again"
        rows.append(Row(moment, KILLS, len(of_this), None, OUTCOME, note=note))
    rows.append(Row("all", KILLS, len(kills), None, OUTCOME, note="each went on"))
    note = "bit for bit as undisturbed"
    rows.append(Row(f"of {STEPS:,} steps", ENDS, finished, None, OUTCOME, note=note))
    return rows


# --- Together -----------------------------------------------------------------------------------


def together_rows(folder: Path) -> list[Row]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    alone = folder / "alone"
    run("train", *pulse(alone, *TOGETHER), devices=PROCESSES, seconds=PATIENCE)
    stories = {
        "train, save, judge and export": train_together,
        "one is killed": kill_one,
        "SIGTERM to one": ask_one,
        "different configs": start_differently,
    }
    rows = []
    for case, tell in stories.items():
        seconds, note = tell(folder / case.replace(" ", "_"), alone)
        print(f"{case}: {figure(seconds)} s, {note}", flush=True)
        rows.append(Row(case, APART, seconds, None, OUTCOME, note=note))
    return rows


def train_together(workdir: Path, alone: Path) -> tuple[float, str]:
    begin = time.monotonic()
    end(start_together("train", *pulse(workdir, *TOGETHER), count=PROCESSES), seconds=PATIENCE)
    assert_nearly_same(workdir, alone)
    return time.monotonic() - begin, "as one process, to 1e-5"


def kill_one(workdir: Path, alone: Path) -> tuple[float, str]:
    processes = start_together("train", *pulse(workdir, *TOGETHER), count=PROCESSES)
    wait_for(lambda: newest(workdir), *processes, seconds=PATIENCE)
    processes[1].kill()
    begin = time.monotonic()
    others = processes[:1] + processes[2:]
    try:
        codes = [process.wait(timeout=120) for process in others]
        taken = time.monotonic() - begin
    finally:
        kill(processes)
    if not {0, 75}.isdisjoint(codes):
        raise AssertionError(f"exit codes {codes} after one was killed")
    end(start_together("train", *pulse(workdir, *TOGETHER), count=PROCESSES), seconds=PATIENCE)
    assert_nearly_same(workdir, alone)
    return taken, "until all others had ended, with an error; started again, as one process"


def ask_one(workdir: Path, alone: Path) -> tuple[float, str]:
    del alone
    processes = start_together("train", *pulse(workdir, *TOGETHER), count=PROCESSES)
    wait_for((workdir / "models.json").exists, *processes, seconds=PATIENCE)
    begin = time.monotonic()
    processes[2].send_signal(signal.SIGTERM)
    end(processes, code=75, seconds=PATIENCE)
    return time.monotonic() - begin, f"until all had ended with 75, saved at step {newest(workdir)}"


def start_differently(workdir: Path, alone: Path) -> tuple[float, str]:
    del alone
    begin = time.monotonic()
    processes = start_together(
        "train", *pulse(workdir), count=PROCESSES, of_last=["--config.batch_size=16"]
    )
    for printed in end(processes, code=1, seconds=120):
        assert "config must be the same in all processes" in printed
    assert not saved(workdir)
    return time.monotonic() - begin, "until all had refused, start included"


# --- Program ------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=50)
    chosen = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    report = Report("faults", "Kills and other faults", INTRO, ["jax", "orbax-checkpoint", "numpy"])
    chosen.workdir.mkdir(parents=True, exist_ok=True)
    story = Story(chosen.workdir.absolute())
    # One for all runs: most of a start is compilation.
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(story.folder / "compiled"))
    kill_rounds(story, chosen.rounds)
    report.add(*kill_rows(story))
    report.show(KILLS)
    report.add(*together_rows(story.folder / "together"))
    report.show(APART)
    if chosen.rounds >= 50:
        report.write()


if __name__ == "__main__":
    main()
