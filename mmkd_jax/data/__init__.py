"""From real corpora to full, static-shaped, resumable batches.

Words and subwords under any fast tokenizer, the views of MMKD, plans of few shapes, and pipelines
that are resumed exactly. numpy; tokenizers, grain and array_record where they are used.
"""

from mmkd_jax.data._batching import Plan, Step, plan_pairs, plan_tagged
from mmkd_jax.data._masking import chosen_count
from mmkd_jax.data._pipeline import Batches, BatchSource, PairBatches
from mmkd_jax.data._prepared import (
    Prepared,
    Source,
    load_pairs,
    prepare_pairs,
    tokenize_pairs,
)
from mmkd_jax.data._encoded import (
    EncodedPairs,
    Layout,
    Pairs,
    decode_pairs,
    encode_pairs,
    layout_of,
    with_english,
)
from mmkd_jax.data._sampling import Draws, Sampling, language_shares
from mmkd_jax.data._shapes import fit_shapes
from mmkd_jax.data._subwords import Specials, Subwords, SubwordTokenizer, paired_words
from mmkd_jax.data._tagging import (
    TaggedBatch,
    TaggedBatches,
    TaggedData,
    tagged_batch,
    tokenize_tagged,
)
from mmkd_jax.data._views import PairBatch, PairShape, kept_of_pair, pair_batch, row_lengths
from mmkd_jax.data._words import word_spans

__all__ = [
    "BatchSource",
    "Batches",
    "Draws",
    "EncodedPairs",
    "Layout",
    "PairBatch",
    "PairBatches",
    "PairShape",
    "Pairs",
    "Plan",
    "Prepared",
    "Sampling",
    "Source",
    "Specials",
    "Step",
    "SubwordTokenizer",
    "Subwords",
    "TaggedBatch",
    "TaggedBatches",
    "TaggedData",
    "chosen_count",
    "decode_pairs",
    "encode_pairs",
    "fit_shapes",
    "kept_of_pair",
    "language_shares",
    "layout_of",
    "load_pairs",
    "pair_batch",
    "paired_words",
    "plan_pairs",
    "plan_tagged",
    "prepare_pairs",
    "row_lengths",
    "tagged_batch",
    "tokenize_pairs",
    "tokenize_tagged",
    "with_english",
    "word_spans",
]
