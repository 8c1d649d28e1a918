"""Small states that look like a trainer's, and what a checkpoint of one is compared by."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


class Moments(NamedTuple):
    """As optimizers keep theirs: tuples with names, and some without anything in them."""

    count: jax.Array
    mean: dict
    nothing: tuple = ()


def state(seed: int = 0, width: int = 32) -> dict:
    random = np.random.default_rng(seed)
    params = {
        "kernel": jnp.asarray(random.normal(size=(width, 16)).astype("f")),
        "half": jnp.asarray(random.normal(size=(16,)).astype("f")).astype(jnp.bfloat16),
        "layers": [jnp.asarray(random.normal(size=(8,)).astype("f")) for _ in range(2)],
    }
    flags = jnp.asarray(random.integers(0, 2, 8).astype(bool))
    moments = Moments(jnp.int32(seed), jax.tree.map(lambda x: x * 2, params))
    return {"step": jnp.uint32(seed), "params": params, "optimizer": (moments, None), "on": flags}


def abstract(tree, shardings=None):
    """What to restore: with the shardings that the arrays have, or with other ones."""
    if shardings is None:
        shardings = jax.tree.map(lambda x: x.sharding, tree)
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        tree,
        shardings,
    )


def mesh(*sizes: int) -> Mesh:
    names = ("data", "fsdp", "model")[: len(sizes)]
    devices = jax.devices()[: int(np.prod(sizes))]
    return jax.make_mesh(sizes, names, axis_types=(AxisType.Auto,) * len(sizes), devices=devices)


def shardings(tree, over: Mesh, *axes: str):
    """Splits the first axes of every array that has them over these of the mesh."""
    return jax.tree.map(
        lambda x: NamedSharding(over, PartitionSpec(*axes[: x.ndim])),
        tree,
    )


def assert_same(one, other):
    """Bit by bit, dtype by dtype, node by node."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(one), jax.tree.leaves(other), strict=True
    ):
        assert a.dtype == b.dtype, path
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b), err_msg=str(path))
