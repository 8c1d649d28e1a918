"""The training step: the same on one device and on many, in one piece and in several."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import models
from mmkd_jax.methods import LevelWeights
from mmkd_jax.training import (
    AccumulationSettings,
    MeshSettings,
    OptimizerSettings,
    TrainState,
    batch_sharding,
    encoder_shardings,
    gatherer,
    loss_of,
    make_mesh,
    make_optimizer,
    make_step,
    put_batch,
    replicated,
    sharded_state,
    shardings_of,
    state_shapes,
)
from tests.methods.test_mmkd import SETTINGS, batch, world

OPTIMIZER = OptimizerSettings(
    learning_rate=1e-2, reference_batch=0, warmup=0.0, schedule="constant", clip_norm=1.0
)


def without_dropout(settings=SETTINGS):
    method, params, stats, frozen = world(settings)
    student = dataclasses.replace(method.student, dropout=0.0, attention_dropout=0.0)
    return dataclasses.replace(method, student=student), params, stats, frozen


def optimizer_of(method, settings=OPTIMIZER):
    return make_optimizer(settings, 100, 8, method.is_trained)


def new(method, params, stats, settings=OPTIMIZER):
    params = jax.tree.map(jnp.copy, params)
    optimizer = optimizer_of(method, settings)
    average = jax.tree.map(jnp.copy, params) if settings.average else ()
    return TrainState(jnp.zeros((), jnp.int32), params, stats, optimizer.init(params), average)


@functools.cache
def on_one_device():
    method, params, stats, frozen = without_dropout()
    step = jax.jit(make_step(method, optimizer_of(method), seed=0))
    return step(new(method, params, stats), frozen, batch())


def assert_near(found, expected, atol):
    flat, _ = jax.tree_util.tree_flatten_with_path(expected)
    for (path, leaf), other in zip(flat, jax.tree.leaves(found), strict=True):
        name = jax.tree_util.keystr(path)
        np.testing.assert_allclose(np.asarray(other), leaf, atol=atol, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("shape", [(8, 1, 1), (4, 2, 1), (2, 2, 2)])
def test_eight_devices_are_one_device(shape):
    method, params, stats, frozen = without_dropout()
    mesh = make_mesh(MeshSettings(data=shape[0], fsdp=shape[1], model=shape[2]))
    known = encoder_shardings(method.student, mesh, ("masked_lm",), ("encoder",))
    optimizer = optimizer_of(method)
    shapes = state_shapes(params, stats, optimizer, False, known, mesh)
    where = shardings_of(params, known, mesh)
    state = sharded_state(
        jax.device_put(jax.tree.map(jnp.copy, params), where), stats, optimizer, False, shapes
    )
    of_teacher = encoder_shardings(method.teacher, mesh, (), ("teacher",))
    frozen = jax.device_put(frozen, shardings_of(frozen, of_teacher, mesh))
    pairs = put_batch(jax.tree.map(np.asarray, batch()), mesh, parts=1)
    assert pairs.tlm_ids.sharding.is_equivalent_to(batch_sharding(mesh), 2)
    step = jax.jit(make_step(method, optimizer, 0, gather=gatherer(known, mesh)))
    after, metrics = step(state, frozen, pairs)
    expected, expected_metrics = on_one_device()
    assert_near(metrics, expected_metrics, atol=1e-5)
    # Adam divides by the gradient's own size: compare what it was given, not only what it made.
    assert_near(first_moments(after), first_moments(expected), atol=1e-5)
    if shape != (8, 1, 1):
        table = after.params["encoder"]["embeddings"]["words"]
        assert table.addressable_data(0).size < table.size
        moments = first_moments(after)["encoder"]["embeddings"]["words"]
        assert moments.addressable_data(0).size < moments.size


def first_moments(state):
    found = {}
    flat, _ = jax.tree_util.tree_flatten_with_path(state.optimizer)
    for path, leaf in flat:
        names = [str(getattr(p, "key", getattr(p, "name", ""))) for p in path]
        if "mu" in names:
            branch = found
            *parents, last = names[names.index("mu") + 1 :]
            for parent in parents:
                branch = branch.setdefault(parent, {})
            branch[last] = leaf
    return found


def gradients_with(accumulation, settings=SETTINGS):
    method, params, stats, frozen = without_dropout(settings)
    step = jax.jit(make_step(method, optimizer_of(method), 0, accumulation))
    return step(new(method, params, stats), frozen, batch())


@pytest.mark.parametrize("pieces", [2, 4])
def test_pieces_compared_as_a_batch_are_one_big_batch(pieces):
    after, metrics = gradients_with(AccumulationSettings(pieces=pieces, across="batch"))
    expected, expected_metrics = on_one_device()
    assert_near(metrics, expected_metrics, atol=1e-5)
    assert_near(first_moments(after), first_moments(expected), atol=1e-5)
    assert_near(after.stats, expected.stats, atol=1e-5)


def test_pieces_by_themselves_are_one_big_batch_but_for_what_compares_examples():
    weights = LevelWeights(sentence=0.0, structure=0.0)
    settings = dataclasses.replace(SETTINGS, weights=weights)
    after, metrics = gradients_with(AccumulationSettings(pieces=4), settings)
    expected, expected_metrics = gradients_with(AccumulationSettings(), settings)
    assert_near(metrics, expected_metrics, atol=1e-5)
    assert_near(first_moments(after), first_moments(expected), atol=1e-5)


def test_a_piece_by_itself_is_its_own_batch():
    _, metrics = gradients_with(AccumulationSettings(pieces=2))
    method, params, stats, frozen = without_dropout()
    halves = []
    for start in (0, 1):
        piece = jax.tree.map(lambda rows: rows[start::2], batch())  # noqa: B023
        halves.append(loss_of(method, params, stats, frozen, piece, None)[1][0]["structure"])
    np.testing.assert_allclose(metrics["structure"], np.mean(halves), rtol=1e-4)


def test_a_loss_that_is_not_finite_changes_nothing_but_the_count():
    method, params, stats, frozen = without_dropout()
    step = jax.jit(make_step(method, optimizer_of(method), seed=0))
    state = new(method, params, stats)
    broken = jax.tree.map(jnp.copy, frozen)
    broken["teacher"]["embeddings"]["words"] *= jnp.nan
    after, metrics = step(state, broken, batch())
    assert metrics["finite"] == 0
    assert not np.isfinite(metrics["word"])
    assert np.isfinite(metrics["token"])
    assert after.step == 1
    same = jax.tree.map(lambda a, b: (a == b).all(), state, after._replace(step=state.step))
    assert all(jax.tree.leaves(same))
    again, metrics = step(after, frozen, batch())
    assert metrics["finite"] == 1
    assert again.step == 2


def test_only_what_is_trained_moves():
    method, params, stats, frozen = without_dropout()
    key = jax.random.key(5)
    kept = models.initial_params(method.student, key, heads=["pooler"])["pooler"]
    params = params | {"encoder": params["encoder"] | {"pooler": kept}}
    step = jax.jit(make_step(method, optimizer_of(method), seed=0))
    state = new(method, params, stats)
    after, _ = step(state, frozen, batch())
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), state.params, after.params)
    assert not any(jax.tree.leaves(moved["encoder"].pop("pooler")))
    assert all(jax.tree.leaves(moved["encoder"]["layers"]))
    assert all(jax.tree.leaves(moved["heads"]["structure"]["projector"]))


def test_the_average_follows():
    method, params, stats, frozen = without_dropout()
    settings = dataclasses.replace(OPTIMIZER, average=0.9)
    step = jax.jit(make_step(method, optimizer_of(method, settings), 0, average=0.9))
    state = new(method, params, stats, settings)
    after, _ = step(state, frozen, batch())
    expected = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, state.average, after.params)
    assert_near(after.average, expected, atol=1e-6)
    assert after.best_params is after.average


def test_pieces_must_divide_the_batch():
    with pytest.raises(ValueError, match="pieces must divide a batch of 8"):
        gradients_with(AccumulationSettings(pieces=3))


def test_a_mesh_must_hold_all_devices():
    assert make_mesh(MeshSettings()).shape["data"] == 8
    assert MeshSettings(data=2, fsdp=-1, model=2).shape(8) == (2, 2, 2)
    with pytest.raises(ValueError, match="8 devices"):
        make_mesh(MeshSettings(data=3))
    with pytest.raises(ValueError, match="-1 at most once"):
        MeshSettings(data=-1, fsdp=-1)


def test_replicated_is_everywhere():
    mesh = make_mesh(MeshSettings())
    assert jax.device_put(jnp.ones(3), replicated(mesh)).is_fully_replicated
