"""What is handed to the training loop, and the shapes of it."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from mmkd_jax.data import BatchSource
from mmkd_jax.methods import Method
from mmkd_jax.training._plateau import PlateauSettings
from mmkd_jax.training._state import TrainState
from mmkd_jax.training._step import Step

Tree = Any


class Abstract(NamedTuple):
    """A step and the shapes and shardings of what goes into it: enough to compile it.

    Attributes:
      step: a pure function of the three others.
      state: changes.
      frozen: does not.
      batch: comes anew.
      method: whose loss the step brings down.
    """

    step: Step
    state: TrainState
    frozen: Tree
    batch: Tree
    method: Method

    def lower(self) -> Any:
        """The step, lowered as it will run: ``.compile()`` compiles it."""
        return self.jitted().lower(self.state, self.frozen, self.batch)

    def jitted(self) -> "Jitted":
        """The step as it runs: the old state's memory becomes the new state's."""
        shardings = jax.tree.map(lambda leaf: leaf.sharding, self.state)
        run = jax.jit(self.step.run, donate_argnums=0, out_shardings=(shardings, None))
        return Jitted(run, np.uint32(self.step.seed % 2**32))


class Jitted(NamedTuple):
    """A jitted step with its seed, which is an argument: what is compiled serves all seeds.

    Attributes:
      run: Of state, frozen, batch and seed.
      seed: Of dropout.
    """

    run: Any
    seed: np.uint32

    def __call__(self, state: TrainState, frozen: Tree, batch: Tree) -> tuple[TrainState, Tree]:
        return self.run(state, frozen, batch, self.seed)

    def trace(self, state: TrainState, frozen: Tree, batch: Tree) -> Any:
        """As that of what `jax.jit` returns."""
        return self.run.trace(state, frozen, batch, self.seed)

    def lower(self, state: TrainState, frozen: Tree, batch: Tree) -> Any:
        """Likewise."""
        return self.run.lower(state, frozen, batch, self.seed)


@dataclasses.dataclass(frozen=True)
class Task:
    """What is to be trained, on what, and how it is judged.

    Attributes:
      method: The loss.
      step: Jitted.
      state: Before the first step. The loop gives its memory away.
      frozen: What the step needs and does not change.
      source: The batches, this process's part of them.
      parts: How many equal parts make up a batch.
      mesh: The devices.
      ahead: Threads, waiting batches and worker processes, as `mmkd_jax.data.Batches` takes them.
      dtype: Of products, by which the devices' best speed is known.
      learning_rate: Of a step, for the log.
      evaluate: Scores by name, from a state; none if there is nothing to be judged on.
      best: The score that says which checkpoint is best; the higher the better.
      total_steps: The length of the run, where that follows from its data; None where the settings
        say it.
      ends_with_best: Whether what comes of the run is its best state instead of its last one. Each
        evaluation that shows a best one is then followed by a checkpoint.
      plateau: What happens when `best` does not become better.
    """

    method: Method
    step: Callable
    state: TrainState
    frozen: Tree
    source: BatchSource
    parts: int
    mesh: Mesh
    ahead: tuple[int, int, int]
    dtype: str
    learning_rate: Callable[[Any], Any]
    evaluate: Callable[[TrainState], dict[str, float]] | None = None
    best: str | None = None
    total_steps: int | None = None
    ends_with_best: bool = False
    plateau: PlateauSettings = PlateauSettings()
