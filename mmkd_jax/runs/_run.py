"""What programs ask of every run, whatever its method."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from mmkd_jax import training
from mmkd_jax.runs._settings import RunSettings

Tree = Any


class Run:
    """A run that needs no other one, and has nothing to prepare; those that do say so."""

    prepared_field = ""  # where a config names what was prepared

    @classmethod
    def of_prepared(cls, settings: Any, folder: Path) -> "Run":
        """The run that prepares into a folder, for others to read."""
        del folder
        raise ValueError(f"method {settings.method!r} has nothing to prepare: train it at once")

    def check(self) -> None:
        """Says what is missing, before anything is trained; all processes of a run call this."""

    def first(self) -> dict[str, Any]:
        """The settings of the runs that must come before, by their folders below this one's."""
        return {}


def abstract_of(
    settings: RunSettings,
    mesh: Mesh,
    method: Any,
    params: Tree,
    batch: Tree,
    split: Mapping[tuple[str, ...], Any],
    stats: Tree,
    frozen: Tree,
) -> training.Abstract:
    """The step and its shapes, once these are known of all that goes into it.

    Args:
      settings: Of the run.
      mesh: The devices.
      method: The loss.
      params: Shapes of the parameters.
      batch: Likewise, with shardings.
      split: Shardings of the parameters that are split over devices, by their paths.
      stats: Shapes of what the method remembers.
      frozen: Likewise, of what it does not change, with shardings.
    """
    optimizer, average = _optimizer(settings, method), settings.optimizer.average
    state = training.state_shapes(params, stats, optimizer, average > 0, split, mesh)
    step = training.make_step(
        method,
        optimizer,
        settings.seed,
        settings.accumulation,
        average,
        training.gatherer(split, mesh),
    )
    return training.Abstract(step, state, frozen, batch, method)


def learning_of(
    settings: RunSettings, shapes: training.Abstract, params: Tree, stats: Tree
) -> dict[str, Any]:
    """What a `training.Task` has of the method, its step, and the state before the first one."""
    averaged = settings.optimizer.average > 0
    optimizer = _optimizer(settings, shapes.method)
    return {
        "method": shapes.method,
        "step": shapes.jitted(),
        "state": training.sharded_state(params, stats, optimizer, averaged, shapes.state),
        "learning_rate": training.learning_rate(
            settings.optimizer, settings.total_steps, settings.batch_size
        ),
    }


def _optimizer(settings: RunSettings, method: Any) -> Any:
    return training.make_optimizer(
        settings.optimizer, settings.total_steps, settings.batch_size, method.is_trained
    )
