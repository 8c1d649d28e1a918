import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.models import _layer
from mmkd_jax.models._dropout import dropout
from tests.models import tiny


def test_layer_norm_is_computed_in_float32():
    x = jnp.asarray(np.random.default_rng(0).normal(100, 1, (4, 8)), jnp.bfloat16)
    params = {"scale": jnp.full(8, 2.0), "bias": jnp.full(8, 3.0)}
    wide = np.asarray(x, np.float64)
    expected = 2 * (wide - wide.mean(1, keepdims=True)) / wide.std(1, keepdims=True) + 3
    result = _layer.layer_norm(tiny.config(), params, x)
    assert result.dtype == jnp.bfloat16
    # Only the result is rounded; a mean of values near 100 in bfloat16 would be off by 0.5.
    np.testing.assert_allclose(result.astype("f"), expected, rtol=2**-8, atol=1e-6)


def test_a_dense_map_is_its_einsum():
    random = np.random.default_rng(0)
    x, kernel, bias = (random.normal(size=s) for s in ((2, 3, 5, 2, 4), (2, 4, 6), (6,)))
    expected = np.einsum("...hk,hkd->...d", x, kernel) + bias
    params = {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
    found = _layer.project(params, jnp.asarray(x, jnp.float32), inputs=2)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    flat = {"kernel": jnp.asarray(kernel.reshape(8, 2, 3)), "bias": jnp.asarray(bias.reshape(2, 3))}
    found = _layer.project(flat, jnp.asarray(x.reshape(2, 3, 5, 8), jnp.float32))
    np.testing.assert_allclose(found, expected.reshape(2, 3, 5, 2, 3), atol=1e-5)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_keeps_the_mean_and_drops_at_its_rate(rate):
    dropped = dropout(jnp.ones((100, 100)), rate, jax.random.key(0))
    np.testing.assert_allclose((dropped == 0).mean(), rate, atol=0.02)
    np.testing.assert_allclose(dropped.mean(), 1, atol=0.03)


def test_dropout_is_nothing_without_key_or_rate():
    x = jnp.ones(3)
    assert dropout(x, 0.5, None) is x
    assert dropout(x, 0.0, jax.random.key(0)) is x
