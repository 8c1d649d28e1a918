"""Files that fill the disk, break, vanish or cannot be written, in the life of a whole run.

Each time: one line that says what is wrong and what to do, and nothing is lost.
"""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmkd_jax import training
from tests.programs.runs import (
    ROOT,
    assert_same_course,
    end,
    environment,
    pulse,
    run,
    saved,
    start,
)

SMALL = 40_000  # bytes: less than the metadata of a checkpoint, however its values are split


def half_way(undisturbed: Path, tmp_path: Path) -> Path:
    """A run that has come to step 10."""
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    for step in (15, 20):
        shutil.rmtree(workdir / "checkpoints" / str(step))
    return workdir


def said(printed: str) -> str:
    """The program's last words, which are no traceback."""
    assert "Traceback" not in printed
    return printed.splitlines()[-1]


def test_a_disk_that_is_full(tmp_path, undisturbed):
    workdir = half_way(undisturbed, tmp_path)
    process = start("train", *pulse(workdir))
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (SMALL, SMALL))
    (printed,) = end([process], code=1)
    last = said(printed)
    assert last.startswith("train: the checkpoint of step 15 could not be written to ")
    assert "the newest one that is whole is of 10. The disk is full: make room, and start" in last
    assert saved(workdir) == [10]
    run("train", *pulse(workdir))
    assert_same_course(workdir, undisturbed)


def test_a_checkpoint_that_was_cut_off(tmp_path, undisturbed):
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    # All of them: which files the values come to lie in differs from run to run, and a single one
    # may hold nothing any more that is read.
    for path in workdir.glob("checkpoints/20/state/**/d/*"):
        os.truncate(path, path.stat().st_size // 2)
    printed = run("train", *pulse(workdir))
    assert "the checkpoint of step 20 is damaged and was moved to" in printed
    assert "that of step 15 is taken instead" in printed
    assert_same_course(workdir, undisturbed)
    assert saved(workdir)[-1] == 20


def test_a_shard_with_a_flipped_byte_or_without_a_file(tmp_path, undisturbed):
    workdir = half_way(undisturbed, tmp_path)
    shard = workdir / "prepared" / "pairs-00000-of-00002.array_record"
    sound = shard.read_bytes()
    # Each record is a chunk of its own: bytes of many are flipped, so that a batch has one.
    flipped = bytearray(sound)
    flipped[5000::50] = bytes(byte ^ 1 for byte in flipped[5000::50])
    shard.write_bytes(flipped)
    last = said(run("train", *pulse(workdir), code=1))
    assert last.startswith(f"train: {shard} is damaged: ")
    assert "Remove it and the .json file beside it, and prepare again" in last
    shard.unlink()
    last = said(run("train", *pulse(workdir), code=1))
    assert last.startswith(f"train: {shard} is not there, though ")
    assert saved(workdir) == [10]
    shard.write_bytes(sound)
    run("train", *pulse(workdir))
    assert_same_course(workdir, undisturbed)


def test_a_corpus_that_vanishes(tmp_path):
    corpus, out = tmp_path / "corpus.tsv", tmp_path / "prepared"
    config = tmp_path / "own.py"
    config.write_text(
        "from mmkd_jax.config import beside\n"
        "def get_config(arg=''):\n"
        f"    config = beside({str(ROOT / 'configs' / 'own.py')!r}, 'pulse')\n"
        "    config.pairs.sources = {'own': {'reader': 'tsv', 'language': 'de', 'path': "
        f"{str(corpus)!r}}}}}\n"
        "    return config\n"
    )
    arguments = [f"--config={config}", f"--out={out}"]
    wanted = f"prepare: source 'own' names what is not there: {corpus}"
    assert said(run("prepare", *arguments, code=1)) == wanted
    corpus.write_text("".join(f"Row {i} of all.\tZeile {i} von allen.\n" for i in range(200)))
    run("prepare", *arguments)
    made = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    corpus.unlink()
    assert said(run("prepare", *arguments, code=1)) == wanted
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == made


def test_a_workdir_that_cannot_be_written():
    """Not even by root, as who tests may be."""
    last = said(run("train", *pulse(Path("/proc/mmkd_run")), code=1))
    assert last.startswith("train: workdir cannot be made: ")
    last = said(run("train", *pulse(Path("/proc/sys")), code=1))
    assert last.startswith("train: workdir must be a folder that can be written to, got /proc/sys")


@pytest.mark.parametrize("workdir", ["gs://bucket/run", "s3://bucket/run"])
def test_a_workdir_in_a_bucket_is_no_folder_of_that_name(workdir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="workdir must be a folder, got .*: mount the bucket"):
        training.Workdir(workdir)
    assert list(tmp_path.iterdir()) == []


BACKWARDS = """
import runpy, sys, time
real, begun = time.time, time.time()
# An hour back every other second.
time.time = lambda: begun - 3600 * ((real() - begun) // 2)
time.time_ns = lambda: int(1e9 * time.time())
runpy.run_module("mmkd_jax.train", run_name="__main__", alter_sys=True)
"""


def test_a_clock_that_goes_backwards(tmp_path, undisturbed):
    workdir = half_way(undisturbed, tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", BACKWARDS, *pulse(workdir)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert_same_course(workdir, undisturbed)
    assert saved(workdir)[-1] == 20
