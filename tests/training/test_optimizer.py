"""Schedules, and who decays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.training import OptimizerSettings, learning_rate, make_optimizer


def rates(settings, steps=30, batch_size=256):
    schedule = learning_rate(settings, steps, batch_size)
    return np.array([schedule(step) for step in range(steps + 1)])


def test_the_papers_schedule():
    found = rates(OptimizerSettings())
    assert found.argmax() in (3, 4)
    np.testing.assert_allclose(found[:4], 2e-5 * np.array([1, 2, 3, 4]) / 4, rtol=1e-6)
    np.testing.assert_allclose(found.max(), 2e-5, rtol=1e-6)
    np.testing.assert_allclose(found[17], 1e-5, rtol=1e-5)  # half of the way from 4 to 30
    assert found[-1] == 0


def test_the_rate_grows_with_the_batch():
    peak = rates(OptimizerSettings(), batch_size=512).max()
    np.testing.assert_allclose(peak, 4e-5, rtol=1e-6)
    peak = rates(OptimizerSettings(reference_batch=0), batch_size=512).max()
    np.testing.assert_allclose(peak, 2e-5, rtol=1e-6)


def test_other_falls():
    linear = rates(OptimizerSettings(schedule="linear", warmup=0.0))
    np.testing.assert_allclose(np.diff(linear), -2e-5 / 30, rtol=1e-3)
    constant = rates(OptimizerSettings(schedule="constant", warmup=0.0))
    np.testing.assert_allclose(constant, 2e-5, rtol=1e-6)


def test_biases_and_norms_do_not_decay():
    params = {
        "encoder": {"kernel": jnp.ones(2), "bias": jnp.ones(2), "norm": {"scale": jnp.ones(2)}},
        "heads": {"one": {"norm_in_scale": jnp.ones(2), "dense_in": jnp.ones(2)}},
    }
    settings = OptimizerSettings(
        learning_rate=0.1,
        reference_batch=0,
        warmup=0.0,
        schedule="constant",
        weight_decay=0.5,
        head_factor=2.0,
    )
    optimizer = make_optimizer(settings, 10, 8, lambda path: True)
    zero = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimizer.update(zero, optimizer.init(params), params)
    np.testing.assert_allclose(updates["encoder"]["kernel"], -0.05, rtol=1e-6)
    np.testing.assert_allclose(updates["heads"]["one"]["dense_in"], -0.1, rtol=1e-6)
    for leaf in (
        updates["encoder"]["bias"],
        updates["encoder"]["norm"]["scale"],
        updates["heads"]["one"]["norm_in_scale"],
    ):
        assert not leaf.any()


def test_transitions_have_a_rate_of_their_own_and_do_not_decay():
    params = {
        "encoder": {"a": jnp.ones(2)},
        "head": {"kernel": jnp.ones(2), "transitions": jnp.ones((2, 2)), "start": jnp.ones(2)},
    }
    settings = OptimizerSettings(
        kind="sgd",
        learning_rate=0.1,
        reference_batch=0,
        warmup=0.0,
        schedule="constant",
        weight_decay=0.5,
        head_factor=2.0,
        transition_factor=100.0,
        b1=0.0,
    )
    optimizer = make_optimizer(settings, 10, 8, lambda path: True)
    gradient = jax.tree.map(lambda leaf: 3 * leaf, params)
    updates, _ = optimizer.update(gradient, optimizer.init(params), params)
    np.testing.assert_allclose(updates["encoder"]["a"], -0.1 * 3.5, rtol=1e-6)
    np.testing.assert_allclose(updates["head"]["kernel"], -0.2 * 3.5, rtol=1e-6)
    for name in ("transitions", "start"):
        np.testing.assert_allclose(updates["head"][name], -10.0 * 3, rtol=1e-6)


def test_sgd_with_momentum_goes_on():
    settings = OptimizerSettings(
        kind="sgd", learning_rate=1.0, reference_batch=0, warmup=0.0, schedule="constant", b1=0.5
    )
    optimizer = make_optimizer(settings, 10, 8, lambda path: True)
    params = {"encoder": {"bias": jnp.zeros(())}}
    state, moves = optimizer.init(params), []
    for gradient in (1.0, 0.0, 0.0):
        given = {"encoder": {"bias": jnp.asarray(gradient)}}
        updates, state = optimizer.update(given, state, params)
        moves.append(float(updates["encoder"]["bias"]))
    assert moves == [-1.0, -0.5, -0.25]


def test_what_is_not_trained_takes_no_memory():
    params = {"encoder": {"a": jnp.ones(3), "b": jnp.ones(5)}}
    optimizer = make_optimizer(OptimizerSettings(), 10, 8, lambda path: path[-1] == "a")
    sizes = [leaf.size for leaf in jax.tree.leaves(optimizer.init(params))]
    assert 3 in sizes
    assert 5 not in sizes


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"warmup": 2.0}, "warmup is a share"),
        ({"average": 1.0}, "average must lie"),
        ({"transition_factor": -1.0}, "transition_factor must be at least 0"),
        ({"learning_rate": -1.0}, "learning_rate must be at least 0"),
    ],
)
def test_settings_are_checked(wrong, message):
    with pytest.raises(ValueError, match=message):
        OptimizerSettings(**wrong)
