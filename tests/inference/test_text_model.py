"""Fine-tuned encoders: whatever the batches and devices, the scores of each text by itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from mmkd_jax import inference, models
from mmkd_jax.data import (
    Question,
    SubwordTokenizer,
    best_answers,
    text_batch,
    tokenize_questions,
    tokenize_texts,
)
from mmkd_jax.methods import FineTune, FineTuneSettings
from mmkd_jax.training import MeshSettings, make_mesh
from tests.programs.benchmarks import WORDS, tiny_encoder

FIRST = [" ".join(WORDS[i : i + 3]) for i in range(11)]
SECOND = [" ".join(WORDS[i : i + 1 + 3 * (i % 4)]) for i in range(11)]
CONTEXT = " ".join(WORDS * 3)
ASKED = [
    Question("a mat", CONTEXT, (), (), "en", "1"),
    Question("who", FIRST[0], (), (), "en", "2"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_encoder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def text_model(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    config, params = models.load_pretrained(folder)

    @functools.cache
    def make(kind):
        method = FineTune(FineTuneSettings(kind=kind, classes=3 * (kind == "classes")), config)
        scaled = jax.tree.map(lambda leaf: 20 * leaf, method.new_heads(jax.random.key(1)))
        params_of = {"encoder": {n: params[n] for n in ("embeddings", "layers")}, "heads": scaled}
        reading = inference.TextReading(max_length=32, stride=8, max_question=4, longest_answer=5)
        labels = ("a", "b", "c") if kind == "classes" else ()
        subwords = SubwordTokenizer(tokenizer)
        return inference.TextModel(method, params_of, subwords, reading, "xnli", labels), tokenizer

    return make


def one_row(rows, number, model):
    batch = text_batch(rows, np.array([number]), 32, model.tokenizer)
    return jax.tree.map(jnp.asarray, batch)


def test_classes_are_those_of_each_pair_alone(text_model):
    model, _ = text_model("classes")
    found = model.classify(FIRST, SECOND, batch_size=4)
    nothing = np.zeros((11, 1), np.int32)
    rows = tokenize_texts(FIRST, SECOND, nothing, nothing[:, 0], model.tokenizer, 32)
    for number in range(11):
        batch = one_row(rows, number, model)
        (alone,) = model.method.outputs(model.params, batch)
        np.testing.assert_allclose(found[number], alone[0], atol=1e-5)
    assert np.ptp(found, axis=0).min() > 0.1
    np.testing.assert_allclose(model.classify(FIRST, SECOND, batch_size=11), found, atol=1e-5)


def test_answers_are_the_best_of_all_windows(text_model):
    model, _ = text_model("spans")
    found = model.answer(ASKED, count=6, batch_size=3)
    rows = tokenize_questions(ASKED, np.zeros(2, int), model.tokenizer, 32, 8, 4)
    starts, ends = [], []
    for window in range(len(rows.rows)):
        batch = one_row(rows.rows, window, model)
        begin = rows.rows.second_begins[window]
        inside = slice(begin, begin + np.diff(rows.rows.second_at)[window, 0])
        one, two = model.method.outputs(model.params, batch)
        starts.append(np.asarray(one[0, inside]))
        ends.append(np.asarray(two[0, inside]))
    expected = best_answers(rows, starts, ends, 6, 5)
    for answers, others, question in zip(found, expected, ASKED, strict=True):
        assert [a.text for a in answers] == [a.text for a in others]
        assert [a.score for a in answers] == pytest.approx([a.score for a in others], abs=1e-4)
        assert all(question.context[a.begin : a.end] == a.text for a in answers)


def test_on_a_mesh_the_results_are_the_same(text_model):
    model, _ = text_model("classes")
    mesh = make_mesh(MeshSettings(data=4, fsdp=2))
    everywhere = NamedSharding(mesh, PartitionSpec())
    spread = jax.device_put(model.params, everywhere)
    other = inference.TextModel(model.method, spread, model.tokenizer, model.reading)
    found = other.classify(FIRST, SECOND, batch_size=5)
    np.testing.assert_allclose(found, model.classify(FIRST, SECOND), atol=1e-5)


@pytest.mark.parametrize("kind", ["classes", "spans"])
def test_what_is_saved_is_what_is_loaded(kind, text_model, tmp_path):
    model, tokenizer = text_model(kind)
    inference.save_text_model(tmp_path, model, tokenizer)
    loaded = inference.load_text_model(tmp_path)
    assert (loaded.task, loaded.labels, loaded.reading) == (
        *("xnli", model.labels),
        model.reading,
    )
    if kind == "classes":
        found, expected = (m.classify(FIRST, SECOND) for m in (loaded, model))
        np.testing.assert_array_equal(found, expected)
    else:
        assert loaded.answer(ASKED) == model.answer(ASKED)


def test_no_more_positions_than_there_are(text_model):
    model, _ = text_model("classes")
    with pytest.raises(ValueError, match="max_length must be at most 64, .* got 65"):
        inference.TextModel(
            model.method, None, model.tokenizer, inference.TextReading(max_length=65)
        )
    empty = inference.TextModel(model.method, None, model.tokenizer, model.reading)
    with pytest.raises(ValueError, match="params must be set"):
        empty.classify(FIRST)


def test_what_is_no_text_model_is_said(folder, text_model, tmp_path):
    with pytest.raises(FileNotFoundError, match="neither classifier.json nor reader.json"):
        inference.load_text_model(folder)
    model, tokenizer = text_model("spans")
    inference.save_text_model(tmp_path, model, tokenizer)
    models.save_head(tmp_path, "reader", {"task": "xquad"}, model.params["heads"]["reader"])
    with pytest.raises(ValueError, match="reader.json is damaged, or from elsewhere: KeyError"):
        inference.load_text_model(tmp_path)
