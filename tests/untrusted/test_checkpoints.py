"""Folders of strangers' models: config.json, safetensors, and what lies beside them."""

import json
import shutil
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax import inference, models
from tests.models import tiny
from tests.untrusted.damage import damaged
from tests.untrusted.own_errors import only_own_errors

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
ABSURD = st.sampled_from([-1, 0, 1, 2**31, 2**63, 10**30, 1e308, "768", [768], True, None])


def golden(name: str) -> tuple[dict, bytes]:
    """The content of config.json, and the weights."""
    folder = tiny.GOLDEN / name
    return json.loads((folder / "config.json").read_text()), (
        folder / "model.safetensors"
    ).read_bytes()


def load(config: bytes, weights: bytes, beside: dict[str, bytes] | None = None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {
            "config.json": config,
            "model.safetensors": weights,
            **(beside or {}),
        }.items():
            Path(folder, name).write_bytes(content)
        models.load_pretrained(folder)


@pytest.mark.parametrize("name", tiny.NAMES)
@given(drawn=st.data())
def test_fields_of_config_json(name, drawn):
    content, weights = golden(name)
    names = st.sampled_from(sorted(content)) | st.sampled_from(["type_vocab_size", "is_decoder"])
    changes = drawn.draw(st.dictionaries(names, ABSURD | JSON, min_size=1, max_size=2))
    with only_own_errors():
        load(json.dumps(content | changes).encode(), weights)


@given(drawn=st.data())
def test_bytes_of_config_json(drawn):
    content, weights = golden("bert")
    with only_own_errors():
        load(drawn.draw(damaged(json.dumps(content).encode())), weights)


@given(drawn=st.data())
def test_bytes_of_weights(drawn):
    content, weights = golden("bert")
    with only_own_errors():
        load(json.dumps(content).encode(), drawn.draw(damaged(weights)))


@given(drawn=st.data())
def test_headers_of_weights(drawn):
    content, weights = golden("bert")
    size = struct.unpack("<Q", weights[:8])[0]
    header = json.loads(weights[8 : 8 + size])
    name = drawn.draw(st.sampled_from(sorted(header)))
    field = drawn.draw(st.sampled_from(["shape", "dtype", "data_offsets"]))
    values = (
        JSON | st.lists(ABSURD, max_size=3) | st.sampled_from(["I64", "F64", "F8_E4M3", "BOOL"])
    )
    header[name] = dict(header[name]) | {field: drawn.draw(values)}
    changed = json.dumps(header).encode()
    with only_own_errors():
        load(
            json.dumps(content).encode(),
            struct.pack("<Q", len(changed)) + changed + weights[8 + size :],
        )


@given(names=JSON | st.dictionaries(st.text(max_size=5), JSON))
def test_an_index(names):
    content, weights = golden("bert")
    index = json.dumps({"weight_map": names}).encode()
    with only_own_errors():
        load(json.dumps(content).encode(), weights, {"model.safetensors.index.json": index})


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "..", ""])
def test_an_index_names_nothing_outside_its_folder(name):
    content, weights = golden("bert")
    index = json.dumps({"weight_map": {"a": name}}).encode()
    with pytest.raises(ValueError, match="must name files in its own folder"):
        load(json.dumps(content).encode(), weights, {"model.safetensors.index.json": index})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("vocab_size", 10**12), ("hidden_size", 2**40), ("num_hidden_layers", 10**9)),
        *(("num_attention_heads", 10**9), ("intermediate_size", 10**15), ("hidden_size", 8.0)),
        *(("max_position_embeddings", 10**12), ("type_vocab_size", 10**9), ("vocab_size", True)),
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_built(field, value, monkeypatch):
    """Not even the weights are looked at, here and where a config is read by itself."""
    content, _ = golden("bert")
    text = json.dumps(content | {field: value}).encode()
    with pytest.raises(ValueError, match=f"config.json: {field} must be a whole number, 0 to"):
        load(text, b"")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_bytes(text)
        with pytest.raises(ValueError, match=f"config.json: {field} must be a whole number, 0 to"):
            models.read_config(folder)


def test_damaged_weights_are_named(tmp_path):
    shutil.copytree(tiny.GOLDEN / "bert", tmp_path / "bert")
    weights = tmp_path / "bert" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(
        ValueError, match="bert/model.safetensors is no safetensors file, or is dam"
    ):
        models.load_pretrained(tmp_path / "bert")


@given(drawn=st.data())
def test_heads(drawn):
    with tempfile.TemporaryDirectory() as folder:
        variables = {"params": {"out": tiny.params()["embeddings"]["words"]}}
        models.save_head(folder, "projector", {"width": 2}, variables)
        for name in ("projector.json", "projector.safetensors"):
            path = Path(folder, name)
            path.write_bytes(drawn.draw(damaged(path.read_bytes(), most=2)))
        with only_own_errors():
            models.load_head(folder, "projector")


FILES = {
    "sentence_encoder.json": {
        "vectors": "cls",
        "max_length": 12,
        "normalise": True,
        "projected_from": "cls",
    },
    "sentence_bert_config.json": {"max_seq_length": 12, "do_lower_case": False},
    "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "models.Transformer"}],
    "1_Pooling/config.json": {"pooling_mode_cls_token": True, "pooling_mode": "cls"},
}


@given(drawn=st.data())
def test_layouts_of_sentences(drawn):
    name = drawn.draw(st.sampled_from(sorted(FILES)))
    content = FILES[name]
    if isinstance(content, dict):
        keys = st.sampled_from(sorted(content)) | st.text(max_size=3)
        content = content | drawn.draw(st.dictionaries(keys, ABSURD | JSON, max_size=2))
    text = drawn.draw(st.just(json.dumps(content).encode()) | damaged(json.dumps(content).encode()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
        with only_own_errors():
            layout = models.read_sentence_layout(folder)
            assert layout.vectors in (None, *("cls", "mean", "projected"))


@given(settings=st.dictionaries(st.sampled_from(["config", "languages", "reads_words"]), JSON))
def test_what_describes_a_tagger(settings):
    with tempfile.TemporaryDirectory() as folder:
        models.save_head(folder, "tagger", settings, {"crf": {"start": np.zeros(3, np.float32)}})
        with only_own_errors():
            inference.load_tagger(folder)
