"""The training step: gradients of a method, in one piece or several, and what follows from them."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array

from mmkd_jax.methods import Loss, Method
from mmkd_jax.training._state import TrainState

Tree = Any


@dataclasses.dataclass(frozen=True)
class Step:
    """The function of a step: a state, what is frozen, and a batch go in.

    Attributes:
      run: Takes the seed behind these three. Compiled so, it serves all seeds.
      seed: Of dropout, together with the step's number.
    """

    run: Callable[[TrainState, Tree, Tree, Any], tuple[TrainState, dict[str, Array]]]
    seed: int

    def __call__(
        self, state: TrainState, frozen: Tree, batch: Tree
    ) -> tuple[TrainState, dict[str, Array]]:
        return self.run(state, frozen, batch, self.seed)


# By this name profiles and compiled programs show what compares examples with one another.
ACROSS_EXAMPLES = "across_examples"


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccumulationSettings:
    """How a batch that is too large for the memory is taken in pieces.

    Sums over examples come out as those of one big batch either way. What compares examples (the
    structure level, BatchNorm) sees

    * "piece": the examples of a piece, as if it were the batch. Costs nothing.
    * "batch": all examples, by going over the pieces twice: first for each example's vectors, and
      then, once it is known how the loss changes with each vector, for the gradients. Costs a
      forward pass more.

    Attributes:
      pieces: how many; they divide the batch.
      across: what is compared.
    """

    pieces: int = 1
    across: Literal["piece", "batch"] = "piece"

    def __post_init__(self):
        if self.pieces < 1:
            raise ValueError(f"pieces must be at least 1, got {self.pieces}")
        if self.across not in ("piece", "batch"):
            raise ValueError(f"across must be piece or batch, got {self.across!r}")


def make_step(
    method: Method,
    optimizer: optax.GradientTransformation,
    seed: int,
    accumulation: AccumulationSettings | None = None,
    average: float = 0.0,
    gather: Callable[[Tree], Tree] = lambda params: params,
) -> Step:
    """The function of a step, to be jitted: a state, what is frozen, and a batch go in.

    A step whose loss or gradient is not finite changes nothing but the number of steps; its
    metrics say ``finite`` = 0.

    Args:
      method: The loss.
      optimizer: What makes updates of gradients.
      seed: Of dropout, together with the step's number.
      accumulation: In how many pieces; one, if not given.
      average: Decay of the running average of the parameters.
      gather: Applied to the parameters before they are used, for those that are split.
    """
    gradients = _gradients_of(method, accumulation or AccumulationSettings(), gather)

    def advance(state: TrainState, found: Tree, stats: Tree) -> TrainState:
        updates, changed = optimizer.update(found, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        moved = (
            jax.tree.map(
                lambda old, new: average * old + (1 - average) * new, state.average, params
            )
            if average
            else ()
        )
        return TrainState(state.step, params, stats, changed, moved)

    def step(
        state: TrainState, frozen: Tree, batch: Tree, seed: Any
    ) -> tuple[TrainState, dict[str, Array]]:
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        found, metrics, stats = gradients(state.params, state.stats, frozen, batch, key, state.step)
        norm = _norm(found)
        finite = jnp.isfinite(metrics["loss"]) & jnp.isfinite(norm)
        # In a branch, XLA writes the new state over the old one. A `where` of both, leaf by leaf,
        # has it copy the moments first, and takes several times as long.
        kept = jax.lax.cond(finite, advance, lambda state, *_: state, state, found, stats)
        metrics |= {"gradient_norm": norm, "finite": finite.astype(jnp.float32)}
        return kept._replace(step=state.step + 1), metrics

    return Step(step, seed)


def loss_of(
    method: Method,
    params: Tree,
    stats: Tree,
    frozen: Tree,
    batch: Tree,
    key: Array | None,
    step: Array | int = 0,
) -> tuple[Array, tuple[dict[str, Array], Tree]]:
    """The loss of a batch in one piece, its metrics, and new statistics."""
    examples = method.of_examples(params, frozen, batch, method.totals(batch, step), key)
    whole = _of_batch(method, params, stats, frozen, examples.passed_on)
    loss = examples.value + whole.value
    return loss, ({"loss": loss} | examples.metrics | whole.metrics, whole.passed_on)


def _of_batch(method: Method, params: Tree, stats: Tree, frozen: Tree, vectors: Tree) -> Loss:
    with jax.named_scope(ACROSS_EXAMPLES):
        return method.of_batch(params, stats, frozen, vectors)


def _gradients_of(
    method: Method, accumulation: AccumulationSettings, gather: Callable[[Tree], Tree]
) -> Callable:
    pieces, across = accumulation.pieces, accumulation.across

    def whole(params, stats, frozen, batch, key, step):
        def loss(params):
            return loss_of(method, gather(params), stats, frozen, batch, key, step)

        (_, (metrics, stats)), found = jax.value_and_grad(loss, has_aux=True)(params)
        return found, metrics, stats

    def piece_by_piece(params, stats, frozen, batch, key, step):
        totals = method.totals(batch, step)

        def loss(params, stats, piece, key):
            params = gather(params)
            examples = method.of_examples(params, frozen, piece, totals, key)
            together = _of_batch(method, params, stats, frozen, examples.passed_on)
            value = examples.value + together.value / pieces
            shares = jax.tree.map(lambda metric: metric / pieces, together.metrics)
            metrics = {"loss": value} | examples.metrics | shares
            return value, (metrics, together.passed_on)

        def add(stats, piece, key):
            (_, (metrics, stats)), found = jax.value_and_grad(loss, has_aux=True)(
                params, stats, piece, key
            )
            return stats, (found, metrics)

        stats, (found, metrics) = _over_pieces(add, stats, batch, pieces, key)
        return found, metrics, stats

    def twice(params, stats, frozen, batch, key, step):
        totals = method.totals(batch, step)

        def examples(params, piece, key):
            return method.of_examples(gather(params), frozen, piece, totals, key)

        def vectors_of(_, piece, key):
            return (), examples(params, piece, key).passed_on

        vectors = _collect(vectors_of, batch, pieces, key)

        def together(params, vectors):
            found = _of_batch(method, gather(params), stats, frozen, vectors)
            return found.value, (found.metrics, found.passed_on)

        of_batch = jax.value_and_grad(together, argnums=(0, 1), has_aux=True)
        (value, (metrics, changed)), (found, pulls) = of_batch(params, vectors)

        def add(carry, inputs, key):
            piece, pull = inputs

            def loss(params):
                share = examples(params, piece, key)
                along = jax.tree.map(lambda v, p: (v * p).sum(), share.passed_on, pull)
                value = share.value + sum(jax.tree.leaves(along))
                return value, {"loss": share.value} | share.metrics

            (_, metrics), found = jax.value_and_grad(loss, has_aux=True)(params)
            return carry, (found, metrics)

        _, (more, shares) = _over_pieces(add, (), (batch, pulls), pieces, key)
        metrics = shares | metrics
        metrics["loss"] = shares["loss"] + value
        return jax.tree.map(jnp.add, found, more), metrics, changed

    if pieces == 1:
        return whole
    return piece_by_piece if across == "piece" else twice


def _over_pieces(
    add: Callable, carry: Tree, batch: Tree, pieces: int, key: Array
) -> tuple[Tree, Tree]:
    """Runs over the pieces of a batch, and sums up what each gives."""

    def body(carry, inputs):
        (inner, sums), (number, piece) = carry, inputs
        inner, found = add(inner, piece, jax.random.fold_in(key, number))
        return (inner, jax.tree.map(jnp.add, sums, found)), None

    split = _split(batch, pieces)
    first = jax.tree.map(lambda rows: rows[0], split)
    shapes = jax.eval_shape(lambda carry: add(carry, first, key)[1], carry)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    (carry, sums), _ = jax.lax.scan(body, (carry, zeros), (jnp.arange(pieces), split))
    return carry, sums


def _collect(of_piece: Callable, batch: Tree, pieces: int, key: Array) -> Tree:
    """Runs over the pieces of a batch, and puts together what each example gives."""

    def body(_, inputs):
        number, piece = inputs
        return of_piece((), piece, jax.random.fold_in(key, number))

    _, found = jax.lax.scan(body, (), (jnp.arange(pieces), _split(batch, pieces)))
    return jax.tree.map(lambda rows: jnp.moveaxis(rows, 0, 1).reshape(-1, *rows.shape[2:]), found)


def _split(batch: Tree, pieces: int) -> Tree:
    """Every so manieth example into the same piece, so that each device keeps its own."""

    def of(rows: Array) -> Array:
        if len(rows) % pieces:
            raise ValueError(f"pieces must divide a batch of {len(rows)}, got {pieces}")
        return jnp.moveaxis(rows.reshape(-1, pieces, *rows.shape[1:]), 1, 0)

    return jax.tree.map(of, batch)


def _norm(tree: Tree) -> Array:
    return jnp.sqrt(sum(jnp.square(leaf).sum() for leaf in jax.tree.leaves(tree)))
