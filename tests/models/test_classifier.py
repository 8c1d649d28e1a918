"""Heads of fine-tuned encoders against the formula."""

import jax
import jax.numpy as jnp
import numpy as np

from mmkd_jax import models

HIDDEN = jax.random.normal(jax.random.key(1), (3, 4, 6))


def test_classifier_reads_the_first_token():
    head = models.Classifier(classes=2, initial_scale=0.5)
    variables = head.init(jax.random.key(0), HIDDEN)
    params = {name: np.asarray(value, np.float64) for name, value in variables["params"].items()}
    pooled = np.tanh(np.asarray(HIDDEN[:, 0]) @ params["pooler_kernel"] + params["pooler_bias"])
    expected = pooled @ params["classes_kernel"] + params["classes_bias"]
    found = head.apply(variables, HIDDEN)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    elsewhere = HIDDEN.at[:, 1:].set(jnp.nan)
    np.testing.assert_array_equal(head.apply(variables, elsewhere), found)


def test_classifier_dropout_is_keyed():
    head = models.Classifier(classes=2, initial_scale=0.5, dropout=0.5)
    variables = head.init(jax.random.key(0), HIDDEN)
    one, same, other = (
        head.apply(variables, HIDDEN, False, rngs={"dropout": jax.random.key(seed)})
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (np.asarray(one) != other).any()


def test_span_head():
    head, allowed = models.SpanHead(initial_scale=0.5), jnp.array([[False, True, True, False]] * 3)
    variables = head.init(jax.random.key(0), HIDDEN)
    kernel, bias = (np.asarray(variables["params"][f"span_{name}"]) for name in ("kernel", "bias"))
    expected = np.moveaxis(np.asarray(HIDDEN) @ kernel + bias, -1, 0)
    np.testing.assert_allclose(head.apply(variables, HIDDEN), expected, atol=1e-6)
    found = np.stack(head.apply(variables, HIDDEN, allowed))
    np.testing.assert_allclose(found[:, allowed], expected[:, allowed], atol=1e-6)
    assert (found[:, ~allowed] == -np.inf).all()


def test_narrow_hidden_states_give_wide_scores():
    narrow = jnp.asarray(HIDDEN, jnp.bfloat16)
    for head in (models.Classifier(classes=2), models.SpanHead()):
        found, _ = head.init_with_output(jax.random.key(0), narrow)
        assert all(scores.dtype == jnp.float32 for scores in jax.tree.leaves(found))
