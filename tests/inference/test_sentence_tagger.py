"""Sentences in, tags and their probabilities out."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf, data, inference, models
from mmkd_jax.crf import LinearChain
from mmkd_jax.data import TaggedSentence, WordVocabulary
from mmkd_jax.inference import _sentence_tagger
from mmkd_jax.methods import Structured, StructuredSettings
from mmkd_jax.tags import TagSet
from tests.inference import sentences as text

SPANS, POS = TagSet.of_types(["X", "Y"], "BIOES"), TagSet(["NOUN", "VERB", "DET"])
VOCABULARY = WordVocabulary.of_words(text.WORDS, min_count=1, longest=6)
ENCODER = models.EncoderConfig(
    vocabulary_size=17, width=8, layers=1, heads=2, hidden_width=12, positions=12, initial_scale=0.5
)
RECURRENT = models.RecurrentConfig(
    words=VOCABULARY.word_count,
    word_width=4,
    characters=VOCABULARY.character_count,
    character_width=3,
    filters=4,
    width=3,
)
CONFIGS = {
    "words": models.TaggerConfig(tags=SPANS, recurrent=RECURRENT, constrained=True),
    "softmax": models.TaggerConfig(tags=POS, recurrent=RECURRENT, kind="softmax"),
    "encoder": models.TaggerConfig(tags=SPANS, encoder=ENCODER, pooling="mean"),
    "both": models.TaggerConfig(
        tags=POS, encoder=ENCODER, recurrent=RECURRENT, freeze_encoder=True
    ),
}
SENTENCES = [
    ["the", "river"],
    [],
    ["a", "small", "house", "was", "sold"],
    ["somethingelse", "."],
    ["week"],
]


@functools.cache
def tagger(name, max_length=12):
    config = CONFIGS[name]
    tokenizer = text.fast() if config.encoder is not None else None
    one = jnp.ones((1, 1), int)
    inputs = {"words": one, "characters": one[..., None]}
    if config.encoder is not None:
        inputs |= {"ids": one, "mask": one, "word_of": 0 * one}
    made = models.Tagger(config).init(jax.random.key(0), one > 0, **inputs)["params"]
    # Scores far from 0, so that sequences differ.
    leaves, tree = jax.tree.flatten(made["head"])
    keys = jax.random.split(jax.random.key(1), len(leaves))
    made["head"] = jax.tree.unflatten(
        tree, [2 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    )
    vocabulary = VOCABULARY if config.recurrent is not None else None
    return inference.SentenceTagger(config, made, tokenizer, vocabulary, max_length, ("de", "fr"))


@functools.cache
def method_of(name):
    return jax.jit(Structured(StructuredSettings(), CONFIGS[name]).chain)


def chain_of(name, words) -> LinearChain:
    """The chain of one sentence alone, in a row of 8 words."""
    model = tagger(name)
    tokenizer = None if model.tokenizer is None else data.SubwordTokenizer(model.tokenizer)
    numbered = data.tokenize_tagged(
        {"": [TaggedSentence(tuple(words), ())]}, model.config.tags, tokenizer, 12, model.vocabulary
    )
    batch = data.tagged_batch(numbered, np.array([0]), 8, 12, tokenizer)
    return method_of(name)(model.params, batch)


@pytest.mark.parametrize("name", CONFIGS)
def test_says_of_each_sentence_what_its_chain_says(name):
    names = CONFIGS[name].tags
    found = tagger(name)(SENTENCES, k_best=3)
    assert [tagging.words for tagging in found] == [tuple(words) for words in SENTENCES]
    for words, tagging in zip(SENTENCES, found, strict=True):
        if not words:
            assert tagging.tags == tagging.spans == () and tagging.probability == 1.0
            continue
        chain = chain_of(name, words)
        [best], [score] = crf.viterbi(chain)
        assert tagging.tags == tuple(names.decode(np.asarray(best)))
        [total], [marginals] = crf.log_partition(chain), np.asarray(crf.marginals(chain))
        marginals, best = marginals[: len(words)], np.asarray(best)[: len(words)]
        assert tagging.probability == pytest.approx(float(jnp.exp(score - total)), rel=1e-4)
        expected = marginals[np.arange(len(words)), best]
        np.testing.assert_allclose(tagging.probabilities, expected, rtol=1e-4)
        np.testing.assert_allclose(tagging.marginals, marginals, rtol=1e-4, atol=1e-6)
        [paths], [scores] = crf.k_best(chain, 3)
        guessed = [guess.tags for guess in tagging.guesses]
        assert guessed == [tuple(names.decode(np.asarray(path))) for path in paths]
        probabilities = [guess.probability for guess in tagging.guesses]
        np.testing.assert_allclose(probabilities, jnp.exp(scores - total), rtol=1e-4)
        assert tagging.guesses[0].tags == tagging.tags
        for span in tagging.spans:
            kind = names.types.index(span.type)
            asked = jnp.array([[[span.start, span.end, kind]]])
            [[sure]] = inference.span_probabilities(chain, names, asked)
            assert span.probability == pytest.approx(float(sure), rel=1e-4)
            assert span.text == " ".join(words[span.start : span.end])
    if names.scheme is None:
        assert not any(tagging.spans for tagging in found)


def test_there_are_spans_to_be_seen():
    assert sum(len(tagging.spans) for tagging in tagger("words")(SENTENCES)) > 2


@pytest.mark.parametrize("name", CONFIGS)
def test_neighbours_and_batches_change_nothing(name):
    one, other = tagger(name)(SENTENCES), tagger(name)(SENTENCES, batch_size=2)
    for tagging, same in zip(one, other, strict=True):
        assert (tagging.tags, tagging.words) == (same.tags, same.words)
        np.testing.assert_allclose(tagging.probabilities, same.probabilities, rtol=1e-4)
    assert tagger(name).tag(SENTENCES, batch_size=2) == [tagging.tags for tagging in one]


def test_texts_are_split_and_spans_are_where_they_stand():
    given = "The  river: a house!"
    [tagging] = tagger("words")([given])
    assert tagging.words == ("The", "river", ":", "a", "house", "!")
    assert [given[start:end] for start, end in tagging.places] == list(tagging.words)
    for span in tagging.spans:
        start, end = tagging.places[span.start][0], tagging.places[span.end - 1][1]
        assert span.text == given[start:end]
    [same] = tagger("words")([tagging.words])
    assert same.tags == tagging.tags and same.places is None


def test_texts_are_split_as_those_that_the_tagger_has_learned_from(tmp_path):
    other = dataclasses.replace(tagger("words"), split="aspects")
    inference.save_tagger(tmp_path, other)
    loaded = inference.load_tagger(tmp_path)
    assert loaded.split == "aspects" and tagger("words").split == "text"
    [tagging] = loaded(["The river's house"])
    assert tagging.words == ("The", "river", "'", "s", "house")
    assert tagging.places == ((0, 3), (4, 9), (9, 10), (10, 11), (12, 17))


def test_sentences_beyond_the_limit_are_read_in_windows_and_decoded_whole():
    words = ["a", "small", "house", "by", "the", "river", "houses", "."] * 5
    narrow = tagger("encoder", max_length=8)
    [tagging] = narrow([words])
    assert len(tagging.tags) == len(words)
    [emissions], scores = narrow.emissions([words])
    assert emissions.shape == (len(words), len(SPANS))
    chain = LinearChain(emissions[None], **scores)
    assert tagging.tags == tuple(SPANS.decode(np.asarray(crf.viterbi(chain)[0][0])))
    expected = float(jnp.exp(crf.viterbi(chain)[1] - crf.log_partition(chain))[0])
    assert tagging.probability == pytest.approx(expected, rel=1e-3)
    # Every word is read as in some window: here the first one, alone.
    [first], _ = narrow.emissions([words[:6]])
    np.testing.assert_allclose(emissions[:3], first[:3], rtol=1e-4, atol=1e-5)
    # And among short ones the order stays.
    several = narrow([["week"], words, ["river"]])
    assert [tagging.words for tagging in several] == [("week",), tuple(words), ("river",)]
    assert several[1].tags == tagging.tags


def test_a_text_on_one_line_is_not_read_as_many(monkeypatch):
    words, seen = SENTENCES[2] * 4, []  # 20 words, in rows of 32
    expected = tagger("words").tag([words, *SENTENCES])
    read = _sentence_tagger._chain

    def chain(config, params, batch):
        seen.append(batch.tags.shape)
        return read(config, params, batch)

    monkeypatch.setattr(_sentence_tagger, "_chain", chain)
    monkeypatch.setattr(_sentence_tagger, "_SLOTS", 64)
    assert tagger("words").tag([words, *SENTENCES]) == expected
    assert seen == [(2, 32), (8, 8)]


def test_a_word_that_alone_is_too_long_loses_its_end():
    words = ["the", "house" + "s" * 30, "river"]
    [tagging] = tagger("encoder", max_length=8)([words])
    assert len(tagging.tags) == 3 and tagging.words == tuple(words)


@pytest.mark.parametrize("name", CONFIGS)
def test_comes_back_as_saved(tmp_path, name):
    model = tagger(name)
    inference.save_tagger(tmp_path, model)
    loaded = inference.load_tagger(tmp_path)
    assert (loaded.languages, loaded.max_length) == (("de", "fr"), 12)
    assert loaded.vocabulary == model.vocabulary
    for one, other in zip(loaded(SENTENCES), model(SENTENCES), strict=True):
        assert one.tags == other.tags
        np.testing.assert_allclose(one.probabilities, other.probabilities, rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tagger("words")("a text"), "sentences must be a list, got a text"),
        (lambda: tagger("words").tag("a text"), "sentences must be a list, got a text"),
        (lambda: tagger("words").tag(["a text"]), "sentences must be lists of words here, got a"),
        (lambda: tagger("words")([["a"]], k_best=-1), "k_best must be at least 0, got -1"),
        (lambda: tagger("words").tag([["a"]], 0), "batch_size must be at least 1, got 0"),
        (lambda: dataclasses.replace(tagger("words"), params=None)(["a"]), "params must be set"),
        (lambda: dataclasses.replace(tagger("words"), vocabulary=None), "vocabulary must be given"),
        (lambda: dataclasses.replace(tagger("encoder"), tokenizer=None), "tokenizer must be given"),
        (lambda: tagger("encoder", max_length=13), r"max_length must lie in 3\.\.12"),
        (
            lambda: dataclasses.replace(tagger("words"), split="tweets"),
            "split must be one of text, a",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_folder_without_a_tagger_says_what_is_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="tagger.safetensors: not there"):
        inference.load_tagger(tmp_path)
