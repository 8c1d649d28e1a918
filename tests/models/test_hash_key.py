"""Random bits by hashing: enough alike to chance, and the same wherever they are computed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mmkd_jax.models._hash_key import HASH


def key(seed=0):
    return jax.random.key(seed, impl=HASH)


def bits(key, shape=(512, 512)):
    return np.asarray(jax.random.bits(key, shape, jnp.uint32))


def ones(values):
    """[..., 32]: the single bits."""
    return values[..., None] >> np.arange(32, dtype=np.uint32) & np.uint32(1)


def test_every_bit_is_one_half_of_the_time():
    shares = ones(bits(key())).mean(axis=(0, 1))
    np.testing.assert_allclose(shares, 0.5, atol=5 * 0.5 / 512)


@pytest.mark.parametrize("step", [(0, 1), (1, 0), (1, 1), (0, 64), (64, 0)])
def test_neighbours_know_nothing_of_one_another(step):
    found = bits(key())
    other = np.roll(found, step, axis=(0, 1))
    np.testing.assert_allclose(ones(found ^ other).mean(axis=(0, 1)), 0.5, atol=5 * 0.5 / 512)


def test_keys_know_nothing_of_one_another():
    first = key()
    children = jax.random.split(first, 4)
    others = [key(1), key(2), *children, jax.random.fold_in(first, 0), jax.random.fold_in(first, 1)]
    found = bits(first)
    for number, other in enumerate(others):
        for known in (found, *(bits(one) for one in others[:number])):
            share = ones(known ^ bits(other)).mean(axis=(0, 1))
            np.testing.assert_allclose(share, 0.5, atol=5 * 0.5 / 512)


def test_keys_of_many_steps_differ():
    found = jax.vmap(lambda step: jax.random.fold_in(key(), step))(jnp.arange(20_000))
    assert len(np.unique(np.asarray(jax.random.key_data(found)), axis=0)) == 20_000


def test_a_pair_of_bytes_is_as_frequent_as_any_other():
    # Chi squared of 65 536 cells, four draws a cell: mean 65 535, deviation 362.
    counts = np.bincount((bits(key(3)) >> np.uint32(16)).ravel(), minlength=65_536)
    assert abs(((counts - 4) ** 2 / 4).sum() - 65_535) < 5 * 362


def test_fractions_are_uniform():
    found = np.sort(np.asarray(jax.random.uniform(key(), (100_000,))))
    distance = np.abs(found - (np.arange(100_000) + 0.5) / 100_000).max()
    assert distance < 1.95 / np.sqrt(100_000)  # Kolmogorov and Smirnov, one in a thousand


def test_a_batch_that_is_spread_over_devices_has_the_bits_of_a_whole_one():
    mesh = Mesh(np.array(jax.devices()[:8]), ("data",))
    rows = NamedSharding(mesh, PartitionSpec("data"))

    def draw(key):
        return jax.random.bits(key, (16, 6), jnp.uint32)

    spread = jax.jit(draw, out_shardings=rows).lower(key()).compile()
    np.testing.assert_array_equal(np.asarray(spread(key())), bits(key(), (16, 6)))
    # Each device draws its own two rows: nothing of the whole batch's size is there.
    assert "u32[2,6]" in spread.as_text()
    assert "u32[16,6]" not in spread.as_text()


def test_under_vmap_each_key_draws_for_itself():
    keys = jax.random.split(key(), 3)
    found = jax.vmap(lambda key: jax.random.bits(key, (5,), jnp.uint32))(keys)
    for one, row in zip(keys, np.asarray(found), strict=True):
        np.testing.assert_array_equal(row, bits(one, (5,)))
