"""config.json of transformers, to and from `EncoderConfig`."""

from collections.abc import Collection
from typing import Any

from mmkd_jax.models._config import MODEL_TYPES, EncoderConfig

_BERT = {
    "vocabulary_size": "vocab_size",
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "hidden_width": "intermediate_size",
    "positions": "max_position_embeddings",
    "token_types": "type_vocab_size",
    "pad_id": "pad_token_id",
    "activation": "hidden_act",
    "layer_norm_epsilon": "layer_norm_eps",
    "initial_scale": "initializer_range",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
}
_DISTILBERT = {
    "vocabulary_size": "vocab_size",
    "width": "dim",
    "layers": "n_layers",
    "heads": "n_heads",
    "hidden_width": "hidden_dim",
    "positions": "max_position_embeddings",
    "pad_id": "pad_token_id",
    "activation": "activation",
    "initial_scale": "initializer_range",
    "dropout": "dropout",
    "attention_dropout": "attention_dropout",
}
# What transformers assumes where a config is silent. Sizes are not assumed.
_DEFAULTS = {
    "hidden_act": "gelu",
    "activation": "gelu",
    "layer_norm_eps": 1e-12,
    "initializer_range": 0.02,
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "dropout": 0.1,
    "attention_dropout": 0.1,
}
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
_WRITTEN = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "relu": "relu", "silu": "silu"}
# What another value of would make another model.
_ONLY = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
# Beyond these nobody means it, and nothing must be built or allocated from it.
_LARGEST = {
    "vocabulary_size": 2**24,
    "width": 2**16,
    "layers": 2**12,
    "heads": 2**12,
    "hidden_width": 2**20,
    "positions": 2**22,
    "token_types": 2**16,
    "pad_id": 2**24,
}


def from_hugging_face(content: dict) -> EncoderConfig:
    """Reads a config.json."""
    model_type = content.get("model_type")
    if model_type not in MODEL_TYPES:
        raise ValueError(
            f"config.json: model_type must be one of {', '.join(MODEL_TYPES)}, got {model_type!r}"
        )
    for name, wanted in _ONLY.items():
        if content.get(name, wanted) != wanted:
            raise ValueError(f"config.json: {name} must be {wanted!r}, got {content[name]!r}")
    roberta = model_type in ("roberta", "xlm-roberta")
    values = _DEFAULTS | {"pad_token_id": 1 if roberta else 0} | content
    names = _DISTILBERT if model_type == "distilbert" else _BERT
    if missing := [name for name in names.values() if name not in values]:
        raise ValueError(f"config.json of a {model_type} must hold {', '.join(missing)}")
    fields = {ours: values[theirs] for ours, theirs in names.items()}
    for ours, theirs in names.items():
        fields[ours] = _checked(theirs, fields[ours], _LARGEST.get(ours))
    if fields["activation"] not in _ACTIVATIONS:
        raise ValueError(
            f"config.json: {names['activation']} must be one of {', '.join(_ACTIVATIONS)}, "
            f"got {fields['activation']!r}"
        )
    fields["activation"] = _ACTIVATIONS[fields["activation"]]
    fields.setdefault("token_types", 0)
    offset = fields["pad_id"] + 1 if roberta else 0
    return EncoderConfig(model_type=model_type, position_offset=offset, **fields)


def _checked(name: str, value: Any, largest: int | None) -> Any:
    """The value, if it is a size, a text, or a small number.

    Raises:
      ValueError: It is something else.
    """
    if name in ("hidden_act", "activation"):
        fits, wanted = isinstance(value, str), "a text"
    elif largest is not None:
        fits = type(value) is int and 0 <= value <= largest
        wanted = f"a whole number, 0 to {largest:,}"
    else:
        fits = type(value) in (int, float) and 0 <= value <= 1
        wanted = "a number, 0 to 1"
    if not fits:
        raise ValueError(f"config.json: {name} must be {wanted}, got {str(value)[:40]!r}")
    return value if isinstance(value, str) or largest is not None else float(value)


def to_hugging_face(config: EncoderConfig, heads: Collection[str], dtype: str) -> dict:
    """Writes a config.json for an encoder with these heads."""
    names = _DISTILBERT if config.model_type == "distilbert" else _BERT
    content = {theirs: getattr(config, ours) for ours, theirs in names.items()}
    content[names["activation"]] = _WRITTEN[config.activation]
    roberta = config.model_type in ("roberta", "xlm-roberta")
    fixed = {
        "position_offset": config.pad_id + 1 if roberta else 0,
        "token_types": 0 if config.model_type == "distilbert" else max(config.token_types, 1),
        "layer_norm_epsilon": config.layer_norm_epsilon if "layer_norm_epsilon" in names else 1e-12,
    }
    for name, wanted in fixed.items():
        if getattr(config, name) != wanted:
            raise ValueError(
                f"config: a {config.model_type} of transformers has {name} = {wanted}, "
                f"got {getattr(config, name)}"
            )
    return {
        "architectures": [_architecture(config.model_type, heads)],
        "model_type": config.model_type,
        "dtype": dtype,
        "tie_word_embeddings": True,
        **content,
    }


def _architecture(model_type: str, heads: Collection[str]) -> str:
    """The class of transformers that has just these heads, or the one that has most of them."""
    name = {
        "bert": "Bert",
        "roberta": "Roberta",
        "xlm-roberta": "XLMRoberta",
        "distilbert": "DistilBert",
    }[model_type]
    if "next_sentence" in heads:
        return f"{name}{'ForPreTraining' if 'masked_lm' in heads else 'ForNextSentencePrediction'}"
    return f"{name}{'ForMaskedLM' if 'masked_lm' in heads else 'Model'}"
