"""The folder of a run: whose it is, what config it belongs to, and what is where in it."""

import contextlib
import datetime
import fcntl
import json
import os
import shlex
import socket
import sys
import time
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mmkd_jax.training._differences import differences


class WorkdirError(ValueError):
    """The folder cannot be what it is wanted for; the message says why, and what to do."""


class WorkdirBusyError(WorkdirError):
    """Another trainer is at work in the folder."""


class Workdir:
    """A run's folder; it is made if it is not there.

    Example:
      >>> import tempfile
      >>> from mmkd_jax.training._workdir import Workdir
      >>> folder = tempfile.TemporaryDirectory()
      >>> workdir = Workdir(folder.name + "/run")
      >>> with workdir.lock():
      ...     workdir.check_config({"losses": {"word": 1.0}, "total_steps": 10})
      >>> print(workdir.metrics.name, workdir.checkpoints.name)
      metrics.jsonl checkpoints
      >>> workdir.check_config({"losses": {"word": 0.5}, "total_steps": 10})
      Traceback (most recent call last):
      ...
      mmkd_jax.training._workdir.WorkdirError: ... losses.word: 1.0 → 0.5...
      >>> folder.cleanup()

    Args:
      path: of the folder.

    Raises:
      WorkdirError: if it cannot be made, or nothing can be written there.
    """

    def __init__(self, path: str | os.PathLike[str]):
        if "://" in os.fspath(path):
            raise WorkdirError(
                f"workdir must be a folder, got {path}: mount the bucket, as the launchers for "
                "clouds do (launch/README.md)"
            )
        self.path = Path(path).absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise WorkdirError(
                f"workdir must be a folder, or a path at which one can be made, got {self.path}, "
                "which is a file or lies below one"
            ) from None
        except OSError as error:
            raise WorkdirError(f"workdir cannot be made: {error}") from error
        # Asking for permission is not enough: on a read-only file system everyone has it.
        probe = self.path / f".writable-{uuid.uuid4().hex}"
        try:
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise WorkdirError(
                f"workdir must be a folder that can be written to, got {self.path}: "
                f"{error.strerror}. Choose another one"
            ) from error

    @property
    def config(self) -> Path:
        """The config as it was run."""
        return self.path / "config.json"

    @property
    def checkpoints(self) -> Path:
        """A folder a step."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """A line of json a step: what repeats exactly."""
        return self.path / "metrics.jsonl"

    @property
    def throughput(self) -> Path:
        """A line of json a step: what depends on the machine."""
        return self.path / "throughput.jsonl"

    @property
    def tensorboard(self) -> Path:
        """What TensorBoard reads."""
        return self.path / "tensorboard"

    @property
    def results(self) -> Path:
        """What the run has come to."""
        return self.path / "results.json"

    @property
    def student(self) -> Path:
        """The student as a Hugging Face folder."""
        return self.path / "student"

    @property
    def prepared(self) -> Path:
        """Tokenised data."""
        return self.path / "prepared"

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other trainers out, until it is left or the process ends, be it by a kill.

        Of the processes of one run, the first takes it for all.

        Raises:
          WorkdirBusyError: if another one is in; says which.
        """
        path = self.path / ".lock"
        # Not inherited by programs that this one starts: they may outlive it.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):  # the latter on some network file systems
                raise WorkdirBusyError(
                    f"{self.path} is in use by another trainer: {_holder(path)}. Wait for it, stop "
                    "it, or choose another workdir"
                ) from None
            except OSError as error:
                raise OSError(
                    f"{path} cannot be locked: {error.strerror}. The file system must know flock"
                ) from error
            # The file stays when the lock goes: a lock on a file that was removed meanwhile keeps
            # nobody out.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(_this_process()).encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def check_config(self, config: dict[str, Any], may_change: Collection[str] = ()) -> None:
        """Writes the config down the first time, and compares it with what is written later.

        Args:
          config: what json can hold.
          may_change: fields that may have another value than before, by dotted names; a name
            stands for all that is below it too.

        Raises:
          WorkdirError: if other fields differ; it names them, with the old value and the new one.
        """
        text = _config_text(config)
        if not self.config.exists() or compare_config(self.path, config, may_change):
            write_atomically(self.config, text)

    def check_shared(self, seconds: float = 30.0) -> None:
        """Makes sure that a process sees what the first one of the run has written.

        Args:
          seconds: to wait for it, as some network file systems take their time.

        Raises:
          WorkdirError: if this is a folder of this machine's own.
        """
        until = time.monotonic() + seconds
        while not self.config.exists():
            if time.monotonic() > until:
                raise WorkdirError(
                    f"workdir must be on a file system that all processes share, but {self.path} "
                    f"on {socket.gethostname()} lacks the config.json that process 0 has written"
                )
            time.sleep(0.1)


def compare_config(folder: Path, config: dict[str, Any], may_change: Collection[str] = ()) -> bool:
    """Compares a config with the one that a workdir was begun with, and writes nothing.

    Args:
      folder: the workdir.
      config: what json can hold.
      may_change: as for `Workdir.check_config`.

    Returns:
      Whether anything differs that may.

    Raises:
      WorkdirError: if anything else differs; it names that, with the old value and the new one.
      FileNotFoundError: if there is no config.
    """
    path = folder / "config.json"
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WorkdirError(
            f"{path} is no json any more: {error}. Bring it back from a copy, or choose another "
            "workdir"
        ) from error
    changes = differences(before, json.loads(_config_text(config)))
    refused = [line for name, line in changes.items() if not _is_among(name, may_change)]
    if refused:
        raise WorkdirError(
            f"config must be the one that {folder} was begun with, but differs (then → now):"
            "\n  " + "\n  ".join(refused) + "\nChoose another workdir, or the old values"
        )
    return bool(changes)


def _config_text(config: dict[str, Any]) -> str:
    return json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def write_atomically(path: Path, text: str) -> None:
    """Writes a text file that is there as a whole or not at all, whenever a kill may come."""
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _this_process() -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join(sys.orig_argv),
    }


def _holder(lock: Path) -> str:
    try:
        holder = json.loads(lock.read_text(encoding="utf-8"))
        return "process {pid} on {host}, since {since}: {command}".format(**holder)
    except (OSError, ValueError, KeyError, TypeError):
        return "one that has just begun"  # and has not written yet who it is


def _is_among(name: str, names: Collection[str]) -> bool:
    return any(name == other or name.startswith(f"{other}.") for other in names)
