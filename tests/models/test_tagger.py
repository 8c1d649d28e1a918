"""Taggers of every make: legal, frozen where they should be, the same on many devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mmkd_jax import crf, losses, models, tags
from tests.losses.checks import rejected

BIO, BIOES = (tags.TagSet.of_types(["PER", "LOC"], scheme) for scheme in ("BIO", "BIOES"))
POS = tags.TagSet(["NOUN", "VERB", "DET"])
ENCODER = models.EncoderConfig(
    vocabulary_size=30, width=8, layers=1, heads=2, hidden_width=16, positions=12
)
RECURRENT = models.RecurrentConfig(words=9, word_width=4, width=3)
B, W, T = 8, 5, 9
LENGTHS = np.array([5, 3, 1, 0, 2, 5, 4, 3])
WORD_MASK = np.arange(W) < LENGTHS[:, None]
RANDOM = np.random.default_rng(0)
BATCH = {
    "word_mask": WORD_MASK,
    "words": RANDOM.integers(0, 9, (B, W)),
    # [CLS], then every word as one subword, the first as three, then padding.
    "ids": RANDOM.integers(1, 30, (B, T)),
    "word_of": np.where(
        np.arange(T) < LENGTHS[:, None] + 3, np.array([-1, 0, 0, 0, 1, 2, 3, 4, -1]), -1
    ),
    "mask": np.arange(T) < LENGTHS[:, None] + 3,
}
BATCH = {name: jnp.asarray(value) for name, value in BATCH.items()}
TAGGERS = {
    "transformer": models.TaggerConfig(tags=BIO, encoder=ENCODER),
    "recurrent": models.TaggerConfig(tags=POS, recurrent=RECURRENT, kind="softmax"),
    "recurrent on a frozen transformer": models.TaggerConfig(
        tags=BIOES,
        encoder=ENCODER,
        recurrent=RECURRENT,
        freeze_encoder=True,
        pooling="mean",
        constrained=True,
    ),
}


def initial(config):
    return models.Tagger(config).init(jax.random.key(0), **BATCH)


@pytest.mark.parametrize("name", TAGGERS)
def test_learns_and_keeps_what_is_frozen(name):
    config = TAGGERS[name]
    tagger, variables = models.Tagger(config), initial(config)
    gold = np.where(WORD_MASK, RANDOM.integers(0, 3, (B, W)), -1)
    if config.constrained:
        gold = np.where(WORD_MASK, BIOES.index("S-PER"), -1)

    @jax.jit
    def step(variables):
        def loss(variables):
            return losses.crf_nll(tagger.apply(variables, **BATCH), gold).mean()

        value, gradient = jax.value_and_grad(loss)(variables)
        return value, gradient, jax.tree.map(lambda p, g: p - 0.3 * g, variables, gradient)

    first, gradient, changed = step(variables)
    for _ in range(10):
        last, _, changed = step(changed)
    assert last < first
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))
    of_encoder = jax.tree.leaves(gradient["params"].get("encoder", {}))
    if config.freeze_encoder:
        assert all((g == 0).all() for g in of_encoder)
    elif config.encoder is not None:
        assert any((g != 0).any() for g in of_encoder)


@pytest.mark.parametrize("name", TAGGERS)
def test_shards_make_no_difference(name):
    config = TAGGERS[name]
    tagger, variables = models.Tagger(config), initial(config)
    mesh = Mesh(np.array(jax.devices()), ("data",))
    placed = jax.device_put(BATCH, NamedSharding(mesh, PartitionSpec("data")))

    @jax.jit
    def marginals(variables, batch):
        return crf.marginals(tagger.apply(variables, **batch))

    np.testing.assert_allclose(marginals(variables, placed), marginals(variables, BATCH), atol=1e-6)


SCORES = hnp.arrays(np.float32, (2, W, 8), elements=st.floats(-100, 100, width=16))
HEADS = {
    (tags_, kind): models.TagHead(tags_, kind, constrained=True)
    for tags_ in (BIO, BIOES)
    for kind in ("crf", "softmax")
}


@pytest.mark.parametrize(("tags_", "kind"), HEADS, ids=str)
def test_constrained_taggers_are_legal(tags_, kind):
    head = HEADS[tags_, kind]
    variables = head.init(jax.random.key(0), jnp.ones((2, W, 8)), jnp.array([W, 2]))
    # Scores as they come: the emissions are the features.
    wide = {"kernel": jnp.eye(8, len(tags_)), "bias": jnp.zeros(len(tags_))}
    variables = {"params": variables["params"] | wide}

    @jax.jit
    def decode(features, lengths):
        return crf.viterbi(head.apply(variables, features, lengths))[0]

    @given(SCORES, st.integers(1, W))
    def legal(features, length):
        for sentence in np.asarray(decode(features, jnp.array([W, length]))):
            tags.check_legal(tags_.decode(sentence), tags_.scheme)

    legal()


def test_a_softmax_tagger_decides_on_each_tag_alone():
    head = models.TagHead(POS, "softmax")
    features = jnp.asarray(RANDOM.standard_normal((2, W, 8)), jnp.float32)
    chain, variables = head.init_with_output(jax.random.key(0), features, jnp.array([W, 2]))
    assert set(variables["params"]) == {"kernel", "bias"}
    expected = jax.nn.softmax(chain.emissions[0])
    np.testing.assert_allclose(crf.marginals(chain)[0], expected, atol=1e-6)


def test_narrow_features_give_wide_scores():
    features = jnp.ones((2, W, 8), jnp.bfloat16)
    chain, _ = models.TagHead(BIO).init_with_output(jax.random.key(0), features)
    assert chain.emissions.dtype == jnp.float32


def test_dropout_is_keyed_and_a_frozen_encoder_has_none():
    frozen = models.TaggerConfig(tags=BIO, encoder=ENCODER, freeze_encoder=True, dropout=0.0)
    free = dataclasses.replace(frozen, freeze_encoder=False)
    variables = initial(frozen)

    def emissions(config, seed):
        keys = {"rngs": {"dropout": jax.random.key(seed)}, "deterministic": False}
        return np.asarray(models.Tagger(config).apply(variables, **BATCH, **keys).emissions)

    np.testing.assert_array_equal(emissions(frozen, 1), emissions(frozen, 2))
    np.testing.assert_array_equal(emissions(free, 1), emissions(free, 1))
    assert (emissions(free, 1) != emissions(free, 2)).any()


@pytest.mark.parametrize("name", TAGGERS)
def test_saved_and_loaded(name, tmp_path):
    config, variables = TAGGERS[name], initial(TAGGERS[name])
    models.save_head(tmp_path, "tagger", config.to_dict(), variables)
    settings, found = models.load_head(tmp_path, "tagger")
    assert models.TaggerConfig.from_dict(settings) == config
    jax.tree.map(np.testing.assert_array_equal, found, variables)
    assert config.to_dict() == settings


def test_configs_are_hashable_and_contradictions_named():
    assert len({*TAGGERS.values(), *TAGGERS.values()}) == len(TAGGERS)
    for changes, message in (
        ({"encoder": None}, "encoder and recurrent must not both be None"),
        ({"kind": "hmm"}, "kind must be one of crf, softmax, got 'hmm'"),
        ({"tags": POS, "constrained": True}, "constrained needs tags of a scheme"),
        ({"dropout": 1.0}, "dropout must lie in"),
    ):
        with rejected(message):
            dataclasses.replace(TAGGERS["transformer"], **changes)
    without = {name: value for name, value in BATCH.items() if name != "word_of"}
    with pytest.raises(ValueError, match="ids, mask and word_of must be given"):
        models.Tagger(TAGGERS["transformer"]).init(jax.random.key(0), **without)
