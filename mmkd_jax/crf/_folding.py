"""vmap by making the batch longer.

Under `jax.vmap` a `lax.cond` becomes a select that runs both of its branches. The routines here
take one predicate for the whole batch, so a mapped axis is folded into the batch axis instead, and
a vmapped call costs what a batched call costs.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap


def folds_vmap(function: Callable) -> Callable:
    """Makes ``function`` fold mapped axes into its batch axis.

    Every array it takes and returns leads with the batch axis B; the first argument says what B
    is. Only the second, the transitions, may lead with 1 instead, shared by all; where they are
    not mapped they stay shared, also if B itself is 1.
    """
    folded = custom_vmap(function)

    @folded.def_vmap
    def rule(size, mapped, *arguments):
        leaves, tree = jax.tree.flatten(arguments)
        flags = jax.tree.leaves(mapped)
        batch = leaves[0].shape[1 if flags[0] else 0]

        def fold(index, leaf, is_mapped):
            if index == 1 and not is_mapped and leaf.shape[0] == 1:
                return leaf
            if not is_mapped:
                leaf = jnp.broadcast_to(leaf, (size, *leaf.shape))
            leaf = jnp.broadcast_to(leaf, (size, batch, *leaf.shape[2:]))
            return leaf.reshape(size * batch, *leaf.shape[2:])

        results = folded(*jax.tree.unflatten(tree, map(fold, range(len(leaves)), leaves, flags)))

        def unfold(leaf):
            return leaf.reshape(size, batch, *leaf.shape[1:])

        return jax.tree.map(unfold, results), jax.tree.map(lambda _: True, results)

    return folded
