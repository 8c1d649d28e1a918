import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.models._attention import attend, softmax
from tests.models import tiny

SHAPE = (3, 5, 2, 4)


def arrays():
    return jnp.asarray(np.random.default_rng(0).normal(size=(3, *SHAPE)), jnp.float32)


def formula(query, key, value, mask):
    """One query at a time."""
    output = np.zeros(query.shape)
    for b, t, h in np.ndindex(query.shape[:3]):
        scores = key[b, mask[b], h] @ query[b, t, h] / np.sqrt(query.shape[-1])
        weights = np.exp(scores - scores.max())
        output[b, t, h] = weights / weights.sum() @ value[b, mask[b], h]
    return output


def test_is_the_formula_over_the_mask():
    mask = np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 0]], bool)
    attended = attend(tiny.config(), *arrays(), jnp.asarray(mask), None)
    np.testing.assert_allclose(attended, formula(*map(np.asarray, arrays()), mask), atol=1e-6)


def test_without_any_token_all_is_finite():
    mask = jnp.zeros((3, 5), bool)
    total = lambda arrays: attend(tiny.config(), *arrays, mask, None).sum()  # noqa: E731
    value, gradient = jax.value_and_grad(total)(arrays())
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_dropout_keeps_the_mean():
    value = jnp.ones((1, 64, 1, 64))
    config = tiny.config(attention_dropout=0.5)
    attended = attend(config, value, value, value, jnp.ones((1, 64), bool), jax.random.key(0))
    assert attended.std() > 0.05
    np.testing.assert_allclose(attended.mean(), 1, atol=0.05)


def test_cudnn_has_no_dropout():
    with pytest.raises(ValueError, match="attention_dropout must be 0 in training"):
        attend(tiny.config(attention="cudnn"), *arrays(), jnp.ones((3, 5), bool), jax.random.key(0))


def test_the_softmax_has_its_derivative():
    scores, weight = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)
    one, two = (
        jax.value_and_grad(lambda s, f=f: (f(s) * weight).sum())(jnp.asarray(scores))
        for f in (softmax, jax.nn.softmax)
    )
    tiny.assert_close(one, two, atol=1e-6)
