import functools
import json
import logging
from typing import Any

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from mmkd_jax import inference, models
from tests.golden import make_sentence_vectors
from tests.inference import sentences as text
from tests.models.minilm import minilm
from tests.models.tiny import GOLDEN

FAMILIES = {
    "bert": {},
    "xlm-roberta": {
        "model_type": "xlm-roberta",
        "pad_id": 1,
        "position_offset": 2,
        "token_types": 1,
        "positions": 42,
    },
    "distilbert": {"model_type": "distilbert", "token_types": 0},
}


@functools.cache
def trained(family: str = "bert") -> tuple[models.EncoderConfig, dict]:
    config = models.EncoderConfig(
        **{
            "vocabulary_size": 17,
            "width": 8,
            "layers": 2,
            "heads": 2,
            "hidden_width": 12,
            "positions": 40,
            "initial_scale": 0.3,
        }
        | FAMILIES[family]
    )
    heads = [] if family == "distilbert" else ["pooler"]
    return config, models.initial_params(config, jax.random.key(0), heads)


def projector(**settings) -> tuple[dict, dict]:
    """Settings and variables, all of these drawn, the running statistics too."""
    settings = {"hidden_width": 6, "width": 4} | settings
    fresh = models.Projection(**settings).init(jax.random.key(0), jax.numpy.ones((2, 8)))
    random = np.random.default_rng(0)
    drawn = jax.tree.map(lambda x: random.uniform(0.5, 1.5, x.shape).astype("f"), fresh)
    for name in ("dense_in", "dense_out"):
        drawn["params"][name] *= random.choice([-1, 1], drawn["params"][name].shape)
    return settings, drawn


def folder(path, family: str = "bert", **head_settings):
    config, params = trained(family)
    tokenizer = text.fast("xlm-roberta" if family == "xlm-roberta" else "bert")
    models.save_pretrained(path, config, params, tokenizer)
    models.save_head(path, "sentence_projector", *projector(**head_settings))
    return path


def in_memory(vectors: str, **changes: Any) -> inference.SentenceEncoder:
    settings, variables = projector()
    head = models.Projection(**settings), variables
    return inference.SentenceEncoder(*trained(), text.fast(), vectors, head, 40, **changes)


# --- What the folder says -----------------------------------------------------------------------


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("vectors", ["cls", "mean", "projected"])
def test_a_saved_layout_is_what_is_loaded(vectors, normalise, tmp_path):
    folder(tmp_path)
    models.save_sentence_layout(tmp_path, vectors, 40, normalise)
    loaded = inference.load_encoder(tmp_path)
    assert (loaded.vectors, loaded.max_length, loaded.normalise) == (vectors, 40, normalise)
    np.testing.assert_allclose(
        loaded.encode(text.SENTENCES, 4),
        in_memory(vectors, normalise=normalise).encode(text.SENTENCES, 4),
        atol=1e-6,
    )


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_the_projector_takes_what_the_folder_is_for(pooling, tmp_path):
    folder(tmp_path)
    models.save_sentence_layout(tmp_path, pooling, 40)
    loaded = inference.load_encoder(tmp_path, "projected")
    expected = in_memory("projected", projected_from=pooling).encode(text.SENTENCES, 4)
    np.testing.assert_allclose(loaded.encode(text.SENTENCES, 4), expected, atol=1e-6)


def test_the_caller_has_the_last_word(tmp_path):
    folder(tmp_path)
    models.save_sentence_layout(tmp_path, "cls", 20)
    loaded = inference.load_encoder(str(tmp_path), "projected", max_length=12, dtype="bfloat16")
    assert (loaded.vectors, loaded.max_length) == ("projected", 12)
    assert loaded.config.dtype == "bfloat16"
    assert loaded.encode([]).shape == (0, 4)


def test_a_layout_replaces_the_one_before(tmp_path):
    folder(tmp_path)
    models.save_sentence_layout(tmp_path, "projected", 40, normalise=True)
    models.save_sentence_layout(tmp_path, "mean", 30)
    listed = json.loads((tmp_path / "modules.json").read_text())
    assert [module["path"] for module in listed] == ["", "1_Pooling"]
    loaded = inference.load_encoder(tmp_path)
    assert (loaded.vectors, loaded.max_length, loaded.normalise) == ("mean", 30, False)
    assert not list(tmp_path.rglob("*.half"))


OLD = {"word_embedding_dimension": 8, "pooling_mode_mean_tokens": False}
POOLINGS = [
    (OLD | {"pooling_mode_cls_token": True}, "cls"),
    (OLD | {"pooling_mode_mean_tokens": True}, "mean"),
    ({"embedding_dimension": 8, "pooling_mode": "cls"}, "cls"),
    ({"embedding_dimension": 8, "pooling_mode": ["mean"]}, "mean"),
]


def sentence_transformers_folder(path, pooling: dict, *types: str):
    folder(path)
    modules = [{"idx": 0, "name": "0", "path": "", "type": f"some.{kind}"} for kind in types]
    (path / "modules.json").write_text(json.dumps(modules))
    (path / "1_Pooling").mkdir()
    (path / "1_Pooling" / "config.json").write_text(json.dumps(pooling))


@pytest.mark.parametrize(("pooling", "vectors"), POOLINGS, ids=str)
def test_folders_of_sentence_transformers_say_it_too(pooling, vectors, tmp_path):
    sentence_transformers_folder(tmp_path, pooling, "Transformer", "Pooling", "Normalize")
    (tmp_path / "sentence_xlm-roberta_config.json").write_text('{"max_seq_length": 24}')
    loaded = inference.load_encoder(tmp_path)
    assert (loaded.vectors, loaded.max_length, loaded.normalise) == (vectors, 24, True)


@pytest.mark.parametrize(
    ("pooling", "found"),
    [
        (OLD | {"pooling_mode_max_tokens": True}, "max"),
        (OLD | {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, "cls and max"),
        ({"pooling_mode": "lasttoken"}, "lasttoken"),
        (OLD, "none"),
    ],
)
def test_poolings_that_are_not_known_are_errors_unless_the_caller_chooses(pooling, found, tmp_path):
    sentence_transformers_folder(tmp_path, pooling, "Transformer", "Pooling")
    with pytest.raises(ValueError, match=rf"1_Pooling/config.json: .* got {found};"):
        inference.load_encoder(tmp_path)
    assert inference.load_encoder(tmp_path, "mean").vectors == "mean"


def test_modules_that_are_not_known_are_errors_too(tmp_path):
    sentence_transformers_folder(tmp_path, POOLINGS[0][0], "Transformer", "Pooling", "Dense")
    with pytest.raises(ValueError, match="modules.json: Dense is not known here"):
        inference.load_encoder(tmp_path)


def test_a_folder_that_says_nothing_gives_means_and_says_so(tmp_path, caplog):
    folder(tmp_path)
    with caplog.at_level(logging.INFO, "mmkd_jax"):
        loaded = inference.load_encoder(tmp_path)
    assert (loaded.vectors, loaded.max_length, loaded.normalise) == ("mean", 40, False)
    assert "does not say what the vector of a sentence is: taking the mean" in caplog.text


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="call models.save_pretrained"):
        models.save_sentence_layout(tmp_path, "mean", 40)
    models.save_pretrained(tmp_path, *trained(), text.fast())
    for call in (
        lambda: models.save_sentence_layout(tmp_path, "projected", 40),
        lambda: inference.load_encoder(tmp_path, "projected"),
    ):
        with pytest.raises(FileNotFoundError, match="Heads in this folder: none"):
            call()
    with pytest.raises(ValueError, match="vectors must be one of cls, mean, projected"):
        models.save_sentence_layout(tmp_path, "max", 40)
    with pytest.raises(ValueError, match="projected_from must be cls or mean"):
        models.save_sentence_layout(tmp_path, "projected", 40, projected_from="projected")
    with pytest.raises(ValueError, match="max_length must be at least 1"):
        models.save_sentence_layout(tmp_path, "mean", 0)


# --- Beside sentence-transformers ---------------------------------------------------------------


def test_a_real_model_gives_the_vectors_of_sentence_transformers():
    loaded = inference.load_encoder(minilm())
    assert (loaded.vectors, loaded.max_length, loaded.normalise) == ("mean", 256, True)
    expected = load_file(GOLDEN.parent / "sentence_vectors.safetensors")["vectors"]
    found = loaded.encode(make_sentence_vectors.SENTENCES, batch_size=6)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("layout", "last_norm"),
    [
        (("cls", 20), True),
        (("mean", 20, True), True),
        (("mean", 20), True),
        (("projected", 20, True), True),
        (("projected", 20, False, "mean"), False),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_sentence_transformers_gives_the_same_vectors(family, layout, last_norm, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder(tmp_path, family, last_norm=last_norm)
    models.save_sentence_layout(tmp_path, *layout)
    theirs = sentence_transformers.SentenceTransformer(str(tmp_path), device="cpu")
    assert theirs.max_seq_length == 20
    expected = theirs.encode(text.SENTENCES, show_progress_bar=False)
    found = inference.load_encoder(tmp_path).encode(text.SENTENCES, 4)
    np.testing.assert_allclose(found, expected, atol=1e-5)
