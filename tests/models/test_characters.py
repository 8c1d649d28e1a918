"""The character CNN: a word's vector is the word's alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import models

CNN = models.CharacterCNN(characters=20, width=4, filters=6)
WORDS = np.random.default_rng(0).integers(1, 20, (5, 7))
LENGTHS = np.array([7, 3, 1, 0, 2])
CHARACTERS = jnp.where(np.arange(7) < LENGTHS[:, None], WORDS, 0)
VARIABLES = CNN.init(jax.random.key(0), CHARACTERS)


def test_values_are_those_of_the_formula():
    params = {name: np.asarray(value, np.float64) for name, value in VARIABLES["params"].items()}
    found = CNN.apply(VARIABLES, CHARACTERS)
    for word, length, vector in zip(CHARACTERS, LENGTHS, found, strict=True):
        if length == 0:
            assert (vector == 0).all()
            continue
        between = np.zeros((length + 2, 4))
        between[1:-1] = params["table"][word[:length]]
        windows = [between[i : i + 3].ravel() for i in range(length)]
        expected = np.tanh((windows @ params["kernel"]).max(axis=0) + params["bias"])
        np.testing.assert_allclose(vector, expected, atol=1e-6)


def test_more_padding_changes_nothing():
    wider = jnp.pad(CHARACTERS, ((0, 0), (0, 4)))
    np.testing.assert_allclose(
        CNN.apply(VARIABLES, wider), CNN.apply(VARIABLES, CHARACTERS), atol=1e-6
    )


def test_gradients_are_finite_with_empty_words():
    def total(variables):
        return jnp.square(CNN.apply(variables, CHARACTERS)).sum()

    gradients = jax.grad(total)(VARIABLES)
    assert all(np.isfinite(g).all() and (g != 0).any() for g in jax.tree.leaves(gradients))


def test_even_windows_are_refused():
    with pytest.raises(ValueError, match="window must be odd, got 2"):
        models.CharacterCNN(characters=20, window=2).init(jax.random.key(0), CHARACTERS)
