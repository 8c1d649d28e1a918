"""Encoders that are Hugging Face's, number for number, in and out.

Parameters are plain nested dicts of float32 arrays: "embeddings", "layers", and the heads that a
checkpoint has ("masked_lm", "next_sentence", "pooler"), which `Encoder` ignores.
"""

from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._encoder import Encoder
from mmkd_jax.models._hugging_face.read import load_pretrained
from mmkd_jax.models._hugging_face.write import save_pretrained
from mmkd_jax.models._masked_lm import masked_lm_hidden, masked_lm_logits, masked_lm_table
from mmkd_jax.models._parameters import abstract_params, initial_params, logical_axes
from mmkd_jax.models._shardings import param_shardings
from mmkd_jax.models._students import layers_of, new_vocabulary

__all__ = [
    "Encoder",
    "EncoderConfig",
    "abstract_params",
    "initial_params",
    "layers_of",
    "load_pretrained",
    "logical_axes",
    "masked_lm_hidden",
    "masked_lm_logits",
    "masked_lm_table",
    "new_vocabulary",
    "param_shardings",
    "save_pretrained",
]
