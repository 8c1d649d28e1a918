"""Batches made ahead: the right ones, from any step on, on any number of processes."""

import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from mmkd_jax.data import (
    Batches,
    PairBatches,
    PairShape,
    Sampling,
    decode_pairs,
    load_pairs,
    pair_batch,
    plan_pairs,
    prepare_pairs,
    with_english,
)
from tests.data.corpora import prepared, sources, student, teacher

ROOT = Path(__file__).resolve().parents[2]
SIZE = 8
STEPS = 25  # more than two epochs


def pair_batches(data=None, size=SIZE, process=0, processes=1, seed=0):
    data = prepared() if data is None else data
    sampling = Sampling(data.languages, english_fraction=0.25, seed=seed)
    plan = plan_pairs(data.lengths[:, :3], sampling, size, max_length=64, seed=seed)
    return PairBatches(data, plan, teacher(), student(), 64, seed, process, processes)


def assert_same(one, other):
    for name, left, right in zip(one._fields, one, other, strict=True):
        np.testing.assert_array_equal(left, right, name)


def taken(batches, count):
    return [next(batches) for _ in range(count)]


def test_a_batch_holds_what_its_step_says():
    source = pair_batches()
    for step in range(STEPS):
        drawn = source.plan.step(step)
        pairs = decode_pairs(source.pairs.read(drawn.example), source.pairs.layout)
        expected = pair_batch(
            with_english(pairs, drawn.is_english),
            PairShape(*source.plan.shapes[drawn.shape].tolist()),
            teacher(),
            student(),
            64,
            0,
            drawn.visit,
            drawn.is_english,
            drawn.example,
        )
        assert_same(source(step), expected)


def test_masks_differ_each_time_an_example_comes():
    source = pair_batches()
    seen = {}
    for step in range(4 * source.plan.steps(0)):
        batch = source(step)
        for row, key in enumerate(zip(batch.example, batch.is_english, strict=True)):
            positions = batch.tlm_positions[row][batch.tlm_where[row]].tolist()
            seen.setdefault(key, []).append(tuple(positions))
    long = [each for each in seen.values() if len(each) > 1 and len(each[0]) > 3]
    assert len(long) > 20
    assert sum(len(set(each)) == len(each) for each in long) > 0.95 * len(long)


@pytest.mark.parametrize("processes", [2, 4, 8])
def test_rows_of_all_processes_are_the_batch(processes):
    whole = pair_batches()
    parts = [pair_batches(process=p, processes=processes) for p in range(processes)]
    for step in range(0, STEPS, 3):
        rows = [part(step) for part in parts]
        assert {row.tlm_ids.shape for row in rows} == {
            (SIZE // processes, whole(step).tlm_ids.shape[1])
        }
        joined = type(rows[0])(*map(np.concatenate, zip(*rows, strict=True)))
        assert_same(joined, whole(step))


OPTIONS = [{"threads": 0}, {"threads": 2}, {"threads": 4, "ahead": 2}, {"threads": 2, "ahead": 0}]


@pytest.mark.parametrize("options", OPTIONS)
def test_batches_come_in_the_order_of_steps(options):
    source = pair_batches()
    with Batches(source, **options) as batches:
        for step, batch in enumerate(taken(batches, STEPS)):
            assert_same(batch, source(step))
        assert batches.step == STEPS
        assert batches.epoch == 2 + (STEPS - 22) / 11
        assert batches.get_state()["examples"] == STEPS * SIZE


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("before", [0, 3, 11, 17])
def test_what_comes_after_resume_is_what_would_have_come(options, before):
    with Batches(pair_batches(), **options) as batches:
        taken(batches, before)
        state = json.loads(json.dumps(batches.get_state()))
        expected = taken(batches, 4)
        # Back in the same iterator, ahead in a new one.
        batches.set_state(state)
        with Batches(pair_batches(), **options) as fresh:
            fresh.set_state(state)
            for again in (batches, fresh):
                assert again.get_state() == state
                for one, other in zip(taken(again, 4), expected, strict=True):
                    assert_same(one, other)
                assert again.get_state()["examples"] == (before + 4) * SIZE


def test_resume_on_another_number_of_processes():
    def start(processes, state=None):
        iterators = [
            Batches(pair_batches(process=p, processes=processes)) for p in range(processes)
        ]
        for iterator in iterators:
            if state:
                iterator.set_state(state)
        return iterators

    def joined(iterators):
        rows = [next(iterator) for iterator in iterators]
        return type(rows[0])(*map(np.concatenate, zip(*rows, strict=True)))

    state, source, step = None, pair_batches(), 0
    for processes in (2, 1, 8, 4):
        iterators = start(processes, state)
        for _ in range(5):
            assert_same(joined(iterators), source(step))
            step += 1
        states = [iterator.get_state() for iterator in iterators]
        assert all(each == states[0] for each in states)
        state = states[0]
        assert state["examples"] == step * SIZE
        for iterator in iterators:
            iterator.close()


def test_shards_and_memory_give_the_same_batches(tmp_path):
    # One shard, so that pairs keep their numbers.
    prepare_pairs(tmp_path, sources(), teacher(), student(), 64, shards=1)
    kept, direct = pair_batches(load_pairs(tmp_path)), pair_batches()
    assert kept.plan.hash == direct.plan.hash
    with Batches(kept, threads=4) as batches:
        for step in range(STEPS):
            assert_same(next(batches), direct(step))


def test_state_of_another_plan_is_refused():
    with Batches(pair_batches()) as batches:
        for other in (pair_batches(size=16), pair_batches(seed=1)):
            with pytest.raises(ValueError, match="state must come from a run of the same plan"):
                batches.set_state(Batches(other).get_state())


def grain_threads():
    return [thread.name for thread in threading.enumerate() if "grain" in thread.name]


def ended(seconds=10):
    """Whether all threads have ended; they finish the batch they are at."""
    end = time.monotonic() + seconds
    while grain_threads() and time.monotonic() < end:
        time.sleep(0.01)
    return not grain_threads()


def test_closing_ends_the_threads():
    batches = Batches(pair_batches(), threads=3)
    next(batches)
    assert grain_threads()
    batches.close()
    assert ended()
    batches.close()  # twice does no harm
    source = pair_batches()
    assert_same(next(batches), source(1))  # and it goes on where it stood
    batches.set_state(Batches(source).get_state())
    assert ended()
    with batches:
        assert_same(next(batches), source(0))
    assert ended()


@dataclasses.dataclass
class Flaky:
    """Fails once."""

    plan: object
    failed: bool = False

    def __call__(self, step):
        if step == 3 and not self.failed:
            self.failed = True
            raise OSError("disk is gone for a moment")
        return step


@pytest.mark.parametrize("threads", [0, 3])
def test_after_an_error_no_batch_is_missing(threads):
    with Batches(Flaky(pair_batches().plan), threads=threads) as batches:
        assert taken(batches, 3) == [0, 1, 2]
        with pytest.raises(OSError, match="for a moment"):
            next(batches)
        assert batches.step == 3
        assert taken(batches, 3) == [3, 4, 5]


WORKERS = """
import sys

from absl import app

from mmkd_jax.data import Batches
from tests.data.test_pipeline import assert_same, pair_batches, taken


def main(_):
    source = pair_batches()
    with Batches(source, threads=0) as batches:
        taken(batches, 2)
        state = batches.get_state()
    with Batches(source, workers=2) as batches:
        batches.set_state(state)
        for step, batch in enumerate(taken(batches, 5), 2):
            assert_same(batch, source(step))
        state = batches.get_state()
    with Batches(source, threads=0) as batches:
        batches.set_state(state)
        assert_same(next(batches), source(7))
    print("as in one process")


if __name__ == "__main__":
    app.run(main)
"""


def test_worker_processes_make_the_same_batches(tmp_path):
    program = tmp_path / "program.py"  # workers import it, so it must be a file
    program.write_text(WORKERS, encoding="utf-8")
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(program)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.stdout == "as in one process\n", done.stderr


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pair_batches(processes=3), r"3 processes share evenly, got batches of \[8\] rows"),
        (lambda: pair_batches(process=2, processes=2), r"process must be in 0\.\.1, got 2"),
        (lambda: Batches(pair_batches(), threads=-1), "at least 0, got -1, 8, 0"),
        (
            lambda: dataclasses.replace(pair_batches(), max_length=65),
            "max_length must be at most 64, which the pairs were prepared for, got 65",
        ),
        (
            lambda: dataclasses.replace(pair_batches(), pairs=prepared(32), max_length=33),
            "max_length must be at most 32",
        ),
        (
            lambda: dataclasses.replace(
                pair_batches(),
                pairs=dataclasses.replace(prepared(), lengths=prepared().lengths[:7]),
            ),
            "plan must be of these 7 examples, got one of 90",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
