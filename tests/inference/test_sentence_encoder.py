import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import data, inference, models
from mmkd_jax.inference import _sentence_encoder
from tests.inference import sentences as text

CONFIG = models.EncoderConfig(
    vocabulary_size=17,
    width=8,
    layers=2,
    heads=2,
    hidden_width=12,
    positions=40,
    initial_scale=0.3,
)


@functools.cache
def params(seed: int = 0) -> dict:
    return models.initial_params(CONFIG, jax.random.key(seed), ["pooler"])


@functools.cache
def projection() -> tuple[models.Projection, dict]:
    """Its running statistics are not those it starts with."""
    module = models.Projection(hidden_width=6, width=4)
    vectors = 3 + jax.random.normal(jax.random.key(0), (32, 8))
    variables = module.init(jax.random.key(1), vectors)
    _, moved = module.apply(variables, vectors, deterministic=False, mutable=["batch_stats"])
    return module, {"params": variables["params"], **moved}


def encoder(**changes) -> inference.SentenceEncoder:
    fields = {
        "config": CONFIG,
        "params": params(),
        "tokenizer": text.with_template(),
        "projection": projection(),
        "max_length": 40,
    }
    return inference.SentenceEncoder(**fields | changes)


@functools.cache
def one_by_one(vectors: str, max_length: int = 40) -> np.ndarray:
    """Each sentence alone, as long as the longest there can be."""
    run = jax.jit(models.Encoder(CONFIG).apply)
    found = []
    for sentence in text.SENTENCES:
        ids = text.with_template().encode(sentence).ids
        ids = [*ids[: max_length - 1], ids[-1]] if len(ids) > max_length else ids
        row = jnp.array([ids + [0] * (40 - len(ids))])
        hidden, _ = run({"params": params()}, row, jnp.arange(40)[None] < len(ids))
        one = hidden[:, : len(ids)].mean(axis=1) if vectors == "mean" else hidden[:, 0]
        if vectors == "projected":
            module, variables = projection()
            one = module.apply(variables, one)
        found.append(one[0])
    return np.stack(found)


def close(found, expected, atol=2e-6):
    np.testing.assert_allclose(found, expected, atol=atol)


@pytest.mark.parametrize("vectors", ["cls", "mean", "projected"])
def test_vectors_are_those_of_each_sentence_alone_in_the_order_asked(vectors):
    found = encoder(vectors=vectors).encode(text.SENTENCES, batch_size=4)
    assert found.dtype == np.float32
    assert found.shape == (len(text.SENTENCES), encoder(vectors=vectors).width)
    close(found, one_by_one(vectors))


def test_long_texts_lose_their_end_and_keep_the_last_special_token():
    found = encoder(max_length=5).encode(text.SENTENCES, batch_size=4)
    close(found, one_by_one("mean", 5))
    assert np.abs(found - one_by_one("mean")).max() > 0.1


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8])
def test_any_number_of_sentences(count):
    found = encoder().encode(text.SENTENCES[:count], batch_size=4)
    assert found.shape == (count, 8)
    close(found, one_by_one("mean")[:count])


TOKENIZERS = {
    "adds no special tokens": text.bare,
    "with a template": text.with_template,
    "of transformers": text.fast,
    "for subwords": lambda: data.SubwordTokenizer(text.bare()),
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers_of_every_kind_give_the_same(name):
    tokenizer = TOKENIZERS[name]()
    close(encoder(tokenizer=tokenizer).encode(text.SENTENCES, 4), one_by_one("mean"))
    close(
        encoder(tokenizer=tokenizer, max_length=5).encode(text.SENTENCES, 4),
        one_by_one("mean", 5),
    )


def test_the_tokenizer_of_the_caller_is_left_as_it_is():
    tokenizer = text.with_template()
    tokenizer.enable_padding(length=7)
    before = tokenizer.to_str()
    close(encoder(tokenizer=tokenizer).encode(text.SENTENCES, 4), one_by_one("mean"))
    assert tokenizer.to_str() == before


@pytest.mark.parametrize("vectors", ["mean", "projected"])
def test_other_parameters_compile_nothing(vectors):
    encoder(vectors=vectors).encode(text.SENTENCES, batch_size=4)
    compiled = _sentence_encoder._vectors._cache_size()
    module, variables = projection()
    other = dataclasses.replace(module), jax.tree.map(jnp.copy, variables)
    changed = encoder(params=None, vectors=vectors, projection=other)
    changed.params = params(1)
    found = changed.encode(text.SENTENCES[::-1], batch_size=4)[::-1]
    assert _sentence_encoder._vectors._cache_size() == compiled
    assert np.abs(found - one_by_one(vectors)).max() > 0.1


def test_rows_have_few_lengths():
    assert _sentence_encoder._lengths(128) == [16, 32, 64, 128]
    assert _sentence_encoder._lengths(512) == [16, 32, 64, 128, 256, 512]
    assert _sentence_encoder._lengths(2000) == [64, 128, 256, 512, 1024, 2000]
    assert _sentence_encoder._lengths(100) == [16, 32, 64, 100]
    assert _sentence_encoder._lengths(16) == [16]
    assert _sentence_encoder._lengths(5) == [5]


def test_batches_have_few_shapes_and_every_row_once():
    random = np.random.default_rng(0)
    rows = [random.integers(1, 9, n).astype(np.int32) for n in random.integers(2, 101, 203)]
    batches = list(_sentence_encoder._batches(rows, 8, _sentence_encoder._lengths(100), pad=0))
    assert {ids.shape for _, ids, _ in batches} == {(8, n) for n in (16, 32, 64, 100)}
    assert sorted(np.concatenate([numbers for numbers, _, _ in batches])) == list(range(203))
    for numbers, ids, mask in batches:
        for row, number in enumerate(numbers):
            np.testing.assert_array_equal(ids[row][mask[row]], rows[number])
        assert not mask[len(numbers) :].any()
        assert not ids[~mask].any()


def test_normalised_vectors_have_length_one():
    found = encoder().encode(text.SENTENCES, 4, normalise=True)
    expected = one_by_one("mean") / np.linalg.norm(one_by_one("mean"), axis=1, keepdims=True)
    close(found, expected)
    always = encoder(normalise=True)
    close(always.encode(text.SENTENCES, 4), expected)
    close(always.encode(text.SENTENCES, 4, normalise=False), one_by_one("mean"))


def test_bfloat16_gives_float32_vectors_that_are_near():
    config = dataclasses.replace(CONFIG, dtype="bfloat16")
    found = encoder(config=config).encode(text.SENTENCES, 4)
    assert found.dtype == np.float32
    close(found, one_by_one("mean"), atol=0.1)


@pytest.mark.parametrize("batch_size", [8, 3])
def test_parameters_on_a_mesh_stay_there(batch_size):
    mesh = jax.make_mesh(
        (2, 2, 2), ("data", "fsdp", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 3
    )
    spread = jax.device_put(params(), models.param_shardings(CONFIG, mesh, heads=["pooler"]))
    found = encoder(params=spread, vectors="projected").encode(text.SENTENCES, batch_size)
    close(found, one_by_one("projected"))


def test_a_bar_counts_sentences(capsys):
    encoder().encode(text.SENTENCES, 4, progress=True)
    assert "9/9" in capsys.readouterr().err
    encoder().encode(text.SENTENCES, 4)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vectors": "max"}, "vectors must be one of cls, mean, projected, got 'max'"),
        ({"vectors": "projected", "projection": None}, "projection must be given"),
        ({"projected_from": "projected"}, "projected_from must be cls or mean"),
        ({"max_length": 41}, "max_length must lie in 3..40"),
        ({"max_length": 2}, "max_length must lie in 3..40"),
    ],
)
def test_what_cannot_be_is_an_error(changes, message):
    with pytest.raises(ValueError, match=message):
        encoder(**changes)


def test_wrong_calls_are_errors():
    with pytest.raises(ValueError, match="put it into a list"):
        encoder().encode("the river")
    with pytest.raises(ValueError, match="params must be set"):
        encoder(params=None).encode(["the river"])
    with pytest.raises(ValueError, match="batch_size"):
        encoder().encode(["the river"], batch_size=0)
    with pytest.raises(ValueError, match="tokenizer must be a fast one"):
        encoder(tokenizer=str.split).encode(["the river"])
