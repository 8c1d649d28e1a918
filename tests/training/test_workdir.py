import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmkd_jax.training._workdir import Workdir, WorkdirBusyError, write_atomically

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {"losses": {"word": 1.0, "token": 1.0}, "total_steps": 10, "mesh": {"data": -1}}


def test_it_is_made_and_knows_what_is_where(tmp_path):
    workdir = Workdir(tmp_path / "some" / "run")
    assert workdir.path.is_dir()
    assert list(workdir.path.iterdir()) == []
    names = {
        "checkpoints": "checkpoints",
        "metrics": "metrics.jsonl",
        "throughput": "throughput.jsonl",
        "tensorboard": "tensorboard",
        "results": "results.json",
        "student": "student",
        "prepared": "prepared",
        "config": "config.json",
    }
    for name, file in names.items():
        assert getattr(workdir, name) == tmp_path / "some" / "run" / file


def test_a_relative_path_survives_a_change_of_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    workdir = Workdir("run")
    monkeypatch.chdir("/")
    assert workdir.path == tmp_path / "run"


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_is_no_workdir(tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="workdir must be a folder.*, which is a file or lies"):
        Workdir(tmp_path / "file" / below)


def test_a_read_only_folder_is_no_workdir(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "touch", refuse)  # the user who runs the tests may be root
    with pytest.raises(ValueError, match="can be written to, got .*: Read-only file system"):
        Workdir(tmp_path)
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(ValueError, match="workdir cannot be made: .*Read-only file system"):
        Workdir(tmp_path / "run")


HOLD = """
import sys
from mmkd_jax.training._workdir import Workdir
with Workdir(sys.argv[1]).lock():
    print("in", flush=True)
    sys.stdin.read()
"""


def test_a_lock_says_who_holds_it_and_a_kill_releases_it(tmp_path):
    run = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        assert run.stdout.readline() == "in\n"
        with (
            pytest.raises(WorkdirBusyError) as refused,
            Workdir(tmp_path).lock(),
        ):
            pass
        text = str(refused.value)
        assert f"{tmp_path} is in use by another trainer: process {run.pid} on " in text
        assert str(tmp_path) in text.split("since 2")[1]  # its command
        os.kill(run.pid, signal.SIGKILL)
    with Workdir(tmp_path).lock():
        pass


def test_one_process_locks_it_once_at_a_time(tmp_path):
    with Workdir(tmp_path).lock(), pytest.raises(WorkdirBusyError, match=f"process {os.getpid()}"):
        Workdir(tmp_path).lock().__enter__()
    with pytest.raises(KeyError), Workdir(tmp_path).lock():
        raise KeyError
    with Workdir(tmp_path).lock():
        pass


def test_a_holder_that_has_not_written_yet(tmp_path):
    with open(tmp_path / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(WorkdirBusyError, match="one that has just begun"):
            Workdir(tmp_path).lock().__enter__()


def test_programs_that_a_trainer_starts_do_not_hold_its_lock(tmp_path):
    with Workdir(tmp_path).lock():
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with Workdir(tmp_path).lock():
            pass
    finally:
        child.kill()
        child.wait()


def test_the_config_is_written_sorted(tmp_path):
    Workdir(tmp_path).check_config(CONFIG)
    text = (tmp_path / "config.json").read_text()
    assert json.loads(text) == CONFIG
    assert text.startswith('{\n  "losses": {\n    "token": 1.0,\n    "word": 1.0')
    Workdir(tmp_path).check_config(dict(reversed(CONFIG.items())))
    assert (tmp_path / "config.json").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_another_config_is_refused_with_what_differs(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.check_config(CONFIG | {"old": [1, 2], "nan": float("nan"), "name": "a"})
    other = {
        "losses": {"word": 0.5, "token": 1.0},
        "total_steps": 20,
        "mesh": {"data": 8},
        "new": {"field": None},
        "nan": float("nan"),
        "name": "ä",
    }
    before = workdir.config.read_bytes()
    with pytest.raises(ValueError) as refused:
        workdir.check_config(other, may_change=["total_steps", "mesh"])
    first, *lines, last = str(refused.value).splitlines()
    assert f"config must be the one that {tmp_path} was begun with" in first
    assert lines == [
        "  losses.word: 1.0 → 0.5",
        '  name: "a" → "ä"',
        "  new.field: (not there) → null",
        "  old: [1, 2] → (not there)",
    ]
    assert last == "Choose another workdir, or the old values"
    assert workdir.config.read_bytes() == before


def test_fields_that_may_change_are_written_anew(tmp_path):
    workdir = Workdir(tmp_path)
    workdir.check_config(CONFIG)
    longer = CONFIG | {"total_steps": 20, "mesh": {"data": 4, "model": 2}}
    workdir.check_config(longer, may_change=("total_steps", "mesh"))
    assert json.loads(workdir.config.read_text()) == longer
    with pytest.raises(ValueError, match=r"mesh.data: 4 → -1\n  mesh.model: 2 → \(not there\)"):
        workdir.check_config(CONFIG, may_change=("total_steps", "mes"))


def test_a_config_file_that_was_spoilt(tmp_path):
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json is no json any more"):
        Workdir(tmp_path).check_config(CONFIG)


def test_a_file_is_written_as_a_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "before")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_atomically(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
