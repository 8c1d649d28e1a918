import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mmkd_jax.training._fingerprints import fingerprints, named_leaves

DTYPES = ("float32", "bfloat16", "float16", "bool", "int8", "uint32", "int4", "complex64")


def of(array) -> int:
    return fingerprints({"x": jnp.asarray(array)})["x"]


@functools.cache
def numbers(dtype: str) -> jax.Array:
    random = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 8, (4, 8))
    return jnp.asarray(random).astype(dtype)


def test_leaves_are_named_by_their_path():
    tree = {"a": [jnp.ones(2), {"b": jnp.zeros(3)}], "none": None}
    assert list(named_leaves(tree)) == ["a/0", "a/1/b"]
    assert fingerprints({}) == {}


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_changed_entry_changes_it(dtype):
    x = numbers(dtype)
    other = (
        jnp.logical_not(x[2, 3])
        if dtype == "bool"
        else x[2, 3] ^ 1
        if x.dtype.kind in "iu"
        else x[2, 3] + 1
    )
    assert of(x) == of(x.copy())
    assert of(x) != of(x.at[2, 3].set(other))


@pytest.mark.parametrize("dtype", DTYPES)
def test_swapped_entries_change_it(dtype):
    x = numbers(dtype)
    places = np.argwhere(
        np.asarray(x.astype("complex64")) != np.asarray(x[0, 0].astype("complex64"))
    )
    a, b = (0, 0), tuple(int(i) for i in places[0])
    assert of(x) != of(x.at[a].set(x[b]).at[b].set(x[a]))


def test_every_bit_counts():
    word = np.arange(4, dtype=np.float32)
    found = {of(word)}
    for bit in range(32):
        changed = word.copy()
        changed.view(np.uint32)[2] ^= np.uint32(1) << np.uint32(bit)
        found.add(of(changed))
    assert len(found) == 33


def test_zeros_of_another_length_or_sign_differ():
    assert of(np.zeros(3, "f")) != of(np.zeros(4, "f"))
    assert of(np.float32(0.0)) != of(np.float32(-0.0))
    assert of(np.zeros((0, 3), "f")) == 0


def test_it_does_not_depend_on_the_sharding():
    mesh = jax.make_mesh((4, 2), ("a", "b"), axis_types=(AxisType.Auto,) * 2)
    x = numbers("bfloat16")
    for spec in ((None, None), ("a", "b"), ("b", None), (None, ("b", "a"))):
        split = jax.device_put(x, NamedSharding(mesh, PartitionSpec(*spec)))
        assert of(split) == of(x)


def test_many_arrays_that_are_split_do_not_wait_for_each_other():
    mesh = jax.make_mesh((8,), ("a",), axis_types=(AxisType.Auto,))
    split = NamedSharding(mesh, PartitionSpec("a"))
    tree = {name: jax.device_put(jnp.ones((8 + 8 * (name % 5), 4)), split) for name in range(60)}
    expected = fingerprints(tree)
    for _ in range(20):
        assert fingerprints(tree) == expected


def test_wide_numbers():
    with jax.enable_x64(True):
        x = jnp.arange(3.0, dtype="float64")
        tiny = np.nextafter(np.float64(1), 2)
        assert of(x) != of(x.at[1].set(tiny))
        assert of(jnp.int64(2**40)) != of(jnp.int64(2**41))
