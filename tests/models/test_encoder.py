import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from mmkd_jax import models
from tests.losses import checks
from tests.models import tiny
from tests.models.minilm import minilm

CHOICES = [
    {"scan_layers": True},
    {"remat": "full"},
    {"remat": "dots"},
    {"remat": "dots", "scan_layers": True},
]


def states(extras) -> np.ndarray:
    return np.concatenate([extras["embeddings"][None], extras["layers"]])


@pytest.mark.parametrize("name", tiny.NAMES)
def test_hidden_states_are_those_of_pytorch(name):
    expected = tiny.golden(name)
    config, params = models.load_pretrained(tiny.GOLDEN / name)
    arguments = expected["ids"], expected["mask"], expected.get("token_types")
    hidden, extras = tiny.run(config, params, *arguments)
    np.testing.assert_allclose(states(extras), expected["hidden"], atol=2e-5)
    np.testing.assert_array_equal(hidden, extras["layers"][-1])


def test_a_real_checkpoint_has_the_hidden_states_of_pytorch():
    config, params = models.load_pretrained(minilm())
    expected = load_file(tiny.GOLDEN / "minilm" / "expected.safetensors")
    _, extras = tiny.run(config, params, expected["ids"], expected["mask"])
    there = expected["mask"][:, ::5]
    some = states(extras)[:, :, ::5, ::24]
    np.testing.assert_allclose(some[:, there], expected["hidden"][:, there], atol=2e-4)


def test_a_real_tokenizer_gives_the_same_tokens():
    transformers = pytest.importorskip("transformers")
    # Those of tests/golden/make_models.py.
    sentences = [
        "A small house by the river was sold last week.",
        "Who wrote it?",
        "In 1969, after 8 days, three astronauts came back from the Moon; "
        "millions had watched them.",
    ]
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm())
    batch = tokenizer(sentences, padding=True, return_tensors="np")
    expected = load_file(tiny.GOLDEN / "minilm" / "expected.safetensors")
    np.testing.assert_array_equal(batch["input_ids"], expected["ids"])
    np.testing.assert_array_equal(batch["attention_mask"], expected["mask"])


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_how_layers_are_run_changes_neither_outputs_nor_gradients(choice):
    ids, mask = tiny.batch(4)
    params = tiny.params(())
    plain, other = tiny.config(), tiny.config(**choice)
    tiny.assert_close(
        tiny.run(plain, params, ids, mask), tiny.run(other, params, ids, mask), atol=2e-6
    )
    one, two = (tiny.gradient(config, params, ids, mask) for config in (plain, other))
    tiny.assert_close(one, two, atol=1e-3, rtol=1e-4)


def test_dropout_too_is_the_same_however_layers_are_run():
    ids, mask = tiny.batch(4)
    key = jax.random.key(5)
    plain, *others = (
        tiny.run(tiny.config(**choice), tiny.params(()), ids, mask, None, key, False)[0]
        for choice in ({}, *CHOICES[:2])
    )
    for other in others:
        np.testing.assert_allclose(other, plain, atol=2e-6)


def test_any_batch_axes():
    ids, mask = tiny.batch(2, 3)
    hidden, extras = tiny.run(tiny.config(), tiny.params(()), ids, mask)
    flat, flat_extras = tiny.run(
        tiny.config(), tiny.params(()), ids.reshape(6, 7), mask.reshape(6, 7)
    )
    assert extras["layers"].shape == (2, 2, 3, 7, 8)
    np.testing.assert_allclose(hidden.reshape(flat.shape), flat, atol=2e-6)
    np.testing.assert_allclose(
        extras["layers"].reshape(flat_extras["layers"].shape), flat_extras["layers"], atol=2e-6
    )
    alone, _ = tiny.run(tiny.config(), tiny.params(()), ids[0, 1], mask[0, 1])
    np.testing.assert_allclose(alone, hidden[0, 1], atol=2e-6)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_what_is_behind_the_mask_is_not_looked_at(name):
    config, params = models.load_pretrained(tiny.GOLDEN / name)
    expected = tiny.golden(name)
    ids, mask = expected["ids"], expected["mask"]
    hidden, _ = tiny.run(config, params, ids, mask)
    # RoBERTa counts what is padding by its number; here another token stands there.
    changed, _ = tiny.run(config, params, np.where(mask, ids, 9).astype(np.int32), mask)
    np.testing.assert_allclose(changed[mask], hidden[mask], atol=2e-6)
    assert np.abs(changed[~mask] - hidden[~mask]).max() > 0.1


def test_a_mask_of_numbers_is_a_mask():
    ids, mask = tiny.batch(4)
    expected, _ = tiny.run(tiny.config(), tiny.params(()), ids, mask)
    for dtype in (np.int32, np.float32):
        hidden, _ = tiny.run(tiny.config(), tiny.params(()), ids, mask.astype(dtype))
        np.testing.assert_array_equal(hidden, expected)


def test_segments_are_0_where_not_given():
    ids, mask = tiny.batch(4)
    plain, _ = tiny.run(tiny.config(), tiny.params(()), ids, mask)
    zeros, _ = tiny.run(tiny.config(), tiny.params(()), ids, mask, np.zeros_like(ids))
    ones, _ = tiny.run(tiny.config(), tiny.params(()), ids, mask, np.ones_like(ids))
    np.testing.assert_allclose(zeros, plain, atol=2e-6)
    assert np.abs(ones - plain).max() > 0.1


@pytest.mark.parametrize("length", [0, 7])
def test_sentences_without_tokens_are_finite(length):
    ids = np.zeros((2, length), np.int32)
    mask = np.zeros((2, length), bool)
    params = tiny.params(())
    hidden, _ = tiny.run(tiny.config(), params, ids, mask)
    assert hidden.shape == (2, length, 8)
    assert np.isfinite(hidden).all()
    for name, gradient in tiny.leaves(tiny.gradient(tiny.config(), params, ids, mask)).items():
        assert np.isfinite(gradient).all(), name


def test_every_parameter_has_a_gradient():
    ids, mask = tiny.batch(4)
    gradients = tiny.gradient(tiny.config(), tiny.params(()), ids, mask)
    for name, gradient in tiny.leaves(gradients).items():
        # A key's bias adds the same to all scores of a query, which changes no weight.
        if "['key']['bias']" not in name:
            assert np.abs(gradient).max() > 1e-4, name


def test_bfloat16_is_near_float32():
    ids, mask = tiny.batch(4)
    params = tiny.params(())
    narrow, extras = tiny.run(tiny.config(dtype="bfloat16"), params, ids, mask)
    assert {narrow.dtype, extras["layers"].dtype, extras["embeddings"].dtype} == {
        jnp.dtype("bfloat16")
    }
    wide, _ = tiny.run(tiny.config(), params, ids, mask)
    error = np.abs(narrow.astype("f") - wide).max() / np.abs(wide).max()
    assert 1e-4 < error < 2e-2
    gradients = tiny.gradient(tiny.config(dtype="bfloat16"), params, ids, mask)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("kind", ["hash", "threefry2x32"])
def test_dropout_is_off_by_default_and_follows_its_key(kind):
    config = tiny.config(dropout_key=kind)
    ids, mask = tiny.batch(4)
    run = functools.partial(tiny.run, config, tiny.params(()), ids, mask, None)
    off = run()[0]
    np.testing.assert_array_equal(off, run(jax.random.key(0))[0])
    on = run(jax.random.key(0), False)[0]
    np.testing.assert_array_equal(on, run(jax.random.key(0), False)[0])
    assert np.abs(on - off).max() > 0.1
    assert np.abs(on - run(jax.random.key(1), False)[0]).max() > 0.1


def test_kinds_of_keys_differ():
    ids, mask = tiny.batch(4)
    one, two = (
        tiny.run(
            tiny.config(dropout_key=kind),
            tiny.params(()),
            ids,
            mask,
            None,
            jax.random.key(0),
            False,
        )[0]
        for kind in ("hash", "threefry2x32")
    )
    assert np.abs(one - two).max() > 0.1


def test_training_without_a_key_is_an_error():
    ids, mask = tiny.batch(4)
    with pytest.raises(Exception, match="dropout"):
        tiny.run(tiny.config(), tiny.params(()), ids, mask, deterministic=False)


def test_a_token_outside_the_vocabulary_is_not_a_number():
    ids, mask = tiny.batch(4)
    ids[0, 0] = 29
    hidden, _ = tiny.run(tiny.config(), tiny.params(()), ids, mask)
    assert np.isnan(hidden[0]).all()
    assert np.isfinite(hidden[1:]).all()


def test_heads_are_ignored():
    ids, mask = tiny.batch(4)
    with_heads = tiny.params(()) | {"masked_lm": {"bias": jnp.ones(29)}}
    np.testing.assert_array_equal(
        tiny.run(tiny.config(), with_heads, ids, mask)[0],
        tiny.run(tiny.config(), tiny.params(()), ids, mask)[0],
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 7)), np.ones((2, 7), bool)), r"ids must be \[\.\.\., T\] integers"),
        (
            (np.zeros((2, 15), int), np.ones((2, 15), bool)),
            r"ids must be \[\.\.\., T\] with T at most 14",
        ),
        ((np.zeros((2, 7), int), np.ones((2, 6), bool)), r"mask must be .* = \(2, 7\)"),
        (
            (np.zeros((2, 7), int), np.ones((2, 7), bool), np.zeros((2, 6), int)),
            r"token_types must be .* = \(2, 7\)",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    encoder = models.Encoder(tiny.config())
    with checks.rejected(message):
        encoder.apply({"params": tiny.params(())}, *map(jnp.asarray, arguments))


def test_segments_where_there_are_none():
    ids, mask = tiny.batch(2)
    config = tiny.config(token_types=0, model_type="distilbert")
    with pytest.raises(ValueError, match="token_types must be None: a distilbert has none"):
        tiny.run(config, tiny.params((), token_types=0), ids, mask, np.zeros_like(ids))
