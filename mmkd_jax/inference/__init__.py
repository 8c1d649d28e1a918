"""Text in, answers out: trained models as functions of sentences."""

from mmkd_jax.inference._layer_vectors import layer_vectors
from mmkd_jax.inference._sentence_encoder import SentenceEncoder, load_encoder
from mmkd_jax.inference._sentence_tagger import SentenceTagger
from mmkd_jax.inference._spans import span_probabilities
from mmkd_jax.inference._tagger_files import load_tagger, save_tagger
from mmkd_jax.inference._tagging import Guess, TaggedSpan, Tagging
from mmkd_jax.inference._text_model import (
    TextModel,
    TextReading,
    load_text_model,
    save_text_model,
)

__all__ = [
    "Guess",
    "SentenceEncoder",
    "SentenceTagger",
    "TaggedSpan",
    "Tagging",
    "TextModel",
    "TextReading",
    "layer_vectors",
    "load_encoder",
    "load_tagger",
    "load_text_model",
    "save_tagger",
    "save_text_model",
    "span_probabilities",
]
