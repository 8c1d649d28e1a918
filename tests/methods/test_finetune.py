"""The losses of fine-tuning against cross-entropies that numpy computes from the scores."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmkd_jax import models
from mmkd_jax.data import (
    Question,
    TextData,
    text_batch,
    tokenize_questions,
    tokenize_texts,
)
from mmkd_jax.methods import FineTune, FineTuneSettings, Method
from mmkd_jax.methods.finetune import may_answer
from mmkd_jax.training import AccumulationSettings, TrainState, loss_of, make_step
from tests.data.vocabularies import TEXTS, words_of_letters

CLASSES = FineTuneSettings(kind="classes", classes=3, dropout=0.0)
SPANS = FineTuneSettings(kind="spans", classes=0, dropout=0.0)
WIDTH = 48


@functools.cache
def data_of(settings: FineTuneSettings) -> TextData:
    tokenizer = words_of_letters()
    if settings.kind == "classes":
        numbers = np.arange(4)
        return tokenize_texts(
            TEXTS[:4], TEXTS[1:5], numbers[:, None] % 3, 0 * numbers, tokenizer, WIDTH
        )
    words = TEXTS[0].split()
    asked = [Question(w, TEXTS[0], (w,), (TEXTS[0].index(w),)) for w in words[:4]]
    return tokenize_questions(asked, np.zeros(4, int), tokenizer, WIDTH, stride=8).rows


def batch_of(settings, examples=(0, 1, 2, 3), width=WIDTH):
    made = text_batch(data_of(settings), np.array(examples), width, words_of_letters())
    return jax.tree.map(jnp.asarray, made)


@functools.cache
def world(settings, **changes):
    config = models.EncoderConfig(
        vocabulary_size=words_of_letters().vocabulary_size,
        width=8,
        layers=1,
        heads=2,
        hidden_width=16,
        positions=64,
        initial_scale=0.3,
        **{"dropout": 0.0, "attention_dropout": 0.0} | changes,
    )
    method = FineTune(settings, config)
    encoder = models.initial_params(config, jax.random.key(0))
    return method, {"encoder": encoder, "heads": method.new_heads(jax.random.key(1))}


@functools.cache
def jitted(method):
    return jax.jit(functools.partial(loss_of, method))


def loss(method, params, batch, key=None):
    return jitted(method)(params, {}, {}, batch, key)


def log_softmax(scores):
    scores = np.asarray(scores, np.float64)
    return scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("settings", [CLASSES, SPANS], ids=["classes", "spans"])
def test_is_the_mean_cross_entropy(settings):
    method, params = world(settings)
    assert isinstance(method, Method)
    batch = batch_of(settings)
    outputs = method.outputs(params, batch)
    rows = np.arange(4)
    found = [-log_softmax(s)[rows, np.asarray(batch.target)[:, k]] for k, s in enumerate(outputs)]
    value, (metrics, stats) = loss(method, params, batch)
    assert value == pytest.approx(float(np.mean(found)), rel=1e-5)
    right = np.all([s.argmax(axis=1) == batch.target[:, k] for k, s in enumerate(outputs)], axis=0)
    assert metrics["right"] == pytest.approx(float(right.mean()))
    assert stats == {}


def test_answers_lie_in_the_context_or_nowhere():
    method, params = world(SPANS)
    data, batch = data_of(SPANS), batch_of(SPANS)
    allowed = np.asarray(may_answer(batch))
    for row in range(4):
        begin = data.second_begins[row]
        end = begin + np.diff(data.second_at)[row, 0]
        assert np.flatnonzero(allowed[row]).tolist() == [0, *range(begin, end)]
    for scores in method.outputs(params, batch):
        assert (np.isfinite(scores) == allowed).all()
    assert allowed[np.arange(4), batch.target.T].all()


@pytest.mark.parametrize("settings", [CLASSES, SPANS], ids=["classes", "spans"])
def test_empty_rows_and_padding_change_nothing(settings):
    method, params = world(settings)
    few, padded = batch_of(settings, (0, 2)), batch_of(settings, (0, -1, 2, -1), WIDTH + 8)
    of = jax.value_and_grad(lambda params, batch: loss(method, params, batch)[0])
    one, other = of(params, few), of(params, padded)
    assert one[0] == pytest.approx(float(other[0]), rel=1e-5)
    for a, b in zip(jax.tree.leaves(one[1]), jax.tree.leaves(other[1]), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    nothing = batch_of(settings, (-1, -1))
    value, gradient = of(params, nothing)
    assert value == 0
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_in_pieces_it_is_the_same_step():
    method, params = world(CLASSES)
    optimizer = optax.sgd(1.0)
    state = TrainState(jnp.zeros((), jnp.int32), params, {}, optimizer.init(params), ())
    found = []
    for pieces in (1, 2):
        step = make_step(method, optimizer, 0, AccumulationSettings(pieces=pieces))
        found.append(jax.jit(step)(state, {}, batch_of(CLASSES)))
    assert found[0][1]["loss"] == pytest.approx(float(found[1][1]["loss"]), rel=1e-5)
    for a, b in zip(*(jax.tree.leaves(new.params) for new, _ in found), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("settings", [CLASSES, SPANS], ids=["classes", "spans"])
def test_learns_by_heart(settings):
    method, params = world(settings)
    batch, optimizer = batch_of(settings), optax.adam(0.02)

    @jax.jit
    def step(params, state):
        (_, (metrics, _)), found = jax.value_and_grad(
            lambda p: loss_of(method, p, {}, {}, batch, None), has_aux=True
        )(params)
        updates, state = optimizer.update(found, state, params)
        return optax.apply_updates(params, updates), state, metrics["right"]

    state = optimizer.init(params)
    for _ in range(60):
        params, state, right = step(params, state)
    assert right == 1


def test_dropout_is_keyed_in_encoder_and_head():
    for changes, dropout in (({"dropout": 0.5}, 0.0), ({}, 0.5)):
        method, params = world(FineTuneSettings(classes=3, dropout=dropout), **changes)
        batch = batch_of(CLASSES)
        one, same, other, none = (
            loss(method, params, batch, key)[0] for key in (*map(jax.random.key, (1, 1, 2)), None)
        )
        assert one == same
        assert len({float(one), float(other), float(none)}) == 3


def test_a_classifier_begins_with_the_pooler_of_its_checkpoint():
    method, _ = world(CLASSES)
    pooler = {"kernel": jnp.full((8, 8), 0.5), "bias": jnp.ones(8)}
    head = method.new_heads(jax.random.key(0), pooler)["classifier"]
    np.testing.assert_array_equal(head["pooler_kernel"], pooler["kernel"])
    np.testing.assert_array_equal(head["pooler_bias"], pooler["bias"])
    assert set(world(SPANS)[0].new_heads(jax.random.key(0), pooler)["reader"]) == {
        "span_kernel",
        "span_bias",
    }


def test_what_is_counted():
    method, _ = world(CLASSES)
    one, padded = batch_of(CLASSES, (0, 2)), batch_of(CLASSES, (0, -1, 2), WIDTH + 8)
    assert method.tokens(one) == method.tokens(padded) == int(one.mask.sum())
    assert method.flops(one) == method.flops(padded) > 0


@pytest.mark.parametrize("wrong", [{"classes": 1}, {"kind": "spans"}, {"classes": 0}])
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match="kind must|classes must"):
        FineTuneSettings(**wrong)
