"""Pairs that are tokenised once: shards, manifest, what survives a kill and what is refused."""

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmkd_jax.data import (
    Source,
    decode_pairs,
    load_pairs,
    prepare_pairs,
    tokenize_pairs,
)
from tests.data.corpora import pairs, sources, student, teacher

ROOT = Path(__file__).resolve().parents[2]
SHARDS = 3


def prepare(folder, given=None, max_length=64, shards=SHARDS, shard=None):
    return prepare_pairs(
        folder, given or sources(), teacher(), student(), max_length, shards, shard
    )


def contents(folder):
    """Every file that is not hidden, and its bytes."""
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


def start(code: str, *arguments: object) -> subprocess.Popen:
    """Another process, which sees this package and these tests."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Prepared once, for tests that only read."""
    folder = tmp_path_factory.mktemp("prepared")
    assert prepare(folder) == folder / "manifest.json"
    return folder


def test_shards_hold_what_is_tokenised_in_memory(folder):
    kept, direct = load_pairs(folder), tokenize_pairs(sources(), teacher(), student(), 64)
    assert len(kept) == len(direct) == 90
    # Pair k is in shard k modulo 3.
    order = np.concatenate([np.arange(shard, 90, SHARDS) for shard in range(SHARDS)])
    np.testing.assert_array_equal(kept.lengths, direct.lengths[order])
    np.testing.assert_array_equal(kept.languages, direct.languages[order])
    assert kept.read(np.arange(90)) == direct.read(order)
    mixed = np.random.default_rng(0).permutation(90)
    assert kept.read(mixed) == direct.read(order[mixed])
    for name in ("sources", "layout", "max_length", "left_out", "language_names"):
        assert getattr(kept, name) == getattr(direct, name)


def test_the_manifest_counts(folder):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    lengths = load_pairs(folder).lengths
    assert manifest["pairs"] == 90
    assert manifest["pairs_of_source"] == {
        "made-up de": 60,
        "made-up fr": 25,
        "made-up zh": 5,
    }
    assert manifest["subwords"] == lengths[:, :3].sum(axis=0, dtype=int).tolist()
    assert manifest["longest"] == lengths[:, :3].max(axis=0).tolist()
    assert manifest["settings"]["teacher"] == teacher().hash
    assert manifest["settings"]["student"] == student().hash


def test_pairs_that_are_left_out_are_counted(tmp_path):
    given = [Source("gaps", "de", [("ab", "cd"), ("ab", ""), (" ", "cd"), ("b", "a")])]
    manifest = json.loads(prepare(tmp_path, given, shards=2).read_text(encoding="utf-8"))
    assert (manifest["pairs"], manifest["left_out"]) == (2, 2)
    assert load_pairs(tmp_path).left_out == 2


def test_some_shards_may_be_empty(tmp_path):
    prepare(tmp_path, [Source("short", "de", pairs(2, 0))], shards=4)
    kept = load_pairs(tmp_path)
    assert len(kept.read(np.array([1, 0]))) == len(kept) == 2


def test_long_texts_are_cut_to_what_a_row_holds(tmp_path):
    prepare(tmp_path, max_length=12)
    assert load_pairs(tmp_path).lengths[:, :3].max() == 10


def test_many_processes_write_what_one_writes(folder, tmp_path):
    code = (
        "import sys; from pathlib import Path; from tests.data import test_prepared as t;"
        "print(t.prepare(Path(sys.argv[1]), shard=int(sys.argv[2])))"
    )
    started = [start(code, tmp_path, shard) for shard in range(SHARDS)]
    said = {process.communicate(timeout=120)[0].strip() for process in started}
    assert [process.returncode for process in started] == [0] * SHARDS
    assert str(tmp_path / "manifest.json") in said
    assert contents(tmp_path) == contents(folder)


SLOW = """
import sys, time
from pathlib import Path
from mmkd_jax.data import Source
from tests.data import test_prepared as t

passes = 0

def read():
    global passes
    passes += 1
    for number, pair in enumerate(t.many()):
        if passes == 2 and number == 5500:
            print("in the middle", flush=True)
            time.sleep(600)
        yield pair

t.prepare(Path(sys.argv[1]), [Source("many", "de", read)], shards=2)
"""


def many():
    return pairs(400, 3, longest=3) * 15


def test_a_kill_in_the_middle_costs_one_shard(tmp_path):
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(SLOW, killed)
    assert process.stdout.readline() == "in the middle\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    finished = contents(killed)
    assert sorted(finished) == [
        f"pairs-00000-of-00002.{end}" for end in ("array_record", "json", "npy")
    ]
    assert list(killed.glob(".pairs-00001*"))  # what the killed one was writing
    with pytest.raises(FileNotFoundError, match=r"manifest.json is not there: preparation has"):
        load_pairs(killed)
    times = {name: (killed / name).stat().st_mtime_ns for name in finished}
    for folder in (killed, whole):
        assert prepare(folder, [Source("many", "de", many)], shards=2)
    assert contents(killed) == contents(whole)
    assert times == {name: (killed / name).stat().st_mtime_ns for name in finished}
    assert not list(killed.glob(".*"))


def test_the_manifest_comes_with_the_last_shard(folder, tmp_path):
    assert [prepare(tmp_path, shard=shard) is not None for shard in (2, 0)] == [False, False]
    assert not (tmp_path / "manifest.json").exists()
    assert prepare(tmp_path, shard=1) == tmp_path / "manifest.json"
    assert contents(tmp_path) == contents(folder)


def test_what_is_finished_is_not_read_again(folder):
    def unread():
        raise AssertionError("read again")
        yield

    given = [each._replace(pairs=unread) for each in sources()]
    before = (folder / "pairs-00000-of-00003.npy").stat().st_mtime_ns
    assert prepare(folder, given)
    assert (folder / "pairs-00000-of-00003.npy").stat().st_mtime_ns == before


def test_an_error_of_a_reader_comes_through(tmp_path):
    def broken():
        yield ("ab", "cd")
        raise ValueError("corpus.de:2: invalid UTF-8")

    with pytest.raises(ValueError, match="corpus.de:2"):
        prepare(tmp_path, [Source("broken", "de", broken)])
    assert not contents(tmp_path)


def other_sources(**changes):
    first, *rest = sources()
    return [first._replace(**changes), *rest]


@pytest.mark.parametrize(
    ("again", "message"),
    [
        ({"max_length": 65}, "max_length was 64 and is now 65"),
        ({"shards": 4}, "shards was 3 and is now 4"),
        ({"given": sources()[:2]}, r"the sources was \[.*'made-up zh'\] and is now"),
        ({"given": sources()[::-1]}, "the sources was"),
        (
            {"given": other_sources(language="nl")},
            "the language of 'made-up de' was 'de' and is now 'nl'",
        ),
        (
            {"given": other_sources(origin="b.tsv")},
            "the origin of 'made-up de' was '' and is now 'b.tsv'",
        ),
    ],
)
def test_other_settings_are_refused(folder, again, message):
    before = contents(folder)
    with pytest.raises(ValueError, match=rf"was prepared in another way: {message}.*folder"):
        prepare(folder, **again)
    assert contents(folder) == before


def test_other_tokenizers_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match=r"the teacher's tokenizer was \w{12}… and is now"):
        prepare_pairs(folder, sources(), student(), student(), 64, SHARDS)
    with pytest.raises(ValueError, match="the student's tokenizer was"):
        load_pairs(folder, teacher(), teacher())
    assert len(load_pairs(folder, teacher(), student())) == 90
    # A shard without a manifest is enough.
    prepare(tmp_path, shard=1)
    with pytest.raises(ValueError, match=r"pairs-00001-of-00003.json was .* teacher's tokenizer"):
        prepare_pairs(tmp_path, sources(), student(), student(), 64, SHARDS, 0)


def damaged(folder, tmp_path, change):
    """A copy of which the first shard is not as it was written."""
    for name, content in contents(folder).items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "pairs-00000-of-00003.array_record"
    path.write_bytes(change(bytearray(path.read_bytes())))
    return load_pairs(tmp_path)


def flipped(content):
    content[3600] ^= 0x55  # within the records; most of the file is padding
    return content


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (flipped, "Corrupted"),
        (lambda content: content[: 2**16], "0 records instead of 30"),
        (lambda content: content[:-1], ""),
        (lambda content: b"", ""),
    ],
)
def test_a_damaged_shard_is_named_and_can_be_made_again(folder, tmp_path, change, reason):
    kept = damaged(folder, tmp_path, change)
    assert len(kept.read(np.arange(30, 90))) == 60  # other shards can be read
    with pytest.raises(ValueError, match=rf"00000-of-00003.array_record is damaged: .*{reason}"):
        kept.read(np.arange(90))
    for ending in ("array_record", "json"):
        (tmp_path / f"pairs-00000-of-00003.{ending}").unlink()
    with pytest.raises(FileNotFoundError, match=r"00000-of-00003.array_record is not there"):
        load_pairs(tmp_path)
    prepare(tmp_path)
    assert contents(tmp_path) == contents(folder)


def test_records_travel_to_other_processes(folder):
    kept = load_pairs(folder)
    expected = kept.read(np.arange(5))
    assert pickle.loads(pickle.dumps(kept)).read(np.arange(5)) == expected
    assert kept.records[4] == expected[4]
    with pytest.raises(IndexError, match=r"indices must be in 0..89, got \[90\]"):
        kept.read(np.array([90]))


def test_records_read_back_as_pairs(folder):
    kept = load_pairs(folder)
    taken = decode_pairs(kept.read(np.arange(90)), kept.layout)
    np.testing.assert_array_equal(taken.lengths, kept.lengths[:, :3])
    np.testing.assert_array_equal(taken.source, kept.lengths[:, 3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"given": [sources()[0]] * 2}, "sources must have different names"),
        ({"max_length": 4}, r"max_length must be in 5\.\.65536, got 4"),
        ({"shards": 0}, "shards must be at least 1, got 0"),
        ({"shard": 3}, r"shard must be in 0\.\.2, got 3"),
        ({"shard": -1}, r"shard must be in 0\.\.2, got -1"),
    ],
)
def test_errors(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        prepare(tmp_path / "new", **options)
    with pytest.raises(ValueError, match="sources must not be empty"):
        prepare_pairs(tmp_path, [], teacher(), student())


def test_nothing_prepared_yet(tmp_path):
    with pytest.raises(FileNotFoundError, match="preparation has not begun, or not finished"):
        load_pairs(tmp_path)
