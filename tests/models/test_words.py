"""Pooling of subwords against a plain loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmkd_jax import models
from tests.losses.checks import rejected

B, T, W, D = 2, 6, 4, 3
WORD_OF = hnp.arrays(np.int32, (B, T), elements=st.integers(-1, W))
HIDDEN = hnp.arrays(np.float32, (B, T, D), elements=st.floats(-8, 8, width=16))

pool = jax.jit(models.pool_words, static_argnums=(2, 3))


@pytest.mark.parametrize("how", ["first", "mean"])
@given(HIDDEN, WORD_OF)
def test_is_the_loop(how, hidden, word_of):
    expected = np.zeros((B, W, D))
    for b in range(B):
        for w in range(W):
            of_word = hidden[b][word_of[b] == w]
            if len(of_word):
                expected[b, w] = of_word[0] if how == "first" else of_word.mean(axis=0)
    np.testing.assert_allclose(pool(hidden, word_of, W, how), expected, atol=1e-5)


@pytest.mark.parametrize("how", ["first", "mean"])
def test_what_is_no_word_is_never_read(how):
    hidden = jnp.ones((T, D))
    word_of = jnp.array([-1, 0, 0, 2, -1, -1])
    spoiled = jnp.where(word_of[:, None] < 0, np.nan, hidden)

    def total(hidden):
        return jnp.square(models.pool_words(hidden, word_of, W, how)).sum()

    assert total(spoiled) == total(hidden) == 2 * D
    assert np.isfinite(jax.grad(total)(spoiled)).all()


def test_narrow_floats_stay_narrow():
    hidden = jnp.ones((T, D), jnp.bfloat16)
    assert models.pool_words(hidden, jnp.zeros(T, int), W, "mean").dtype == jnp.bfloat16


def test_wrong_arguments_are_named():
    with rejected("word_of must be"):
        models.pool_words(jnp.ones((T, D)), jnp.zeros(T - 1, int), W)
    with rejected("how must be first or mean"):
        models.pool_words(jnp.ones((T, D)), jnp.zeros(T, int), W, "max")
