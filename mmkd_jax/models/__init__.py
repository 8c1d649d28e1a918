"""Encoders that are Hugging Face's, number for number, in and out.

Parameters are plain nested dicts of float32 arrays: "embeddings", "layers", and the heads that a
checkpoint has ("masked_lm", "next_sentence", "pooler"), which `Encoder` ignores.
"""

from mmkd_jax.models._characters import CharacterCNN
from mmkd_jax.models._classifier import Classifier, SpanHead
from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._encoder import Encoder
from mmkd_jax.models._flops import encoder_flops, masked_lm_flops, word_flops
from mmkd_jax.models._head_files import load_head, save_head
from mmkd_jax.models._hugging_face.read import checkpoint_folder, load_pretrained, read_config
from mmkd_jax.models._hugging_face.write import save_pretrained
from mmkd_jax.models._known import KNOWN, known_config
from mmkd_jax.models._lstm import BiLSTM
from mmkd_jax.models._masked_lm import masked_lm_hidden, masked_lm_logits, masked_lm_table
from mmkd_jax.models._parameters import abstract_params, initial_params, logical_axes
from mmkd_jax.models._projection import Projection
from mmkd_jax.models._recurrent import RecurrentConfig, RecurrentEncoder
from mmkd_jax.models._sentence_layout import (
    SentenceLayout,
    read_sentence_layout,
    save_sentence_layout,
)
from mmkd_jax.models._shardings import param_shardings
from mmkd_jax.models._students import layers_of, new_vocabulary
from mmkd_jax.models._tagger import Tagger, TaggerConfig, TagHead
from mmkd_jax.models._word_vectors import read_vectors
from mmkd_jax.models._words import pool_words

__all__ = [
    "BiLSTM",
    "CharacterCNN",
    "Classifier",
    "Encoder",
    "EncoderConfig",
    "KNOWN",
    "Projection",
    "RecurrentConfig",
    "RecurrentEncoder",
    "SentenceLayout",
    "SpanHead",
    "TagHead",
    "Tagger",
    "TaggerConfig",
    "abstract_params",
    "checkpoint_folder",
    "encoder_flops",
    "initial_params",
    "known_config",
    "layers_of",
    "load_head",
    "load_pretrained",
    "logical_axes",
    "masked_lm_flops",
    "masked_lm_hidden",
    "masked_lm_logits",
    "masked_lm_table",
    "new_vocabulary",
    "param_shardings",
    "pool_words",
    "read_config",
    "read_sentence_layout",
    "read_vectors",
    "save_head",
    "save_pretrained",
    "save_sentence_layout",
    "word_flops",
]
