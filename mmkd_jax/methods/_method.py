"""What the trainer asks of a method."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

from jax import Array
from jaxtyping import Float, Int

Tree = Any  # nested dicts of arrays


class Loss(NamedTuple):
    """What one part of a method has found.

    Attributes:
      value: what is minimised.
      metrics: scalars by name, to be logged; among them the loss of each level.
      passed_on: `Method.of_examples`: what `Method.of_batch` needs of each example, with the
        examples in the first axis. `Method.of_batch`: the new statistics.
    """

    value: Float[Array, ""]
    metrics: dict[str, Float[Array, ""]]
    passed_on: Tree


@runtime_checkable
class Method(Protocol):
    """The loss of a batch, in two halves, so that a batch may be taken in several pieces.

    What an example contributes by itself adds up over pieces. What compares examples with one
    another (a batch's statistics, the similarities within a batch) is computed once for all of
    them, from a few vectors.
    """

    def totals(self, batch: Any, step: Int[Array, ""] | int) -> Tree:
        """What all pieces of a batch share.

        Args:
          batch: All of it.
          step: How many steps were taken before, for what changes as training goes on.

        Returns:
          What sums over the whole batch are divided by, above all.
        """
        ...

    def of_examples(
        self, params: Tree, frozen: Tree, batch: Any, totals: Tree, key: Array | None
    ) -> Loss:
        """The share of these examples, which may be a piece of the batch.

        Args:
          params: What is trained.
          frozen: What is not: the teacher, above all.
          batch: The examples.
          totals: Of the whole batch.
          key: For dropout; None for none.
        """
        ...

    def of_batch(self, params: Tree, stats: Tree, frozen: Tree, vectors: Tree) -> Loss:
        """What the examples' vectors, put together, contribute."""
        ...

    def flops(self, batch: Any) -> float:
        """Of a step on this batch, by formula, padding left out."""
        ...

    def tokens(self, batch: Any) -> int:
        """How many tokens the student reads in this batch, padding left out."""
        ...
