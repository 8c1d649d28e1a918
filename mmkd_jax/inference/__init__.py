"""Text in, answers out: trained models as functions of sentences."""

from mmkd_jax.inference._sentence_encoder import SentenceEncoder, load_encoder
from mmkd_jax.inference._sentence_tagger import SentenceTagger, TaggedSpan, Tagging
from mmkd_jax.inference._spans import span_probabilities
from mmkd_jax.inference._tagger_files import load_tagger, save_tagger

__all__ = [
    "SentenceEncoder",
    "SentenceTagger",
    "TaggedSpan",
    "Tagging",
    "load_encoder",
    "load_tagger",
    "save_tagger",
    "span_probabilities",
]
