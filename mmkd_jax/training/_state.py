"""What a step changes: all that a checkpoint holds of the model."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh, NamedSharding
from jaxtyping import Int

from mmkd_jax.training._mesh import shardings_of

Tree = Any


class TrainState(NamedTuple):
    """Parameters and everything that moves with them.

    Attributes:
      step: how many steps were taken, skipped ones included. Dropout depends on it.
      params: what is trained, and what belongs to the same export.
      stats: running statistics.
      optimizer: the optimiser's state.
      average: the running average of the parameters; an empty tuple if there is none.
    """

    step: Int[Array, ""]
    params: Tree
    stats: Tree
    optimizer: Tree
    average: Tree

    @property
    def best_params(self) -> Tree:
        """What is evaluated and exported: the average where there is one."""
        return self.params if self.average == () else self.average


def new_state(
    params: Tree, stats: Tree, optimizer: optax.GradientTransformation, averaged: bool
) -> TrainState:
    """The state before the first step."""
    average = jax.tree.map(jnp.copy, params) if averaged else ()
    return TrainState(jnp.zeros((), jnp.int32), params, stats, optimizer.init(params), average)


def state_shapes(
    params: Tree,
    stats: Tree,
    optimizer: optax.GradientTransformation,
    averaged: bool,
    known: Mapping[tuple[str, ...], NamedSharding],
    mesh: Mesh,
) -> TrainState:
    """The shapes and shardings of `new_state`. Arguments as there, arrays or their shapes.

    Args:
      known: Shardings of parameters by path, as `shardings_of` takes them.
      mesh: The devices.
    """
    shapes = jax.eval_shape(lambda p, s: new_state(p, s, optimizer, averaged), params, stats)
    return with_shardings(shapes, shardings_of(shapes, known, mesh))


def sharded_state(
    params: Tree,
    stats: Tree,
    optimizer: optax.GradientTransformation,
    averaged: bool,
    shapes: TrainState,
) -> TrainState:
    """The state before the first step, made where it will lie. `params` are given up for it."""
    shardings = jax.tree.map(lambda leaf: leaf.sharding, shapes)
    make = jax.jit(
        lambda p, s: new_state(p, s, optimizer, averaged),
        out_shardings=shardings,
        donate_argnums=0,
    )
    return make(params, stats)


def with_shardings(shapes: Tree, shardings: Tree) -> Tree:
    """Shapes that say where their arrays lie."""
    return jax.tree.map(
        lambda leaf, where: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
        shapes,
        shardings,
    )
