"""Checkpoints that are written while training goes on, and read only if they are whole."""

import contextlib
import functools
import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, SupportsFloat

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from jax.sharding import SingleDeviceSharding

from mmkd_jax.training._agreement import DamagedError, in_short, on_all, same_everywhere
from mmkd_jax.training._checkpoint_files import (
    RECORD,
    STATE,
    check_fingerprints,
    check_same_leaves,
    make_record,
    move_aside,
    read_record,
    steps_in,
    unfinished_in,
)
from mmkd_jax.training._fingerprints import fingerprints, named_leaves
from mmkd_jax.training._quiet import keep_orbax_quiet

_log = logging.getLogger(__name__)
_FULL = ("No space left", "ENOSPC", "EDQUOT", "EFBIG", "Disk quota", "File too large")


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or none of those that are there can be read."""


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
      step: that it was saved at.
      state: of the structure that was asked for.
      extra: as it was saved.
    """

    step: int
    state: Any
    extra: dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder, one folder a step, named by the bare number.

    All processes of a run call `save`, `restore`, `restore_step`, `wait` and `close`, each with
    its own part of the arrays, on a folder that all of them see. Only one run at a time may save;
    others may read meanwhile.

    A checkpoint gets its name when it is whole, so a kill at any moment costs at most the save that
    was under way. Whatever happens to its files later is found when it is read: by their own
    checks, or because the values' fingerprints are not those that were saved.

    Example:
      >>> import tempfile, jax, jax.numpy as jnp
      >>> from mmkd_jax.training._checkpoints import Checkpoints
      >>> state = {"weights": jnp.arange(3.0)}
      >>> folder = tempfile.TemporaryDirectory()
      >>> with Checkpoints(folder.name, best="accuracy") as checkpoints:
      ...     _ = checkpoints.save(10, state, {"examples": 320}, {"accuracy": 0.5})
      ...     step, state, extra = checkpoints.restore(jax.eval_shape(lambda: state))
      >>> print(step, state["weights"], extra)
      10 [0. 1. 2.] {'examples': 320}
      >>> folder.cleanup()

    Args:
      folder: is made when something is saved.
      keep: how many of the newest are kept.
      best: the name of a metric; the checkpoint that has its best value is kept too.
      highest: whether more of it is better.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        keep: int = 3,
        best: str | None = None,
        highest: bool = True,
    ):
        if keep < 1:
            raise ValueError(f"keep must be at least 1, got {keep}")
        self._folder = Path(os.path.abspath(folder))
        self._keep, self._best, self._highest = keep, best, highest
        self._manager: ocp.CheckpointManager | None = None
        self._saving: int | None = None  # the newest step that this object was asked to save
        self._values: dict[int, float | None] = {}  # of the best metric, by step

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        try:
            self.close()
        except CheckpointError:
            if kind is None:
                raise
            # What is on its way out already says more than what follows from it.
            _log.exception("the last checkpoint was not written")

    def save(
        self,
        step: int,
        state: Any,
        extra: dict[str, Any],
        metrics: Mapping[str, SupportsFloat] | None = None,
    ) -> bool:
        """Writes a checkpoint in the background.

        Returns as soon as the arrays are copied off the devices, so that they may be donated; waits
        for an earlier save that is still being written.

        Args:
          step: beyond those that are there.
          state: a tree of arrays.
          extra: what else is to be restored: whatever json holds. Floats survive exactly.
          metrics: of this state, with the one that `best` names. None if they are not known.

        Returns:
          False if this step has been saved already, which then is left as it is.

        Raises:
          CheckpointError: if this or the save before it failed.
          ValueError: if there are later checkpoints, or an argument cannot be saved.
        """
        self.wait()
        latest = max(same_everywhere(self._steps_and_saving()), default=None)
        if latest is not None and step <= latest:
            if step == latest:
                return False
            raise ValueError(
                f"step must be beyond the newest checkpoint in {self._folder}, {latest}, got "
                f"{step}. To go on from an earlier one, move those after it out of the folder"
            )
        _check_arrays(state)
        self._values[step] = self._value(metrics)
        record = make_record(state, fingerprints(state), extra, metrics)
        self._saving = step
        try:
            if self._manager is None:
                self._manager = self._open()
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    **{
                        STATE: ocp.args.StandardSave(named_leaves(state)),
                        RECORD: ocp.args.JsonSave(record),
                    }
                ),
                force=True,  # when to save is the caller's choice
            )
        except Exception as error:
            self._fail(error)
        return True

    def restore(self, abstract_state: Any) -> Restored | None:
        """The newest checkpoint that is whole.

        Newer ones that are damaged are told about in warnings, and moved aside to
        ``corrupt-STEP``.

        Args:
          abstract_state: a tree of ``jax.ShapeDtypeStruct`` as of what was saved. Arrays are placed
            by their shardings, whatever those were that they were saved under.

        Returns:
          None if there is no checkpoint.

        Raises:
          CheckpointError: if there are checkpoints, and none of them can be read. They are left
            where they are.
          ValueError: if the newest one that is whole is of another structure.
        """
        self.wait()
        damaged: dict[int, str] = {}
        for step in same_everywhere(steps_in(self._folder)[::-1]):
            try:
                restored = self._read(step, abstract_state)
            except DamagedError as error:
                damaged[step] = str(error)
                continue
            if damaged:
                self._move_aside(damaged, step)
            return restored
        if damaged:
            faults = "".join(f"\n  step {step}: {reason}" for step, reason in damaged.items())
            raise CheckpointError(
                f"there are checkpoints in {self._folder}, but none can be read:{faults}\n"
                "Bring one back from a copy, or move them away to start anew"
            )
        return None

    def restore_step(self, step: int, abstract_state: Any) -> Restored:
        """The checkpoint of this step.

        Args:
          step: one of `steps`.
          abstract_state: as for `restore`.

        Raises:
          CheckpointError: if it is damaged. It is left where it is.
          ValueError: if it is not there, or of another structure.
        """
        self.wait()
        if step not in steps_in(self._folder):
            there = ", ".join(map(str, steps_in(self._folder))) or "none"
            raise ValueError(f"step must be one of those in {self._folder}: {there}, got {step}")
        try:
            return self._read(step, abstract_state)
        except DamagedError as error:
            raise CheckpointError(
                f"the checkpoint of step {step} cannot be read: {error}"
            ) from error

    def steps(self) -> list[int]:
        """The steps of the checkpoints that are written to the end, in order."""
        self._raise_if_failed()
        return steps_in(self._folder)

    def latest(self) -> int | None:
        """The newest step that is saved, or being saved; None if there is none."""
        self._raise_if_failed()
        return max(self._steps_and_saving(), default=None)

    def best(self) -> int | None:
        """The step with the best metric, the later one of two; None if none has it."""
        self._raise_if_failed()
        return self._best_of(steps_in(self._folder))

    def wait(self) -> None:
        """Returns when what was saved is written.

        Raises:
          CheckpointError: if it could not be written.
        """
        if self._manager is None:
            return
        try:
            self._manager.wait_until_finished()
        except Exception as error:
            self._fail(error)

    def close(self) -> None:
        """Waits, and stops the threads that write."""
        self.wait()
        manager, self._manager = self._manager, None
        if manager is not None:
            manager.close()

    def _open(self) -> ocp.CheckpointManager:
        """Orbax's manager, for writing. What interrupted saves have left is removed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in unfinished_in(self._folder):
            _log.info("%s is what an interrupted save has left; it is removed", self._folder / name)
        keep_orbax_quiet()
        options = ocp.CheckpointManagerOptions(
            preservation_policy=_Preserved(self._kept),
            cleanup_tmp_directories=True,
            save_root_metadata=False,
            lightweight_initialize=True,  # a damaged file must not be in the way of writing others
        )
        return ocp.CheckpointManager(self._folder, options=options, item_names=(STATE, RECORD))

    def _steps_and_saving(self) -> list[int]:
        return steps_in(self._folder) + ([] if self._saving is None else [self._saving])

    def _raise_if_failed(self) -> None:
        """Raises what has gone wrong, and waits for nothing."""
        if self._manager is not None and not self._manager.is_saving_in_progress():
            self.wait()

    def _fail(self, error: Exception) -> NoReturn:
        """Tells what became of a save, and gets ready for another one."""
        step, self._saving = self._saving, None
        manager, self._manager = self._manager, None
        if manager is not None:
            with contextlib.suppress(Exception):
                manager.close()
        full = any(sign in str(error) for sign in _FULL)
        last = max(steps_in(self._folder), default=None)
        kept = "there is no other" if last is None else f"the newest one that is whole is of {last}"
        raise CheckpointError(
            f"the checkpoint of step {step} could not be written to {self._folder}, {kept}"
            f"{'. The disk is full: make room, and start again' if full else ''}: {in_short(error)}"
        ) from None  # Orbax's traceback is hundreds of lines of threads that wait for each other

    def _read(self, step: int, abstract_state: Any) -> Restored:
        where = self._folder / str(step)
        record = on_all(functools.partial(read_record, self._folder, step))
        wanted = named_leaves(abstract_state)
        check_same_leaves(record["leaves"], wanted, where)
        found = on_all(lambda: _read_arrays(where / STATE, wanted))
        on_all(lambda: check_fingerprints(record["leaves"], fingerprints(found), where))
        state = jax.tree.unflatten(jax.tree.structure(abstract_state), [found[k] for k in wanted])
        return Restored(step, state, record["extra"])

    def _move_aside(self, damaged: Mapping[int, str], taken: int) -> None:
        self.close()  # the manager believes that they are there
        self._saving = None
        for step, reason in damaged.items():
            place: object = f"{self._folder}/corrupt-{step}"
            if jax.process_index() == 0:
                place = move_aside(self._folder, step)
            _log.warning(
                "the checkpoint of step %s is damaged and was moved to %s; that of step %s is "
                "taken instead. What was wrong: %s",
                *(step, place, taken, reason),
            )
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices("moved damaged checkpoints aside")

    def _kept(self, steps: Sequence[int]) -> set[int | None]:
        return {*steps[-self._keep :], self._best_of(steps)}

    def _best_of(self, steps: Sequence[int]) -> int | None:
        if self._best is None:
            return None
        values = [(value, step) for step in steps if (value := self._value_at(step)) is not None]
        sign = 1 if self._highest else -1
        return max(values, key=lambda pair: (sign * pair[0], pair[1]), default=(None, None))[1]

    def _value_at(self, step: int) -> float | None:
        if step not in self._values:
            try:
                self._values[step] = self._value(read_record(self._folder, step)["metrics"])
            except (OSError, ValueError):
                self._values[step] = None
        return self._values[step]

    def _value(self, metrics: Mapping[str, SupportsFloat] | None) -> float | None:
        """The metric to go by, None if there is none that can be compared."""
        if metrics is None or self._best is None:
            return None
        if self._best not in metrics:
            raise ValueError(
                f"metrics must have {self._best!r}, by which the best checkpoint is found, got "
                f"{', '.join(metrics) or 'none'}"
            )
        value = float(metrics[self._best])
        return None if math.isnan(value) else value


class _Preserved:
    """What Orbax asks which checkpoints are to stay."""

    def __init__(self, kept: Callable[[Sequence[int]], set[int | None]]):
        self._kept = kept

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        del context
        kept = self._kept([checkpoint.step for checkpoint in checkpoints])
        return [checkpoint.step in kept for checkpoint in checkpoints]


def _read_arrays(folder: Path, wanted: Mapping[str, Any]) -> dict[str, jax.Array]:
    placed = ocp.args.StandardRestore({name: _placed(leaf) for name, leaf in wanted.items()})
    # The handler and not the manager, which has the processes wait for each other even if one of
    # them fails.
    handler = ocp.StandardCheckpointHandler()
    keep_orbax_quiet()
    try:
        return handler.restore(folder, args=placed)
    except Exception as error:
        raise ValueError(f"{folder} is damaged: {in_short(error)}") from None
    finally:
        handler.close()


def _check_arrays(state: Any) -> None:
    for name, leaf in named_leaves(state).items():
        if not isinstance(leaf, jax.Array) or jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise ValueError(
                f"state must be a tree of jax arrays, and of random keys their key_data, got "
                f"{getattr(leaf, 'dtype', type(leaf).__name__)} at {name}"
            )


def _placed(leaf: Any) -> jax.ShapeDtypeStruct:
    sharding = leaf.sharding or SingleDeviceSharding(jax.local_devices()[0])
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
