from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jax.test_util import check_grads

from mmkd_jax import losses
from tests.losses import checks

SIZE = 16
VALUES = hnp.arrays(np.float32, SIZE, elements=st.floats(-100, 100, width=32))
COUNTS = hnp.arrays(np.int32, SIZE, elements=st.integers(0, 9))


def sample() -> tuple[jax.Array, jax.Array]:
    """Uneven counts: some shards of two hold nothing at all."""
    random = np.random.default_rng(0)
    counts = random.integers(0, 9, SIZE)
    counts[4:8] = 0
    return jnp.asarray(random.normal(size=SIZE), jnp.float32), jnp.asarray(counts, jnp.int32)


def mesh() -> jax.sharding.Mesh:
    return jax.make_mesh((checks.BATCH,), ("data",), axis_types=(AxisType.Auto,))


@given(VALUES, COUNTS)
def test_is_the_mean_of_repeated_values(values, counts):
    found = losses.weighted_mean(jnp.asarray(values), jnp.asarray(counts))
    repeated = np.repeat(values.astype(np.float64), counts)
    expected = repeated.mean() if len(repeated) else 0.0
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.bool_, jnp.int32, jnp.float32, jnp.bfloat16])
def test_counts_may_be_of_any_kind(dtype):
    values, counts = sample()
    counts = counts.astype(dtype)
    expected = np.average(values, weights=np.asarray(counts, np.float64))
    np.testing.assert_allclose(losses.weighted_mean(values, counts), expected, rtol=1e-5)


def test_axes_do_not_matter():
    values, counts = sample()
    found = losses.weighted_mean(values.reshape(2, 2, 4), counts.reshape(2, 2, 4))
    np.testing.assert_allclose(found, losses.weighted_mean(values, counts), rtol=1e-6)
    assert losses.weighted_mean(jnp.float32(3), jnp.int32(2)) == 3


@given(VALUES, COUNTS)
def test_the_mean_of_means_is_the_mean(values, counts):
    values, counts = jnp.asarray(values), jnp.asarray(counts)
    halves = [
        (losses.weighted_mean(v, c), c.sum())
        for v, c in zip(jnp.split(values, 2), jnp.split(counts, 2), strict=True)
    ]
    means, sums = map(jnp.stack, zip(*halves, strict=True))
    np.testing.assert_allclose(
        losses.weighted_mean(means, sums),
        losses.weighted_mean(values, counts),
        rtol=1e-5,
        atol=1e-4,
    )


def test_a_value_of_no_weight_is_never_read():
    values, counts = sample()
    spoiled = jnp.where(counts == 0, jnp.nan, values)
    checks.never_reads(losses.weighted_mean, (values, counts), (spoiled, counts))


@pytest.mark.parametrize("dtype", [jnp.bool_, jnp.int32, jnp.float32])
def test_nothing_counted_is_0_with_gradient_0(dtype):
    values, nothing = jnp.full(SIZE, jnp.nan), jnp.zeros(SIZE, dtype)
    value, gradient = jax.value_and_grad(losses.weighted_mean)(values, nothing)
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)
    assert losses.weighted_mean(jnp.zeros(0), jnp.zeros(0)) == 0


def test_gradients_are_finite_differences():
    with jax.enable_x64(True):
        values = jnp.asarray(np.random.default_rng(0).normal(size=4))
        counts = jnp.array([0.5, 2.0, 1.0, 3.0])
        arguments = values, counts

        def mean(values, counts):
            return losses.weighted_mean(jnp.asarray(values), jnp.asarray(counts))

        assert mean(*arguments).dtype == jnp.float64
        check_grads(mean, arguments, order=2, modes=["rev"])


def test_narrow_values_are_raised():
    """2049 ones: in bfloat16 a running sum would stop at 256."""
    found = losses.weighted_mean(jnp.ones(2049, jnp.bfloat16), jnp.ones(2049, jnp.bfloat16))
    assert (found.dtype, found) == (jnp.float32, 1)


def test_vmap_is_a_loop():
    values, counts = (a.reshape(4, 4) for a in sample())
    expected = [losses.weighted_mean(v, c) for v, c in zip(values, counts, strict=True)]
    mapped = jax.vmap(losses.weighted_mean)(values, counts)
    np.testing.assert_allclose(mapped, jnp.stack(expected), rtol=1e-6)


def test_uneven_shards_make_no_difference():
    values, counts = sample()
    place = NamedSharding(mesh(), PartitionSpec("data"))
    function = jax.jit(jax.value_and_grad(losses.weighted_mean))
    found, expected = (
        function(*arguments) for arguments in (jax.device_put((values, counts), place), sample())
    )
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), found, expected)


def test_under_shard_map_the_axis_makes_it_global():
    """A training step as users write it there: value, and the gradient of what is replicated."""
    values, counts = sample()

    def loss(scale, values, counts, axis_name=None):
        return losses.weighted_mean(jnp.square(scale * values), counts, axis_name=axis_name)

    def step(scale, values, counts):
        mean = partial(loss, axis_name="data")
        return jax.value_and_grad(mean, (0, 1))(scale, values, counts)

    data, same = PartitionSpec("data"), PartitionSpec()
    mapped = jax.shard_map(
        step, mesh=mesh(), in_specs=(same, data, data), out_specs=(same, (same, data))
    )
    expected = jax.value_and_grad(loss, (0, 1))(jnp.float32(3), values, counts)
    found = jax.jit(mapped)(jnp.float32(3), values, counts)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), found, expected)

    def mean_of_means(values, counts):
        return lax.pmean(losses.weighted_mean(values, counts), "data")

    wrong = jax.shard_map(mean_of_means, mesh=mesh(), in_specs=data, out_specs=same)
    assert abs(wrong(values, counts) - losses.weighted_mean(values, counts)) > 0.001


def test_wrong_arguments_are_named():
    values, counts = sample()
    with checks.rejected(r"must have the same shape, got \(16,\) and \(15,\)"):
        losses.weighted_mean(values, counts[1:])
    with checks.rejected("values must hold floats, got dtype int32"):
        losses.weighted_mean(counts, counts)
