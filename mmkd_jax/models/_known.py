"""The sizes of well-known models of the Hugging Face hub, for those who have no network."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mmkd_jax.models._config import EncoderConfig


def known_config(name: str, **overrides: Any) -> EncoderConfig | None:
    """The config of a model of the hub, by its name alone.

    It is the one that `load_pretrained` would find there, so that shapes, memory and compiled
    programs can be had before any weight is.

    Example:
      >>> from mmkd_jax import models
      >>> config = models.known_config("xlm-roberta-base", dtype="bfloat16")
      >>> print(config.vocabulary_size, config.width, config.longest, config.dtype)
      250002 768 512 bfloat16
      >>> print(models.known_config("someone/something"))
      None

    Args:
      name: An id of the hub. Models that the hub moved into a namespace go by both names, such as
        "bert-base-cased" and "google-bert/bert-base-cased".
      overrides: Fields of `EncoderConfig` to set.

    Returns:
      The config, or None if the name is not in `KNOWN`.
    """
    config = KNOWN.get(name)
    return config and dataclasses.replace(config, **overrides)


def _bert(vocabulary: int, width: int = 768, layers: int = 12, heads: int = 12) -> EncoderConfig:
    return EncoderConfig(
        vocabulary_size=vocabulary,
        width=width,
        layers=layers,
        heads=heads,
        hidden_width=4 * width,
        positions=512,
    )


def _distilbert(vocabulary: int) -> EncoderConfig:
    return dataclasses.replace(_bert(vocabulary, layers=6), model_type="distilbert", token_types=0)


def _roberta(
    vocabulary: int,
    width: int = 768,
    layers: int = 12,
    heads: int = 12,
    model_type: str = "roberta",
) -> EncoderConfig:
    return dataclasses.replace(
        _bert(vocabulary, width, layers, heads),
        model_type=model_type,
        positions=514,
        position_offset=2,
        pad_id=1,
        token_types=1,
        layer_norm_epsilon=1e-5,
    )


def _xlm_roberta(width: int = 768, layers: int = 12, heads: int = 12) -> EncoderConfig:
    return _roberta(250002, width, layers, heads, "xlm-roberta")


# English BERT has 30522 tokens in lower case and 28996 in both; the multilingual one 119547.
_MODELS = {
    "google-bert/bert-base-cased": _bert(28996),
    "google-bert/bert-base-chinese": _bert(21128),
    "google-bert/bert-base-german-cased": _bert(30000),
    "google-bert/bert-base-multilingual-cased": _bert(119547),
    "google-bert/bert-base-multilingual-uncased": _bert(105879),
    "google-bert/bert-base-uncased": _bert(30522),
    "google-bert/bert-large-cased": _bert(28996, 1024, 24, 16),
    "google-bert/bert-large-uncased": _bert(30522, 1024, 24, 16),
    "google/muril-base-cased": _bert(197285),
    "google/muril-large-cased": _bert(197285, 1024, 24, 16),
    "distilbert/distilbert-base-cased": _distilbert(28996),
    "distilbert/distilbert-base-multilingual-cased": _distilbert(119547),
    "distilbert/distilbert-base-uncased": _distilbert(30522),
    "distilbert/distilroberta-base": _roberta(50265, layers=6),
    "FacebookAI/roberta-base": _roberta(50265),
    "FacebookAI/roberta-large": _roberta(50265, 1024, 24, 16),
    "FacebookAI/xlm-roberta-base": _xlm_roberta(),
    "FacebookAI/xlm-roberta-large": _xlm_roberta(1024, 24, 16),
    # The tokenizer is XLM-R's, the architecture BERT's, and the table has some rows to spare.
    "microsoft/Multilingual-MiniLM-L12-H384": _bert(250037, 384),
    "sentence-transformers/LaBSE": _bert(501153),
    "sentence-transformers/all-MiniLM-L12-v2": _bert(30522, 384),
    "sentence-transformers/all-MiniLM-L6-v2": _bert(30522, 384, 6),
    "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2": _bert(250037, 384),
    "sentence-transformers/paraphrase-multilingual-mpnet-base-v2": _xlm_roberta(),
}
# Models of these had names without a namespace once, and still answer to them.
_MOVED = ("google-bert", "distilbert", "FacebookAI")

KNOWN: Mapping[str, EncoderConfig] = MappingProxyType(
    _MODELS
    | {
        name.partition("/")[2]: config
        for name, config in _MODELS.items()
        if name.partition("/")[0] in _MOVED
    }
)
