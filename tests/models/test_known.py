import dataclasses
import math

import jax
import pytest

from mmkd_jax import models
from tests.models.minilm import minilm

# Published counts, of transformers' plain encoder with its pooler, where it has one.
COUNTS = {
    "bert-base-cased": 108_310_272,
    "bert-base-chinese": 102_267_648,
    "bert-base-multilingual-cased": 177_853_440,
    "bert-base-multilingual-uncased": 167_356_416,
    "bert-base-uncased": 109_482_240,
    "bert-large-cased": 333_579_264,
    "bert-large-uncased": 335_141_888,
    "distilbert-base-cased": 65_190_912,
    "distilbert-base-multilingual-cased": 134_734_080,
    "distilbert-base-uncased": 66_362_880,
    "distilroberta-base": 82_118_400,
    "google/muril-base-cased": 237_556_224,
    "microsoft/Multilingual-MiniLM-L12-H384": 117_653_760,
    "roberta-base": 124_645_632,
    "roberta-large": 355_359_744,
    "sentence-transformers/LaBSE": 470_926_848,
    "sentence-transformers/all-MiniLM-L12-v2": 33_360_000,
    "sentence-transformers/all-MiniLM-L6-v2": 22_713_216,
    "xlm-roberta-base": 278_043_648,
    "xlm-roberta-large": 559_890_432,
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_as_many_as_published(name):
    config = models.known_config(name)
    heads = [] if config.model_type == "distilbert" else ["pooler"]
    leaves = jax.tree.leaves(models.abstract_params(config, heads))
    assert sum(math.prod(leaf.shape) for leaf in leaves) == COUNTS[name]


def test_minilm_is_what_its_folder_says():
    config, _ = models.load_pretrained(minilm())
    assert models.known_config("sentence-transformers/all-MiniLM-L6-v2") == config


@pytest.mark.parametrize(
    "name", ["bert-base-cased", "distilbert-base-cased", "xlm-roberta-base", "distilroberta-base"]
)
def test_defaults_are_those_of_transformers(name):
    """What is written and read again by way of config.json is the same."""
    from mmkd_jax.models._hugging_face.configs import from_hugging_face, to_hugging_face

    config = models.known_config(name)
    assert from_hugging_face(to_hugging_face(config, [], "float32")) == config


def test_the_hub_has_two_names_for_some():
    assert models.known_config("bert-base-cased") == models.KNOWN["google-bert/bert-base-cased"]
    assert models.known_config("xlm-roberta-large") == models.known_config(
        "FacebookAI/xlm-roberta-large"
    )
    assert "distilbert/distilbert-base-multilingual-cased" in models.KNOWN
    assert models.known_config("muril-base-cased") is None


def test_no_network_is_needed_for_their_configs():
    found = models.read_config("google-bert/bert-base-cased", dtype="bfloat16")
    assert found == models.known_config("bert-base-cased", dtype="bfloat16")


def test_fields_can_be_set():
    plain = models.known_config("bert-base-multilingual-cased")
    changed = models.known_config("bert-base-multilingual-cased", layers=3, dtype="bfloat16")
    assert changed == dataclasses.replace(plain, layers=3, dtype="bfloat16")
    with pytest.raises(TypeError):
        models.known_config("bert-base-cased", layer=3)


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        models.KNOWN["bert-base-cased"] = None
