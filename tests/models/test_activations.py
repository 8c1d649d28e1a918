import math

import jax
import jax.numpy as jnp
import numpy as np

from mmkd_jax.models._activations import gelu


def test_is_x_times_the_normal_distribution():
    x = np.linspace(-12, 12, 401)
    exact = np.array([v * 0.5 * math.erfc(-v / math.sqrt(2)) for v in x])
    np.testing.assert_allclose(gelu(jnp.asarray(x, jnp.float32)), exact, atol=1e-6, rtol=1e-6)


def test_derivative():
    x = jnp.linspace(-12, 12, 401)
    exact = jax.vmap(jax.grad(lambda v: jax.nn.gelu(v, approximate=False)))(x)
    np.testing.assert_allclose(jax.vmap(jax.grad(gelu))(x), exact, atol=2e-6)


def test_keeps_the_dtype():
    x = jnp.ones(3, jnp.bfloat16)
    assert gelu(x).dtype == jax.grad(lambda x: gelu(x).sum())(x).dtype == jnp.bfloat16
