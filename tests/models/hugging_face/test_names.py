import json

import pytest
from safetensors import safe_open

from mmkd_jax.models._hugging_face import names
from mmkd_jax.models._hugging_face.configs import from_hugging_face
from tests.models import tiny


@pytest.mark.parametrize("name", tiny.NAMES)
def test_names_and_shapes_are_those_that_transformers_writes(name):
    directory = tiny.GOLDEN / name
    config = from_hugging_face(json.loads((directory / "config.json").read_text()))
    with safe_open(directory / "model.safetensors", "np") as file:
        stored = {
            names.without_prefix(name, key): tuple(file.get_slice(key).get_shape())
            for key in file.keys()  # noqa: SIM118 (a file is no dict)
        }
    heads = names.heads_of(name, stored)
    assert heads == (list(tiny.HEADS) if name == "bert" else ["masked_lm"])
    listed = names.tensors(config, heads)
    assert {tensor.name: tensor.file_shape(config) for tensor in listed} == stored
    assert len({tensor.name for tensor in listed}) == len(listed)


@pytest.mark.parametrize(
    ("model_type", "written", "name"),
    [
        ("bert", "bert.embeddings.LayerNorm.gamma", "embeddings.LayerNorm.weight"),
        ("bert", "embeddings.LayerNorm.beta", "embeddings.LayerNorm.bias"),
        ("bert", "module.bert.pooler.dense.bias", "pooler.dense.bias"),
        ("roberta", "model.roberta.pooler.dense.bias", "pooler.dense.bias"),
        ("roberta", "lm_head.bias", "lm_head.bias"),
        (
            "distilbert",
            "distilbert.transformer.layer.0.ffn.lin1.bias",
            "transformer.layer.0.ffn.lin1.bias",
        ),
    ],
)
def test_one_name_for_all_spellings(model_type, written, name):
    assert names.without_prefix(model_type, written) == name


def test_the_pooler_belongs_to_the_encoder_and_heads_do_not():
    assert not names.is_heads("bert", "pooler.dense.weight")
    assert names.is_heads("bert", "cls.seq_relationship.bias")
    assert names.is_heads("distilbert", "vocab_layer_norm.weight")
