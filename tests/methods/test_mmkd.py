"""MMKD's loss against the losses it is made of, computed one by one; and what it must not do."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import losses, models
from mmkd_jax.data import PairShape, decode_pairs, pair_batch, pair_batch_shapes, row_lengths
from mmkd_jax.methods import MMKD, LevelWeights, Method, MMKDSettings
from mmkd_jax.training import loss_of
from tests.data.corpora import prepared
from tests.data.corpora import student as student_words
from tests.data.corpora import teacher as teacher_words

SETTINGS = MMKDSettings(projection_hidden=6, projection_width=4)
PAIRS = 8


def encoder(vocabulary_size, width=8):
    return models.EncoderConfig(
        vocabulary_size=vocabulary_size,
        width=width,
        layers=1,
        heads=2,
        hidden_width=16,
        positions=64,
        vocabulary_multiple=8,
        initial_scale=0.3,
    )


@functools.cache
def batch(indices=tuple(range(PAIRS))):
    data = prepared(32)
    pairs = decode_pairs(data.read(np.array(indices)), data.layout)
    shape = PairShape(*row_lengths(pairs.lengths, 32).max(axis=0).tolist())
    found = pair_batch(pairs, shape, teacher_words(), student_words(), 32, 0, 0)
    return jax.tree.map(jnp.asarray, found)


@functools.cache
def world(settings=SETTINGS, teacher_width=8):
    method = MMKD(
        settings,
        encoder(teacher_words().vocabulary_size, teacher_width),
        encoder(student_words().vocabulary_size),
    )
    heads, stats, fixed = method.new_heads(jax.random.key(2))
    student = models.initial_params(method.student, jax.random.key(1), heads=["masked_lm"])
    teacher = models.initial_params(method.teacher, jax.random.key(0))
    return method, {"encoder": student, "heads": heads}, stats, {"teacher": teacher, "heads": fixed}


@functools.cache
def jitted(method):
    return jax.jit(functools.partial(loss_of, method), static_argnames=())


def loss(method, params, stats, frozen, pairs, key=None):
    return jitted(method)(params, stats, frozen, pairs, key)


def read(config, params, ids, mask, segments=None):
    return models.Encoder(config).apply({"params": params}, ids, mask, segments)[0]


def test_is_a_method():
    assert isinstance(world()[0], Method)


def test_every_level_is_that_of_the_paper():
    method, params, stats, frozen = world()
    b = batch()
    value, (metrics, _) = loss(method, params, stats, frozen, b)
    student, config = params["encoder"], method.student
    taught = read(method.teacher, frozen["teacher"], b.teacher_ids, b.teacher_mask)

    hidden = read(config, student, b.tlm_ids, b.pair_mask, b.pair_segments)
    logits = models.masked_lm_logits(config, student, hidden, b.tlm_positions)
    token = losses.token_alignment(logits, b.tlm_targets, b.tlm_where)
    token = losses.weighted_mean(token, b.tlm_where.sum(-1))

    hidden = read(config, student, b.word_ids, b.pair_mask, b.pair_segments)
    rows = jnp.arange(PAIRS)[:, None]
    word = losses.word_alignment(
        hidden[rows, b.student_words], taught[rows, b.teacher_words], b.words_masked, b.words_valid
    )
    word = losses.weighted_mean(word, (b.words_masked & b.words_valid).any(-1))

    alone = read(config, student, b.student_ids, b.student_mask)[:, 0]

    def met(level):
        head, statistics = params["heads"][level], stats[level]
        q = alone
        for name, last in (("projector", True), ("predictor", False)):
            q, _ = models.Projection(6, 4, last_norm=last).apply(
                {"params": head[name], "batch_stats": statistics[name]},
                q,
                deterministic=False,
                mutable=["batch_stats"],
            )
        k, _ = models.Projection(6, 4).apply(
            frozen["heads"][level], taught[:, 0], deterministic=False, mutable=["batch_stats"]
        )
        return q, k

    sentence = losses.sentence_alignment(*met("sentence")).mean()
    structure = losses.structure_alignment(*met("structure")).mean()
    expected = {"token": token, "word": word, "sentence": sentence, "structure": structure}
    for name, one in expected.items():
        np.testing.assert_allclose(metrics[name], one, rtol=2e-5, err_msg=name)
    total = token + word + sentence + 10 * structure
    np.testing.assert_allclose(value, total, rtol=2e-5)
    np.testing.assert_allclose(metrics["loss"], total, rtol=2e-5)


@pytest.mark.parametrize("level", ["token", "word", "sentence", "structure"])
def test_a_level_of_weight_zero_costs_nothing(level):
    method, params, stats, frozen = world()
    settings = dataclasses.replace(
        SETTINGS, weights=dataclasses.replace(LevelWeights(), **{level: 0.0})
    )
    without = dataclasses.replace(method, settings=settings)
    value, (metrics, _) = loss(without, params, stats, frozen, batch())
    everything, (all_metrics, _) = loss(method, params, stats, frozen, batch())
    assert set(all_metrics) - set(metrics) == {level}
    weight = 10 if level == "structure" else 1
    np.testing.assert_allclose(value, everything - weight * all_metrics[level], rtol=1e-5)

    def operations(method):
        lowered = jax.jit(functools.partial(loss_of, method)).lower(
            params, stats, frozen, batch(), None
        )
        return lowered.cost_analysis()["flops"]

    assert operations(without) < operations(method)


def test_without_vectors_and_words_the_teacher_is_not_asked():
    weights = LevelWeights(word=0.0, sentence=0.0, structure=0.0)
    method, params, stats, frozen = world(dataclasses.replace(SETTINGS, weights=weights))
    value, (metrics, _) = loss(method, params, stats, {"teacher": {}, "heads": {}}, batch())
    assert set(metrics) == {"loss", "token"}


def test_the_teacher_gets_no_gradient_and_no_dropout():
    method, params, stats, frozen = world()

    def of_frozen(frozen):
        return loss_of(method, params, stats, frozen, batch(), jax.random.key(0))[0]

    gradient = jax.jit(jax.grad(of_frozen))(frozen)
    assert all(not leaf.any() for leaf in jax.tree.leaves(gradient))


def test_dropout_depends_on_the_key_alone():
    method, params, stats, frozen = world()
    one, same, other, none = (
        loss(method, params, stats, frozen, batch(), key)[0]
        for key in (jax.random.key(0), jax.random.key(0), jax.random.key(1), None)
    )
    assert one == same
    assert len({float(one), float(other), float(none)}) == 3


@pytest.mark.parametrize("projection", ["none", "learned"])
@pytest.mark.parametrize("vector", ["cls", "mean"])
def test_vectors_may_meet_without_random_projections(projection, vector):
    weights = LevelWeights(token=0.0, word=0.0)
    settings = MMKDSettings(weights=weights, teacher_projection=projection, sentence_vector=vector)
    method, params, stats, frozen = world(settings)
    _, (metrics, changed) = loss(method, params, stats, frozen, batch())
    b = batch()
    student = read(method.student, params["encoder"], b.student_ids, b.student_mask)
    teacher = read(method.teacher, frozen["teacher"], b.teacher_ids, b.teacher_mask)

    def pooled(hidden, mask):
        if vector == "cls":
            return hidden[:, 0]
        return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)

    q, k = pooled(student, b.student_mask), pooled(teacher, b.teacher_mask)
    if projection == "learned":
        q = q @ params["heads"]["sentence"]["kernel"]
    np.testing.assert_allclose(
        metrics["sentence"], losses.sentence_alignment(q, k).mean(), rtol=1e-5
    )
    assert not changed


def test_a_student_of_another_width_is_mapped_to_its_teacher():
    settings = dataclasses.replace(SETTINGS, teacher_projection="learned")
    method, params, stats, frozen = world(settings, teacher_width=12)
    assert params["heads"]["word"]["kernel"].shape == (8, 12)
    value, _ = loss(method, params, stats, frozen, batch())
    assert np.isfinite(value)
    with pytest.raises(ValueError, match="as wide as its teacher"):
        dataclasses.replace(method, settings=MMKDSettings(teacher_projection="none"))


def test_statistics_move():
    method, params, stats, frozen = world()
    _, (_, changed) = loss(method, params, stats, frozen, batch())
    assert jax.tree.structure(changed) == jax.tree.structure(stats)
    moved = jax.tree.map(lambda old, new: (old != new).any(), stats, changed)
    assert all(jax.tree.leaves(moved))


def test_what_is_kept_for_exports_is_not_trained():
    method, _, _, _ = world()
    assert method.is_trained(("encoder", "layers", "0"))
    assert method.is_trained(("encoder", "masked_lm", "bias"))
    assert method.is_trained(("heads", "sentence", "projector", "dense_in"))
    assert not method.is_trained(("encoder", "pooler", "kernel"))
    without = dataclasses.replace(
        method, settings=dataclasses.replace(SETTINGS, weights=LevelWeights(token=0.0))
    )
    assert not without.is_trained(("encoder", "masked_lm", "bias"))


def test_tokens_and_operations_are_those_that_are_real():
    method = world()[0]
    b = jax.tree.map(np.asarray, batch())
    real = 2 * b.pair_mask.sum() + b.student_mask.sum()
    assert method.tokens(b) == real
    wider = jax.tree.map(lambda x: np.pad(x, [(0, 0), (0, 4)]) if x.ndim > 1 else x, b)
    assert method.flops(wider) == method.flops(b) > 0


def test_shapes_of_a_batch_are_those_of_batches():
    b = batch()
    shape = PairShape(b.teacher_ids.shape[1], b.student_ids.shape[1], b.tlm_ids.shape[1])
    shapes = pair_batch_shapes(PAIRS, shape)
    for name, empty, real in zip(b._fields, shapes, b, strict=True):
        assert (empty.shape, empty.dtype) == (real.shape, real.dtype), name


@pytest.mark.parametrize(
    "wrong", [{"token": -1.0}, {"token": 0.0, "word": 0.0, "sentence": 0.0, "structure": 0.0}]
)
def test_weights_are_checked(wrong):
    with pytest.raises(ValueError, match="weights must"):
        LevelWeights(**wrong)
