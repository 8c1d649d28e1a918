import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.training._checkpoints import CheckpointError, Checkpoints
from tests.training import states

EXTRA = {
    "third": 1 / 3,
    "tiny": 5e-324,
    "nested": {"list": [1, 2.5, "three", None, True]},
    "nan": math.nan,
    "infinite": -math.inf,
    "large": 2**70,
}


def saved(folder, *steps: int, **options) -> Checkpoints:
    """Checkpoints of `states.state(step)`, written to the end."""
    with Checkpoints(folder, **options) as checkpoints:
        for step in steps:
            assert checkpoints.save(step, states.state(step), {"step": step})
    return Checkpoints(folder, **options)


def test_what_is_saved_comes_back(tmp_path):
    state = states.state(3)
    with Checkpoints(tmp_path / "new" / "checkpoints") as checkpoints:
        assert checkpoints.restore(states.abstract(state)) is None
        assert (checkpoints.steps(), checkpoints.latest(), checkpoints.best()) == ([], None, None)
        assert checkpoints.save(7, state, EXTRA)
        restored = checkpoints.restore(states.abstract(state))
    assert restored.step == 7
    states.assert_same(restored.state, state)
    assert jax.tree.map(lambda x: x.sharding, state) == jax.tree.map(
        lambda x: x.sharding, restored.state
    )
    assert math.isnan(restored.extra.pop("nan"))
    assert restored.extra == {name: value for name, value in EXTRA.items() if name != "nan"}


def test_arrays_need_no_sharding_on_one_process(tmp_path):
    state = states.state()
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
    states.assert_same(saved(tmp_path, 1).restore_step(1, shapes).state, states.state(1))


def test_a_folder_a_step_named_by_the_bare_number(tmp_path):
    saved(tmp_path, 0, 5, 1000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1000", "5"]


def test_saving_does_not_wait_for_the_disk_and_lets_arrays_be_donated(tmp_path):
    change = jax.jit(lambda x: x * 0 - 1, donate_argnums=0)
    with Checkpoints(tmp_path, keep=8) as checkpoints:
        for step in range(4):
            array = jnp.full((256, 1024), step, jnp.float32)
            checkpoints.save(step, {"x": array}, {})
            change(array).block_until_ready()
        assert checkpoints.latest() == 3
        checkpoints.wait()
        shapes = {"x": jax.ShapeDtypeStruct((256, 1024), jnp.float32)}
        for step in range(4):
            found = checkpoints.restore_step(step, shapes).state["x"]
            np.testing.assert_array_equal(found, np.full((256, 1024), step))


def test_the_newest_are_kept(tmp_path):
    assert saved(tmp_path, 1, 2, 3, 4, keep=2).steps() == [3, 4]
    assert saved(tmp_path, 5, keep=2).steps() == [4, 5]  # after a restart too


@pytest.mark.parametrize(("highest", "best", "steps"), [(True, 2, [2, 5]), (False, 3, [3, 5])])
def test_the_best_is_kept(tmp_path, highest, best, steps):
    options = {"keep": 1, "best": "accuracy", "highest": highest}
    values = {1: 0.5, 2: 0.9, 3: 0.1, 4: None, 5: math.nan}
    for step, value in values.items():
        metrics = None if value is None else {"accuracy": np.float32(value), "loss": -value}
        with Checkpoints(tmp_path, **options) as checkpoints:  # each after a restart
            checkpoints.save(step, states.state(step), {}, metrics)
    checkpoints = Checkpoints(tmp_path, **options)
    assert (checkpoints.steps(), checkpoints.best(), checkpoints.latest()) == (steps, best, 5)


def test_of_two_best_the_later_one_is_kept(tmp_path):
    with Checkpoints(tmp_path, keep=1, best="f1") as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, states.state(), {}, {"f1": 0.5 if step < 3 else 0.0})
    assert (checkpoints.steps(), checkpoints.best()) == ([2, 3], 2)


def test_a_step_is_saved_once_and_steps_go_up(tmp_path):
    with saved(tmp_path, 4) as checkpoints:
        assert not checkpoints.save(4, states.state(0), {})
        with pytest.raises(ValueError, match="step must be beyond the newest.*, 4, got 3"):
            checkpoints.save(3, states.state(0), {})
        assert checkpoints.save(5, states.state(5), {})
        assert not checkpoints.save(5, states.state(5), {})
        states.assert_same(
            checkpoints.restore_step(4, states.abstract(states.state())).state, states.state(4)
        )


def test_steps_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="step must be one of those in .*: 2, 3, got 9"):
        saved(tmp_path, 2, 3).restore_step(9, states.abstract(states.state()))


@pytest.mark.parametrize("sizes", [(8,), (4, 2), (2, 2, 2)])
def test_restored_onto_other_devices(tmp_path, sizes):
    state, mesh = states.state(6), states.mesh(*sizes)
    axes = mesh.axis_names[-2:]
    there = states.shardings(state, mesh, *axes)
    saved(tmp_path / "one", 6)
    on_many = Checkpoints(tmp_path / "one").restore(states.abstract(state, there))
    states.assert_same(on_many.state, state)
    assert jax.tree.map(lambda x: x.sharding, on_many.state) == there
    with Checkpoints(tmp_path / "many") as checkpoints:
        checkpoints.save(6, on_many.state, {})
        back = checkpoints.restore(states.abstract(state))
    states.assert_same(back.state, state)


def change(name):
    """What `states.state()` looks like with one thing different."""
    tree = states.abstract(states.state())
    params = tree["params"]
    if name == "shape":
        params["kernel"] = jax.ShapeDtypeStruct((32, 15), jnp.float32)
    elif name == "dtype":
        params["half"] = jax.ShapeDtypeStruct((16,), jnp.float32)
    elif name == "more":
        params["other"] = jax.ShapeDtypeStruct((2,), jnp.float32)
    else:
        del params["kernel"]
    return tree


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shape", r"has params/kernel as float32 \[32, 16\], asked for is float32 \[32, 15\]"),
        ("dtype", r"has params/half as bfloat16 \[16\], asked for is float32 \[16\]"),
        ("more", r"has no params/other, float32 \[2\], which is asked for"),
        ("fewer", r"has params/kernel, float32 \[32, 16\], which is not asked for"),
    ],
)
def test_another_structure_is_an_error_that_names_the_array(tmp_path, name, message):
    checkpoints = saved(tmp_path, 1, 2)
    with pytest.raises(ValueError, match=message):
        checkpoints.restore(change(name))
    assert checkpoints.steps() == [1, 2]


def test_what_cannot_be_saved(tmp_path):
    with Checkpoints(tmp_path, best="f1") as checkpoints:
        with pytest.raises(ValueError, match="extra must be what json can hold"):
            checkpoints.save(1, states.state(), {"x": np.ones(2)})
        with pytest.raises(ValueError, match="state must be a tree of jax arrays.*int at a/0"):
            checkpoints.save(1, {"a": [3]}, {})
        with pytest.raises(ValueError, match=r"key<fry>\(\) at key|key<fry> at key"):
            checkpoints.save(1, {"key": jax.random.key(0)}, {})
        with pytest.raises(ValueError, match="metrics must have 'f1'.* got loss"):
            checkpoints.save(1, states.state(), {}, {"loss": 1.0})
        assert checkpoints.steps() == []
    with pytest.raises(ValueError, match="keep must be at least 1, got 0"):
        Checkpoints(tmp_path, keep=0)


def test_an_error_on_the_way_out_hides_no_other(tmp_path, caplog):
    with pytest.raises(KeyError, match="mine"), Checkpoints(tmp_path) as checkpoints:
        checkpoints.wait = lambda: (_ for _ in ()).throw(CheckpointError("disk"))
        raise KeyError("mine")
    assert "the last checkpoint was not written" in caplog.text


def test_the_record_can_be_read_by_people(tmp_path):
    saved(tmp_path, 1)
    record = json.loads((tmp_path / "1" / "record" / "metadata").read_text())
    assert record["extra"] == {"step": 1}
    assert record["leaves"]["params/half"].keys() == {"shape", "dtype", "fingerprint"}
