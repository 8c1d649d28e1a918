"""From real corpora to full, static-shaped, resumable batches.

Readers are generators of plain records. They open nothing before the first record is asked for,
and hold no more of a file in memory than they must. What cannot be read is a `ReadError` with file,
line and reason; ``on_error="skip"`` leaves it out instead. Whatever is left out is counted in a
`Report`, and logged where the caller passed none.

`open_sources` finds corpora by a description. Their pairs become subwords, on disk
(`prepare_pairs`, or `prepare_pairs_with_beam` on a cluster) or in memory (`tokenize_pairs`); a
`Plan` says which of them make up which batch; `Batches` makes these ahead of the device, from any
step on. `open_tagged`, `tokenize_tagged` and `TaggedBatches` do likewise for tagged sentences.

`mmkd_jax.data.sample` is a small parallel corpus that comes with the package.

This package knows no model, and neither jax nor TensorFlow.
"""

from mmkd_jax.data._answers import Answer, best_answers
from mmkd_jax.data._batching import Plan, Step, plan_pairs, plan_tagged, plan_texts
from mmkd_jax.data._beam import prepare_pairs_with_beam
from mmkd_jax.data._corpora import open_sources
from mmkd_jax.data._encoded import (
    EncodedPairs,
    Layout,
    Pairs,
    decode_pairs,
    encode_pairs,
    layout_of,
    with_english,
)
from mmkd_jax.data._masking import chosen_count
from mmkd_jax.data._pipeline import Batches, BatchSource, PairBatches
from mmkd_jax.data._prepared import (
    Prepared,
    Source,
    load_pairs,
    prepare_pairs,
    tokenize_pairs,
)
from mmkd_jax.data._questions import NOWHERE, QuestionData, tokenize_questions
from mmkd_jax.data._readers._aspects import read_aspects, split_words
from mmkd_jax.data._readers._benchmarks import read_multinli, read_pawsx, read_squad, read_xnli
from mmkd_jax.data._readers._conll import read_conll, read_uner, read_wikiann
from mmkd_jax.data._readers._conllu import UPOS, read_conllu
from mmkd_jax.data._readers._gettext import (
    Catalogue,
    find_catalogues,
    read_catalogue,
    read_catalogues,
)
from mmkd_jax.data._readers._hugging_face import hugging_face_rows
from mmkd_jax.data._readers._moses import read_moses, read_ntrex, read_tatoeba
from mmkd_jax.data._readers._report import ReadError, Report
from mmkd_jax.data._readers._rows import (
    inferences_of_rows,
    json_rows,
    pairs_of_rows,
    paraphrases_of_rows,
    questions_of_rows,
    read_jsonl,
    tagged_of_rows,
)
from mmkd_jax.data._readers._tables import read_tsv
from mmkd_jax.data._readers._tfds import tfds_rows
from mmkd_jax.data._readers._tmx import read_tmx
from mmkd_jax.data._records import (
    Inference,
    Pair,
    Paraphrase,
    Question,
    Row,
    TaggedSentence,
)
from mmkd_jax.data._sampling import Draws, Sampling, language_shares
from mmkd_jax.data._shapes import fit_shapes
from mmkd_jax.data._split import split_text, words_of
from mmkd_jax.data._subwords import Specials, Subwords, SubwordTokenizer, paired_words
from mmkd_jax.data._tagged_corpora import SPLITS, TaggedSource, fold_of, open_tagged
from mmkd_jax.data._tagging import (
    TaggedBatch,
    TaggedBatches,
    TaggedData,
    tagged_batch,
    tokenize_tagged,
)
from mmkd_jax.data._taught import TaughtBatches, seen_as
from mmkd_jax.data._teacher_outputs import (
    OutputsKey,
    TeacherOutputs,
    load_outputs,
    prepare_outputs,
    sentences_hash,
)
from mmkd_jax.data._text_corpora import TextSource, open_texts
from mmkd_jax.data._texts import (
    TextBatch,
    TextBatches,
    TextData,
    text_batch,
    text_batch_shapes,
    tokenize_texts,
)
from mmkd_jax.data._tokenizers import load_tokenizer
from mmkd_jax.data._views import (
    PairBatch,
    PairShape,
    kept_of_pair,
    pair_batch,
    pair_batch_shapes,
    row_lengths,
)
from mmkd_jax.data._vocabulary import save_vocabulary, train_vocabulary
from mmkd_jax.data._word_vocabulary import WordVocabulary
from mmkd_jax.data._words import word_spans

__all__ = [
    "Answer",
    "BatchSource",
    "Batches",
    "Catalogue",
    "Draws",
    "EncodedPairs",
    "Inference",
    "Layout",
    "NOWHERE",
    "OutputsKey",
    "Pair",
    "PairBatch",
    "PairBatches",
    "PairShape",
    "Pairs",
    "Paraphrase",
    "Plan",
    "Prepared",
    "Question",
    "QuestionData",
    "ReadError",
    "Report",
    "Row",
    "SPLITS",
    "Sampling",
    "Source",
    "Specials",
    "Step",
    "SubwordTokenizer",
    "Subwords",
    "TaggedBatch",
    "TaggedBatches",
    "TaggedData",
    "TaggedSentence",
    "TaggedSource",
    "TaughtBatches",
    "TeacherOutputs",
    "TextBatch",
    "TextBatches",
    "TextData",
    "TextSource",
    "UPOS",
    "WordVocabulary",
    "best_answers",
    "chosen_count",
    "decode_pairs",
    "encode_pairs",
    "find_catalogues",
    "fit_shapes",
    "fold_of",
    "hugging_face_rows",
    "inferences_of_rows",
    "json_rows",
    "kept_of_pair",
    "language_shares",
    "layout_of",
    "load_outputs",
    "load_pairs",
    "load_tokenizer",
    "open_sources",
    "open_tagged",
    "open_texts",
    "pair_batch",
    "pair_batch_shapes",
    "paired_words",
    "pairs_of_rows",
    "paraphrases_of_rows",
    "plan_pairs",
    "plan_tagged",
    "plan_texts",
    "prepare_outputs",
    "prepare_pairs",
    "prepare_pairs_with_beam",
    "questions_of_rows",
    "read_aspects",
    "read_catalogue",
    "read_catalogues",
    "read_conll",
    "read_conllu",
    "read_jsonl",
    "read_moses",
    "read_multinli",
    "read_ntrex",
    "read_pawsx",
    "read_squad",
    "read_tatoeba",
    "read_tmx",
    "read_tsv",
    "read_uner",
    "read_wikiann",
    "read_xnli",
    "row_lengths",
    "save_vocabulary",
    "seen_as",
    "sentences_hash",
    "split_text",
    "split_words",
    "tagged_batch",
    "tagged_of_rows",
    "text_batch",
    "text_batch_shapes",
    "tfds_rows",
    "tokenize_pairs",
    "tokenize_questions",
    "tokenize_tagged",
    "tokenize_texts",
    "train_vocabulary",
    "with_english",
    "word_spans",
    "words_of",
]
