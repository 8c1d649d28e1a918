"""Kills, full disks and damaged files."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.training._checkpoints import CheckpointError, Checkpoints
from tests.training import states

ROOT = Path(__file__).resolve().parents[2]
ABSTRACT = states.abstract(states.state())


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    with Checkpoints(folder) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, states.state(step), {"step": step})
    return folder


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original, tmp_path / "checkpoints"))


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def biggest(folder: Path) -> Path:
    return max((path for path in files(folder) if path.name != "metadata"), key=os.path.getsize)


def restored_is_right(folder: Path) -> int:
    """The step that is restored, whose values are those that were saved."""
    with Checkpoints(folder) as checkpoints:
        restored = checkpoints.restore(ABSTRACT)
    states.assert_same(restored.state, states.state(restored.step))
    assert restored.extra == {"step": restored.step}
    return restored.step


def damage_truncate(path: Path) -> None:
    os.truncate(path, os.path.getsize(path) // 2)


def damage_empty(path: Path) -> None:
    os.truncate(path, 0)


def damage_zeros(path: Path) -> None:
    path.write_bytes(bytes(os.path.getsize(path)))


@pytest.mark.parametrize("damage", [damage_truncate, damage_empty, damage_zeros, os.remove])
def test_a_damaged_newest_falls_back_with_a_warning(folder, damage, caplog):
    damage(biggest(folder / "20" / "state"))
    assert restored_is_right(folder) == 10
    (warning,) = [entry for entry in caplog.records if entry.name.startswith("mmkd_jax")]
    assert warning.levelname == "WARNING"
    text = warning.getMessage()
    assert f"the checkpoint of step 20 is damaged and was moved to {folder}/corrupt-20;" in text
    assert "that of step 10 is taken instead. What was wrong: " in text
    assert (folder / "corrupt-20" / "state").is_dir()
    with Checkpoints(folder) as checkpoints:  # goes on, and saves that step again
        assert checkpoints.steps() == [10]
        assert checkpoints.save(20, states.state(20), {"step": 20})
    assert restored_is_right(folder) == 20
    damage(biggest(folder / "20" / "state"))
    assert restored_is_right(folder) == 10
    assert (folder / "corrupt-20-2").is_dir()


def test_it_falls_back_further_than_one(folder, caplog):
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(30, states.state(30), {"step": 30})
    damage_truncate(folder / "20" / "record" / "metadata")
    shutil.rmtree(folder / "30" / "state")
    assert restored_is_right(folder) == 10
    assert "20/record/metadata is damaged" in caplog.text
    assert sorted(path.name for path in folder.iterdir()) == ["10", "corrupt-20", "corrupt-30"]


def test_one_object_goes_on_after_it_fell_back(folder):
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(30, states.state(30), {})
        checkpoints.wait()
        damage_truncate(biggest(folder / "30" / "state"))
        assert checkpoints.restore(ABSTRACT).step == 20
        assert checkpoints.latest() == 20
        assert checkpoints.save(30, states.state(30), {})
        assert checkpoints.restore(ABSTRACT).step == 30


def test_if_none_can_be_read_nothing_is_moved(folder):
    for step in ("10", "20"):
        damage_truncate(biggest(folder / step / "state"))
    for _ in range(2):  # a launcher that starts it again must not have it begin at step 0
        with pytest.raises(
            CheckpointError, match=r"but none can be read:\n  step 20: .*\n  step 10"
        ):
            Checkpoints(folder).restore(ABSTRACT)
    assert sorted(path.name for path in folder.iterdir()) == ["10", "20"]
    with pytest.raises(CheckpointError, match="the checkpoint of step 20 cannot be read"):
        Checkpoints(folder).restore_step(20, ABSTRACT)


def test_an_older_one_that_is_damaged_is_in_nobodys_way(folder):
    shutil.rmtree(folder / "10" / "record")
    assert restored_is_right(folder) == 20
    with Checkpoints(folder, keep=1, best="f1") as checkpoints:
        assert checkpoints.best() is None
        checkpoints.save(30, states.state(30), {"step": 30}, {"f1": 1.0})
    assert checkpoints.steps() == [30]


def test_no_deleted_file_gives_wrong_values(folder):
    noticed = 0
    for path in files(folder / "20"):
        content = path.read_bytes()
        path.unlink()
        if restored_is_right(folder) == 10:
            noticed += 1
            os.rename(folder / "corrupt-20", folder / "20")
        path.write_bytes(content)
    assert noticed > 3
    assert restored_is_right(folder) == 20


def test_no_flipped_byte_gives_wrong_values(folder, caplog):
    """Of every file in turn: either it does not matter, or it is noticed."""
    noticed = 0
    for path in files(folder / "20"):
        content = path.read_bytes()
        for place in {0, len(content) // 2, len(content) - 1}:
            flipped = bytearray(content)
            flipped[place] ^= 1 << random.Random(place).randrange(8)
            path.write_bytes(flipped)
            step = restored_is_right(folder)
            if step == 10:
                noticed += 1
                os.rename(folder / "corrupt-20", folder / "20")
            path.write_bytes(content)
    assert noticed > 10
    assert restored_is_right(folder) == 20


SAVES = """
import sys, jax
from mmkd_jax.training._checkpoints import Checkpoints
from tests.training import states
with Checkpoints(sys.argv[1]) as checkpoints:
    restored = checkpoints.restore(states.abstract(states.state()))
    step = restored.step if restored else 0
    print(step, flush=True)
    while True:
        step += 1
        checkpoints.save(step, states.state(step), {"step": step})
        print(step, flush=True)
"""


def start(code: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def test_a_kill_at_any_moment_leaves_a_whole_newest_one(tmp_path):
    moments, last = random.Random(0), 0
    for _ in range(3):
        with start(SAVES, str(tmp_path)) as run:
            begun = run.stdout.readline()
            assert begun.strip().isdecimal(), run.stderr.read()
            assert int(begun) == last  # nothing that was whole is lost
            for _ in range(moments.randint(2, 4)):  # the save before the one that it told is done
                told = int(run.stdout.readline())
            time.sleep(moments.uniform(0.0, 0.1))
            os.kill(run.pid, signal.SIGKILL)
        last = restored_is_right(tmp_path)
        assert last == Checkpoints(tmp_path).latest() >= told - 1
    assert not list(tmp_path.glob("corrupt-*"))


def test_what_a_kill_has_left_is_removed_by_the_next_save_and_by_no_reader(tmp_path):
    left = tmp_path / "7.orbax-checkpoint-tmp" / "state"
    left.mkdir(parents=True)
    with Checkpoints(tmp_path) as reader:
        assert reader.restore(ABSTRACT) is None
    assert left.is_dir()
    with Checkpoints(tmp_path) as writer:
        writer.save(7, states.state(7), {"step": 7})
    assert [path.name for path in tmp_path.iterdir()] == ["7"]
    assert restored_is_right(tmp_path) == 7


@pytest.fixture
def small_files():
    """No file may grow beyond 64 KiB: what a full disk looks like to a writer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, hard))
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_at_the_next_call(tmp_path, small_files):
    content = np.random.default_rng(0).bytes(2**18)  # which nothing compresses
    noise = {"x": jnp.asarray(np.frombuffer(content, np.uint32)), "step": jnp.int32(0)}
    message = (
        r"the checkpoint of step 2 could not be written to .*, the newest one that is whole is of "
        r"1\. The disk is full: make room, and start again: "
    )
    small = {"x": noise["x"][:8], "step": jnp.int32(0)}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, small, {})
        checkpoints.save(2, noise, {})
        with pytest.raises(CheckpointError, match=message):
            checkpoints.save(3, noise, {})
        assert checkpoints.steps() == [1]
        checkpoints.save(2, noise, {})
        with pytest.raises(CheckpointError, match=message):
            checkpoints.wait()
        small_files()  # there is room again
        checkpoints.save(2, noise, {})
        restored = checkpoints.restore(states.abstract(noise))
    states.assert_same(restored.state, noise)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="step 1 could not be written to .*file/checkpoints"):
        Checkpoints(tmp_path / "file" / "checkpoints").save(1, states.state(), {})
