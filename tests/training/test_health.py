import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.training._health import NonFiniteError, Watch

GOOD = {"finite": True, "loss": 1.0, "token": 0.5, "word": 0.5, "gradient_norm": 2.0}
WORD = GOOD | {"finite": False, "word": math.nan, "loss": math.nan, "gradient_norm": math.nan}
GRADIENT = GOOD | {"finite": False, "gradient_norm": math.inf}


def test_a_finite_step_is_no_news(caplog):
    watch = Watch(1)
    assert watch.check(1, GOOD, [1, 2])
    assert watch.skipped == 0
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("metrics", "blamed"),
    [
        (WORD, "word not finite"),
        (WORD | {"token": -math.inf}, "token and word not finite"),
        (GRADIENT, "the gradient not finite"),
        (GRADIENT | {"loss": math.nan}, "loss not finite"),
        (GOOD | {"finite": False}, "the gradient not finite"),
    ],
)
def test_a_skipped_step_is_told_with_what_began_it(caplog, metrics, blamed):
    watch = Watch(2)
    assert not watch.check(7, metrics, [4, 0, -1, 9])
    assert [entry.getMessage() for entry in caplog.records] == [
        f"step 7 is skipped, 1 in all: {blamed}. Its examples: 4, 0, 9"
    ]
    assert caplog.records[0].levelname == "WARNING"


def test_of_many_examples_the_first_are_shown(caplog):
    Watch(2).check(1, WORD, np.arange(32))
    assert caplog.text.rstrip().endswith(" 13, 14, 15, … (32 in all)")


def test_examples_may_not_be_known(caplog):
    Watch(2).check(1, WORD)
    assert "Its examples: not known" in caplog.text


def test_numbers_come_as_arrays_too():
    watch = Watch(2)
    fetched = {name: np.asarray(value) for name, value in WORD.items()}
    assert not watch.check(1, fetched, np.array([3], np.int64))
    assert watch.check(2, {name: jnp.asarray(value) for name, value in GOOD.items()})


def test_too_many_in_a_row_stop_the_run():
    watch = Watch(3)
    for step, metrics in enumerate([WORD, WORD, GOOD, WORD, GRADIENT], 1):
        watch.check(step, metrics, [step])
    with pytest.raises(NonFiniteError) as stopped:
        watch.check(6, WORD, [6, 60])
    assert str(stopped.value) == (
        "3 steps in a row, 4 to 6, were not finite: word in 2, the gradient in 1. They were "
        "skipped, so the parameters are as they were before step 4. Try a smaller learning rate or "
        "a longer warm-up, and float32 instead of 16 bits; the weight of word set to 0, to see "
        "whether the rest is sound; or look at the examples. The last step's examples: 6, 60"
    )
    assert watch.skipped == 5


def test_what_to_try_when_it_is_the_gradient():
    with pytest.raises(NonFiniteError, match="the gradient in 1.* Try clipping of the gradient"):
        Watch(1).check(1, GRADIENT)


def test_counts_survive_a_resume():
    before = Watch(3)
    for step in (1, 2):
        before.check(step, WORD)
    state = json.loads(json.dumps(before.get_state()))
    after = Watch(3)
    after.set_state(state)
    assert after.skipped == 2
    assert after.get_state() == before.get_state()
    with pytest.raises(NonFiniteError, match="3 steps in a row, 1 to 3, .*: word in 3"):
        after.check(3, WORD)


def test_a_limit_of_nothing():
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        Watch(0)
