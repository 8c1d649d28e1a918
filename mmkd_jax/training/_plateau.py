"""What follows from evaluations that show no progress: slower steps, and an early end.

All that it depends on is part of the optimiser's state, and so of checkpoints: a run that was
killed takes the same decisions again.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jaxtyping import Float, Int

Tree = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class PlateauSettings:
    """What happens when a run's main score has not become better for some evaluations.

    Attributes:
      patience: After so many, the learning rate is multiplied by `factor`, on top of its schedule;
        0 for never.
      factor: Below 1.
      least: The run ends when the learning rate has been multiplied down to less than this.
      stop_after: The run ends after so many; 0 for never.
    """

    patience: int = 0
    factor: float = 0.5
    least: float = 1e-3
    stop_after: int = 0

    def __post_init__(self):
        if self.patience < 0 or self.stop_after < 0:
            raise ValueError(
                "patience and stop_after must be at least 0, got "
                f"{self.patience} and {self.stop_after}"
            )
        if not 0 < self.factor < 1 or not 0 <= self.least < 1:
            raise ValueError(
                f"factor must lie in (0, 1) and least in [0, 1), got {self.factor} and {self.least}"
            )

    @property
    def is_used(self) -> bool:
        """Whether anything ever happens."""
        return self.patience > 0 or self.stop_after > 0


class PlateauState(NamedTuple):
    """How evaluations have gone.

    Attributes:
      scale: What updates are multiplied by.
      best: The best score; -inf before the first.
      waited: Evaluations since it, or since the scale was changed.
      idle: Evaluations since it.
    """

    scale: Float[Array, ""]
    best: Float[Array, ""]
    waited: Int[Array, ""]
    idle: Int[Array, ""]


def scale_by_plateau() -> optax.GradientTransformation:
    """Multiplies updates by the scale of a `PlateauState`, which `observe` changes."""

    def init(params: Tree) -> PlateauState:
        del params
        zero = jnp.zeros((), jnp.int32)
        return PlateauState(jnp.ones(()), jnp.full((), -jnp.inf), zero, zero)

    def update(updates: Tree, state: PlateauState, params: Tree = None) -> tuple:
        del params
        return jax.tree.map(lambda leaf: leaf * state.scale.astype(leaf.dtype), updates), state

    return optax.GradientTransformation(init, update)


def observe(settings: PlateauSettings, optimizer: Tree, score: float) -> Tree:
    """The optimiser's state after an evaluation."""

    def new(state: Any) -> Any:
        return _placed(_after(settings, _read(state), score), state) if _is_state(state) else state

    return jax.tree.map(new, optimizer, is_leaf=_is_state)


def scale_of(optimizer: Tree) -> float:
    """What the learning rate is multiplied by."""
    states = _states(optimizer)
    return float(_read(states[0]).scale) if states else 1.0


def is_over(settings: PlateauSettings, optimizer: Tree) -> bool:
    """Whether there is no use in going on."""
    states = [_read(state) for state in _states(optimizer)]
    return any(
        state.scale < settings.least
        or (settings.stop_after > 0 and state.idle >= settings.stop_after)
        for state in states
    )


def _after(settings: PlateauSettings, state: PlateauState, score: float) -> PlateauState:
    score = np.float32(score)
    if score > state.best:
        return state._replace(best=score, waited=np.int32(0), idle=np.int32(0))
    waited, scale = state.waited + 1, state.scale
    if settings.patience and waited >= settings.patience:
        waited, scale = 0, scale * np.float32(settings.factor)
    return PlateauState(scale, state.best, np.int32(waited), np.int32(state.idle + 1))


def _is_state(node: Any) -> bool:
    return isinstance(node, PlateauState)


def _states(optimizer: Tree) -> list[PlateauState]:
    leaves = jax.tree.leaves(optimizer, is_leaf=_is_state)
    return [leaf for leaf in leaves if _is_state(leaf)]


def _read(state: PlateauState) -> PlateauState:
    """The values, which are the same on all devices."""
    return PlateauState(*(np.asarray(leaf.addressable_data(0)) for leaf in state))


def _placed(values: PlateauState, like: PlateauState) -> PlateauState:
    return PlateauState(
        *(
            jax.make_array_from_callback((), old.sharding, lambda _, v=value: np.asarray(v))
            for value, old in zip(values, like, strict=True)
        )
    )
