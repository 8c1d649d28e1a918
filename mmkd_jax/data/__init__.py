"""From real corpora to full, static-shaped, resumable batches."""

from mmkd_jax.data._subwords import Specials, Subwords, SubwordTokenizer, paired_words
from mmkd_jax.data._words import word_spans

__all__ = ["Specials", "SubwordTokenizer", "Subwords", "paired_words", "word_spans"]
