import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax import losses
from tests.losses import checks

STEPS = np.arange(0, 260)
EPOCH = 7


@pytest.mark.parametrize("tau", [0.5, 1, 10, 30])
def test_the_papers_rule(tau):
    """max(0, 1 - e tau / 100), with e in whole epochs and in fractions of epochs."""
    steps = 100 / tau * EPOCH
    epochs = np.array([step // EPOCH for step in STEPS])
    by_epoch = losses.annealing("linear", steps, every=EPOCH)
    np.testing.assert_allclose(
        by_epoch(jnp.asarray(STEPS)), np.maximum(0, 1 - epochs * tau / 100), atol=1e-6
    )
    by_step = losses.annealing("linear", steps)
    np.testing.assert_allclose(
        by_step(jnp.asarray(STEPS)), np.maximum(0, 1 - STEPS / EPOCH * tau / 100), atol=1e-6
    )


def test_ten_epochs_of_tau_ten_end_at_just_0():
    schedule = losses.annealing("linear", 10 * EPOCH)
    assert schedule(10 * EPOCH) == 0
    assert schedule(10 * EPOCH - 1) > 0


def test_cosine():
    found = losses.annealing("cosine", 100, start=0.8)(jnp.asarray(STEPS))
    x = np.minimum(STEPS / 100, 1)
    np.testing.assert_allclose(found, 0.8 * (1 + np.cos(np.pi * x)) / 2, atol=1e-6)


def test_constant():
    np.testing.assert_array_equal(
        losses.annealing("constant", start=0.5)(jnp.asarray(STEPS)), np.float32(0.5)
    )


@given(
    kind=st.sampled_from(["linear", "cosine", "constant"]),
    steps=st.floats(0.5, 300) | st.integers(1, 300),
    start=st.floats(0.125, 10),
    share=st.sampled_from([0.0, 0.25, 1.0]),
    every=st.integers(1, 20),
)
def test_falls_from_start_to_the_floor(kind, steps, start, share, every):
    floor = share * start
    schedule = losses.annealing(kind, steps, start=start, floor=floor, every=every)
    found = schedule(jnp.asarray(STEPS))
    np.testing.assert_allclose(found[0], start, rtol=1e-6)
    assert (np.diff(found) <= 1e-6 * start).all()
    assert (found >= np.float32(floor)).all()
    np.testing.assert_array_equal(found, found[STEPS // every * every])
    if kind != "constant":
        np.testing.assert_allclose(schedule(10**6), floor, rtol=1e-6)


def test_the_floor_bends_nothing_above_it():
    steps = jnp.asarray(STEPS)
    free, held = (losses.annealing("linear", 200, floor=floor)(steps) for floor in (0.0, 0.3))
    np.testing.assert_array_equal(held, np.maximum(free, np.float32(0.3)))


def test_the_step_may_be_traced_or_a_number_and_the_result_is_float32():
    schedule = losses.annealing("linear", 100, every=3)
    traced = jax.jit(schedule)
    for step in (0, 5, 50, 1000):
        assert schedule(step) == traced(jnp.int32(step)) == jax.vmap(schedule)(jnp.array([step]))[0]
        assert schedule(step).dtype == jnp.float32
    with jax.enable_x64(True):
        assert schedule(5).dtype == jnp.float32


def test_steps_beyond_what_float32_counts():
    step = 2**24 + 1
    schedule = losses.annealing("linear", 2**25, every=step)
    assert schedule(step - 1) == 1
    assert schedule(step) < 0.51


def test_wrong_arguments_are_named():
    with checks.rejected("kind must be one of linear, cosine, constant, got 'lineal'"):
        losses.annealing("lineal", 10)
    with checks.rejected("steps must be a positive number for the linear kind, got None"):
        losses.annealing()
    with checks.rejected("steps must be a positive number for the cosine kind, got 0"):
        losses.annealing("cosine", 0)
    with checks.rejected("every must be a positive whole number of steps, got 0"):
        losses.annealing("linear", 10, every=0)
    with checks.rejected("floor must lie between 0 and start = 0.5, got 0.7"):
        losses.annealing("linear", 10, start=0.5, floor=0.7)
