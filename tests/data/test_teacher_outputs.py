"""Teachers' outputs on disk: what comes back, after kills and damage too, and what is refused."""

import dataclasses
import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest

from mmkd_jax.data import OutputsKey, load_outputs, prepare_outputs, sentences_hash
from mmkd_jax.tags import TagSet

TAGS = TagSet(["NOUN", "VERB", "DET"])
COUNT, SHARDS = 11, 3
KEY = OutputsKey("a teacher", "some sentences", COUNT, TAGS, SHARDS)
RANDOM = np.random.default_rng(0)
SCORES = {
    "transitions": np.where(np.eye(3) > 0, -np.inf, RANDOM.normal(size=(3, 3))).astype(np.float32),
    "start": RANDOM.normal(size=3).astype(np.float32),
    "end": RANDOM.normal(size=3).astype(np.float32),
}


def emissions(number):
    """Of a sentence of 0 to 6 words."""
    return np.random.default_rng(number).normal(size=(number % 7, 3)).astype(np.float32)


def emit(numbers):
    return map(emissions, numbers)


def scores():
    return SCORES


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}


@pytest.fixture
def folder(tmp_path):
    assert prepare_outputs(tmp_path / "whole", KEY, scores, emit)
    return tmp_path / "whole"


def check(outputs, numbers=tuple(range(COUNT))):
    for number, found in zip(numbers, outputs.read(np.array(numbers)), strict=True):
        np.testing.assert_array_equal(found, emissions(number))


def test_what_was_written_comes_back(folder):
    outputs = load_outputs(folder, KEY)
    assert len(outputs) == COUNT and outputs.tags == TAGS
    check(outputs, (10, 0, 3, 3, 7))
    for name, values in SCORES.items():
        np.testing.assert_array_equal(outputs.scores[name], values)
    check(pickle.loads(pickle.dumps(outputs)))


def test_what_is_finished_is_not_computed_again(folder):
    def unasked(*numbers):
        raise AssertionError(f"asked for {numbers}")

    assert prepare_outputs(folder, KEY, unasked, unasked)


def test_processes_may_share_the_work(folder, tmp_path):
    parts = [prepare_outputs(tmp_path / "parts", KEY, scores, emit, shard) for shard in (2, 0, 1)]
    assert parts == [False, False, True]
    assert contents(tmp_path / "parts") == contents(folder)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.data import test_teacher_outputs as t

def emit(numbers):
    for number in numbers:
        if number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        yield t.emissions(number)

t.prepare_outputs(Path(sys.argv[1]), t.KEY, t.scores, emit)
"""


def test_a_kill_half_way_costs_one_shard(folder, tmp_path):
    killed = tmp_path / "killed"
    killed.mkdir()
    (killed / ".scores0123").touch()  # what one before it was writing
    code = subprocess.run([sys.executable, "-c", KILLED, str(killed)], cwd=os.getcwd()).returncode
    assert code == -signal.SIGKILL
    assert list(killed.glob(".emissions-00001*"))  # what it was writing
    with pytest.raises(FileNotFoundError, match=r"00001-of-00003.json is not there"):
        load_outputs(killed, KEY)
    asked = []

    def remembered(numbers):
        asked.extend(numbers.tolist())
        return emit(numbers)

    assert prepare_outputs(killed, KEY, scores, remembered)
    assert asked == list(range(3, COUNT))
    assert contents(killed) == contents(folder)
    check(load_outputs(killed, KEY))
    assert not list(killed.glob(".*"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": "another"}, "hash of the teacher was a teacher and is now another"),
        ({"sentences": "others"}, "hash of the sentences was some sentences and is now others"),
        ({"count": 12}, "sentences was 11 and is now 12"),
        ({"tags": TagSet(["NOUN", "DET", "VERB"])}, "tags was"),
        ({"shards": 2}, "shards was 3 and is now 2"),
    ],
)
def test_another_teacher_and_other_sentences_are_noticed(folder, change, message):
    before = contents(folder)
    key = dataclasses.replace(KEY, **change)
    for use in (
        lambda: load_outputs(folder, key),
        lambda: prepare_outputs(folder, key, scores, emit),
    ):
        with pytest.raises(ValueError, match=f"was prepared in another way: .*{message}"):
            use()
    assert contents(folder) == before


def flipped(content):
    place = content.index(np.float32(emissions(4)[2, 1]).tobytes())
    content[place] ^= 0x10
    return content


@pytest.mark.parametrize("change", [flipped, lambda content: content[: 2**16], lambda content: b""])
def test_damage_is_found_and_one_shard_made_again(folder, change):
    path = folder / "emissions-00001-of-00003.array_record"
    before = contents(folder)
    path.write_bytes(change(bytearray(path.read_bytes())))
    damaged = load_outputs(folder, KEY)
    check(damaged, (0, 1, 2, 7, 10))
    with pytest.raises(ValueError, match=r"00001-of-00003.array_record is damaged"):
        check(damaged)
    for ending in ("array_record", "json"):
        path.with_suffix(f".{ending}").unlink()
    assert prepare_outputs(folder, KEY, scores, emit)
    assert contents(folder) == before


def test_damage_of_the_shared_scores_is_found(folder):
    path = folder / "scores.array_record"
    content = bytearray(path.read_bytes())
    content[content.index(SCORES["start"].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"scores.array_record is damaged"):
        load_outputs(folder, KEY)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda numbers: (emissions(n)[:, :2] for n in numbers), r"emissions must be \[W, 3\]"),
        (lambda numbers: list(emit(numbers))[1:], "emissions must be of 3 sentences, got 2"),
    ],
)
def test_emissions_are_checked(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        prepare_outputs(tmp_path, KEY, scores, wrong)
    with pytest.raises(FileNotFoundError):
        load_outputs(tmp_path, KEY)


def test_scores_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"scores must have start \(3,\), got \(2,\)"):
        prepare_outputs(tmp_path, KEY, lambda: SCORES | {"start": np.zeros(2, np.float32)}, emit)


def test_no_two_corpora_have_one_hash():
    corpora = [
        [],
        [[]],
        [["ab"]],
        [["a", "b"]],
        [["a"], ["b"]],
        [["b"], ["a"]],
        [["a 1 b"]],
        [["\ud800"]],
    ]
    assert len({sentences_hash(corpus) for corpus in corpora}) == len(corpora)
