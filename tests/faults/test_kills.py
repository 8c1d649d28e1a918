"""A run that is stopped, in whatever way and at whatever moment, comes to the same end."""

import random
import signal

from tests.faults.kills import kill_once, newest
from tests.programs.runs import (
    assert_same_course,
    end,
    metrics,
    pulse,
    run,
    saved,
    start,
    wait_for,
)


def test_interrupted_at_any_moment_it_comes_to_the_same_end(tmp_path, undisturbed):
    workdir = tmp_path / "run"
    log = workdir / "metrics.jsonl"
    polite = start("train", *pulse(workdir, "--config.checkpoint_every=1000"))
    wait_for(lambda: log.exists() and "retrieval" in log.read_text(), polite)
    polite.send_signal(signal.SIGTERM)
    (printed,) = end([polite], code=75)
    assert "the same command" in printed
    (stopped,) = saved(workdir)
    assert all(line["step"] <= stopped for line in metrics(workdir))

    # 50 rounds, of longer runs: benchmarks/faults.py
    # Between saves comes last: the run may have ended by then, which leaves nothing to be saved.
    for moment in ("in a save", "starting", "between saves"):
        seconds = random.uniform(0.0, 3.0)
        found = kill_once(pulse(workdir), workdir, moment, seconds)
        print(found, seconds)  # seen if this fails
        assert found.lost == 0
        assert found.left >= found.whole
    run("train", *pulse(workdir))
    assert newest(workdir) == 20
    assert_same_course(workdir, undisturbed)
