"""Sizes of well-known models of the hub, so that their shapes are known without a network."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mmkd_jax.models._config import EncoderConfig

_BASE = {"width": 768, "layers": 12, "heads": 12, "hidden_width": 3072, "positions": 512}
_LARGE = {"width": 1024, "layers": 24, "heads": 16, "hidden_width": 4096, "positions": 512}
_ROBERTA = {
    "positions": 514,
    "position_offset": 2,
    "pad_id": 1,
    "token_types": 1,
    "layer_norm_epsilon": 1e-5,
}
_XLM_R = _ROBERTA | {"vocabulary_size": 250002, "model_type": "xlm-roberta"}
_DISTILLED = _BASE | {"layers": 6, "token_types": 0, "model_type": "distilbert"}

KNOWN: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "bert-base-cased": _BASE | {"vocabulary_size": 28996},
        "bert-base-uncased": _BASE | {"vocabulary_size": 30522},
        "bert-large-cased": _LARGE | {"vocabulary_size": 28996},
        "bert-large-uncased": _LARGE | {"vocabulary_size": 30522},
        "bert-base-multilingual-cased": _BASE | {"vocabulary_size": 119547},
        "bert-base-multilingual-uncased": _BASE | {"vocabulary_size": 105879},
        "distilbert-base-cased": _DISTILLED | {"vocabulary_size": 28996},
        "distilbert-base-uncased": _DISTILLED | {"vocabulary_size": 30522},
        "distilbert-base-multilingual-cased": _DISTILLED | {"vocabulary_size": 119547},
        "roberta-base": _BASE | _ROBERTA | {"vocabulary_size": 50265, "model_type": "roberta"},
        "roberta-large": _LARGE | _ROBERTA | {"vocabulary_size": 50265, "model_type": "roberta"},
        "xlm-roberta-base": _BASE | _XLM_R,
        "xlm-roberta-large": _LARGE | _XLM_R,
        "all-MiniLM-L6-v2": {
            "vocabulary_size": 30522,
            "width": 384,
            "layers": 6,
            "heads": 12,
            "hidden_width": 1536,
            "positions": 512,
        },
    }
)
# Who keeps them on the hub; the older names are without.
_OWNERS = ("google-bert", "FacebookAI", "distilbert", "sentence-transformers")


def known_config(name: str, **overrides: Any) -> EncoderConfig | None:
    """The config of a well-known model of the hub, or None.

    >>> from mmkd_jax import models
    >>> models.known_config("FacebookAI/xlm-roberta-base").longest
    512

    Args:
      name: With or without its owner.
      overrides: Fields of `EncoderConfig` to set.
    """
    owner, _, short = name.rpartition("/")
    if short not in KNOWN or owner not in ("", *_OWNERS):
        return None
    return EncoderConfig(**dict(KNOWN[short]) | overrides)
