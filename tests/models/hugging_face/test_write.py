import json

import jax
import numpy as np
import pytest
from jax.sharding import AxisType
from safetensors.numpy import load_file

from mmkd_jax import models
from tests.losses import checks
from tests.models import tiny


@pytest.mark.parametrize("name", tiny.NAMES)
def test_what_was_loaded_is_saved_bit_by_bit(name, tmp_path):
    config, params = models.load_pretrained(tiny.GOLDEN / name)
    models.save_pretrained(tmp_path, config, params)
    tiny.assert_same(*(load_file(d / "model.safetensors") for d in (tiny.GOLDEN / name, tmp_path)))
    again, loaded = models.load_pretrained(tmp_path)
    assert again == config
    tiny.assert_same(loaded, params)


def test_padded_and_sharded_parameters_are_saved_without_padding(tmp_path):
    auto = (AxisType.Auto,) * 3
    mesh = jax.make_mesh((2, 2, 2), ("data", "fsdp", "model"), axis_types=auto)
    config, params = models.load_pretrained(tiny.GOLDEN / "bert", mesh=mesh)
    assert config.vocabulary_rows == 128
    models.save_pretrained(tmp_path, config, params)
    tiny.assert_same(
        *(load_file(d / "model.safetensors") for d in (tiny.GOLDEN / "bert", tmp_path))
    )
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == 29


def test_large_models_are_saved_in_parts(tmp_path):
    config, params = models.load_pretrained(tiny.GOLDEN / "bert")
    models.save_pretrained(tmp_path, config, params, file_size=3000)
    parts = sorted(tmp_path.glob("*.safetensors"))
    assert len(parts) > 2
    assert parts[0].name == f"model-00001-of-{len(parts):05d}.safetensors"
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    whole = {}
    for part in parts:
        tensors = load_file(part)
        assert len(tensors) == 1 or sum(t.nbytes for t in tensors.values()) <= 3000
        assert all(index["weight_map"][name] == part.name for name in tensors)
        whole |= tensors
    tiny.assert_same(whole, load_file(tiny.GOLDEN / "bert" / "model.safetensors"))
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in whole.values())
    tiny.assert_same(models.load_pretrained(tmp_path)[1], params)
    # A later, smaller export leaves nothing of this one behind.
    models.save_pretrained(tmp_path, config, params)
    assert [path.name for path in tmp_path.glob("model*")] == ["model.safetensors"]


@pytest.mark.parametrize(
    ("heads", "first"),
    [((), "embeddings"), (("pooler",), "embeddings"), (("masked_lm",), "bert")],
)
def test_the_prefix_is_there_with_heads(heads, first, tmp_path):
    models.save_pretrained(tmp_path, tiny.config(), tiny.params(heads))
    names = load_file(tmp_path / "model.safetensors")
    assert f"{first}." in {name.partition(".")[0] + "." for name in names}
    assert any(name.startswith("bert.") for name in names) == (first == "bert")
    tiny.assert_same(models.load_pretrained(tmp_path)[1], tiny.params(heads))


def test_a_tokenizer_is_saved_beside(tmp_path):
    class Tokenizer:
        def save_pretrained(self, directory):
            (directory / "tokenizer.json").write_text("{}")

    models.save_pretrained(tmp_path / "new", tiny.config(), tiny.params(), Tokenizer())
    assert (tmp_path / "new" / "tokenizer.json").exists()


def test_dtypes_are_named(tmp_path):
    models.save_pretrained(tmp_path, tiny.config(), tiny.params(), dtype="bfloat16")
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == "bfloat16"
    assert {str(t.dtype) for t in load_file(tmp_path / "model.safetensors").values()} == {
        "bfloat16"
    }
    with checks.rejected("dtype must be one of float32, float16, bfloat16, got 'int8'"):
        models.save_pretrained(tmp_path, tiny.config(), tiny.params(), dtype="int8")


def broken(change) -> dict:
    params = jax.tree.map(lambda x: x, tiny.params())
    change(params)
    return params


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p.update(tagger={}), "may hold embeddings, layers, masked_lm, .*, got .*tagger"),
        (lambda p: p["layers"].pop("1"), "params has no layers/1/attention/key/bias"),
        (lambda p: p["layers"]["0"].update(x=np.ones(1)), "params has a strange layers/0/x"),
        (
            lambda p: p["embeddings"].update(words=np.ones((30, 8))),
            r"embeddings/words must be \(29, 8\), got \(30, 8\)",
        ),
    ],
)
def test_wrong_parameters_are_named_and_nothing_is_written(change, message, tmp_path):
    with checks.rejected(message):
        models.save_pretrained(tmp_path, tiny.config(), broken(change))
    assert not list(tmp_path.iterdir())
