"""Readers of corpora and benchmarks: each a function that yields plain records.

Readers are generators. They open nothing before the first record is asked for, and hold no more
of a file in memory than they must. What cannot be read is a `ReadError` with file, line and
reason; ``on_error="skip"`` leaves it out instead. Whatever is left out is counted in a `Report`,
and logged where the caller passed none.

`mmkd_jax.data.sample` is a small parallel corpus that comes with the package.

This package knows no model, and neither jax nor TensorFlow.
"""

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

__all__ = [
    "UPOS",
    "Catalogue",
    "Inference",
    "Pair",
    "Paraphrase",
    "Question",
    "ReadError",
    "Report",
    "Row",
    "TaggedSentence",
    "find_catalogues",
    "hugging_face_rows",
    "inferences_of_rows",
    "json_rows",
    "pairs_of_rows",
    "paraphrases_of_rows",
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
    "split_words",
    "tagged_of_rows",
    "tfds_rows",
]
