"""Slower steps and early ends, decided by evaluations and kept in the optimiser's state."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmkd_jax.training import OptimizerSettings, PlateauSettings, make_optimizer
from mmkd_jax.training._plateau import is_over, observe, scale_of

PARAMS = {"encoder": {"a": jnp.ones(3)}}


def optimizer_of(plateau):
    settings = OptimizerSettings(
        kind="sgd",
        learning_rate=1.0,
        reference_batch=0,
        warmup=0.0,
        schedule="constant",
        weight_decay=0.0,
        b1=0.0,
        plateau=plateau,
    )
    return make_optimizer(settings, 100, 8, lambda path: True)


def course(plateau, scores):
    """Scale and whether it is over, after each score."""
    state, found = optimizer_of(plateau).init(PARAMS), []
    for score in scores:
        state = observe(plateau, state, score)
        found.append((scale_of(state), is_over(plateau, state)))
    return found


def test_the_rate_falls_each_time_that_patience_ends():
    plateau = PlateauSettings(patience=2, factor=0.5, least=0.2)
    #        best  1 wait  2: half   1 wait  better   1      2       1      2
    scores = [50.0, 49.0, 50.0, 50.0, 51.0, 51.0, 50.9, 50.8, 51.0]
    expected = [1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125]
    found = course(plateau, scores)
    assert [scale for scale, _ in found] == expected
    assert [over for _, over in found] == [False] * 8 + [True]


def test_a_run_ends_after_so_many_without_progress():
    found = course(PlateauSettings(stop_after=3), [1.0, 2.0, 1.0, 2.5, 2.0, 2.0, 2.5])
    assert [over for _, over in found] == [False] * 6 + [True]
    assert {scale for scale, _ in found} == {1.0}
    nan = float("nan")
    assert course(PlateauSettings(stop_after=2), [nan, nan])[-1] == (1.0, True)


def test_updates_are_scaled():
    plateau = PlateauSettings(patience=1)
    optimizer = optimizer_of(plateau)
    state = optimizer.init(PARAMS)
    for score, scale in ((1.0, 1.0), (1.0, 0.5), (0.0, 0.25)):
        state = observe(plateau, state, score)
        updates, state = jax.jit(optimizer.update)(PARAMS, state, PARAMS)
        np.testing.assert_array_equal(updates["encoder"]["a"], np.full(3, -scale))


def test_without_it_there_is_nothing_to_scale():
    plateau = PlateauSettings()
    state = optimizer_of(plateau).init(PARAMS)
    assert not plateau.is_used
    assert (scale_of(state), is_over(plateau, state)) == (1.0, False)
    plain = optax.sgd(1.0).init(PARAMS)
    assert len(jax.tree.leaves(state)) <= len(jax.tree.leaves(plain)) + 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"patience": -1}, "patience and stop_after must be at least 0"),
        ({"factor": 1.0}, r"factor must lie in \(0, 1\)"),
        ({"least": 1.0}, r"least in \[0, 1\)"),
    ],
)
def test_errors(wrong, message):
    with pytest.raises(ValueError, match=message):
        PlateauSettings(**wrong)
