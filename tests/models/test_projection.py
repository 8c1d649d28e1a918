"""BatchNorm over the global batch, whatever the mesh and the padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mmkd_jax import models
from tests.losses.checks import rejected

B, D = 16, 5
X = 3 * jax.random.normal(jax.random.key(1), (B, D)) + 1
WHERE = jnp.arange(B) % 4 != 3
PROJECTOR = models.Projection(hidden_width=6, width=4)
VARIABLES = PROJECTOR.init(jax.random.key(0), X)


@jax.jit
def train(params, x, where):
    variables = VARIABLES | {"params": params}
    found, changed = PROJECTOR.apply(
        variables, x, where, deterministic=False, mutable=["batch_stats"]
    )
    return found, changed["batch_stats"]


def normalised(x, scale=1.0, bias=0.0):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5) * scale + bias


def test_values_are_those_of_the_formula():
    params = {name: np.asarray(value, np.float64) for name, value in VARIABLES["params"].items()}
    scale, bias = params["norm_in_scale"], params["norm_in_bias"]
    inner = normalised(np.asarray(X, np.float64) @ params["dense_in"], scale, bias)
    expected = normalised(np.maximum(inner, 0) @ params["dense_out"])
    found, _ = train(VARIABLES["params"], X, np.ones(B, bool))
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_rows_that_do_not_count_are_as_if_absent():
    found, statistics = train(VARIABLES["params"], jnp.where(WHERE[:, None], X, jnp.nan), WHERE)
    expected, expected_statistics = train(VARIABLES["params"], X[WHERE], np.ones(WHERE.sum(), bool))
    np.testing.assert_allclose(found[WHERE], expected, atol=1e-6)
    assert (found[~WHERE] == 0).all()
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), statistics, expected_statistics
    )


def test_statistics_are_those_of_the_global_batch():
    """With rows that do not count on some devices only."""
    mesh = Mesh(np.array(jax.devices()), ("data",))
    where = np.arange(B) < 13
    placed = [jax.device_put(a, NamedSharding(mesh, PartitionSpec("data"))) for a in (X, where)]

    def loss(params, x, where):
        found, statistics = train(params, x, where)
        return (found * jnp.cos(jnp.arange(B * 4.0)).reshape(B, 4)).sum(), (found, statistics)

    both = jax.jit(jax.value_and_grad(loss, has_aux=True))
    found, expected = both(VARIABLES["params"], *placed), both(VARIABLES["params"], X, where)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), found, expected
    )


def test_running_statistics_come_to_be_the_batch_s():
    variables = VARIABLES
    for _ in range(200):
        _, changed = PROJECTOR.apply(variables, X, deterministic=False, mutable=["batch_stats"])
        variables = variables | changed
    expected, _ = train(VARIABLES["params"], X, np.ones(B, bool))
    np.testing.assert_allclose(PROJECTOR.apply(variables, X), expected, atol=1e-4)


@pytest.mark.parametrize("count", [0, 1])
def test_gradients_are_finite_with_hardly_a_row(count):
    def total(params):
        return jnp.square(train(params, X, np.arange(B) < count)[0]).sum()

    assert all(np.isfinite(g).all() for g in jax.tree.leaves(jax.grad(total)(VARIABLES["params"])))


def test_no_row_moves_no_statistics():
    _, statistics = train(VARIABLES["params"], X, np.zeros(B, bool))
    jax.tree.map(np.testing.assert_array_equal, statistics, VARIABLES["batch_stats"])


def test_the_predictor_has_one_norm():
    predictor = models.Projection(hidden_width=6, width=4, last_norm=False)
    variables = predictor.init(jax.random.key(0), X)
    assert set(variables["batch_stats"]) == {"norm_in"}
    assert set(VARIABLES["batch_stats"]) == {"norm_in", "norm_out"}


def test_wrong_mask_is_named():
    with rejected("where must be"):
        PROJECTOR.apply(VARIABLES, X, WHERE[:3])
