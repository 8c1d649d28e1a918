"""Texts and tokenizers for `data.py`: real ones where they are, else made up."""

import functools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mmkd_jax import data

FOLDER = Path(os.environ.get("MMKD_SHARED_DATA", "../shared/data"))
TATOEBA = ["de", "es", "fr", "ja", "tr", "vi", "zh"]
PYDOCS = "pydocs/pydocs.en-es-fr-ja-ko-tr-zh.tsv.gz"
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


class Corpus(NamedTuple):
    """What is tokenised.

    Attributes:
      name: says whether it is real.
      sources: pairs in random order within each source.
      teacher: a `tokenizers.Tokenizer`.
      student: likewise.
    """

    name: str
    sources: list[data.Source]
    teacher: object
    student: object


def corpus(most: int | None) -> Corpus:
    """Tatoeba and Python's documentation, or generated text; of each source the same share.

    Args:
      most: pairs altogether; by default all.
    """
    if not (FOLDER / "bert_vocab").exists():
        teacher, student = (_of_syllables(size) for size in (30, 50))
        return Corpus("generated text", list(_generated(most or 100_000)), teacher, student)
    sources = list(_real())
    total = sum(len(source.pairs) for source in sources)
    share = min(1.0, (most or total) / total)
    sources = [
        source._replace(pairs=source.pairs[: max(1, int(share * len(source.pairs)))])
        for source in sources
    ]
    teacher, student = (_bert(name) for name in ("cased", "multilingual-cased"))
    return Corpus("Tatoeba + pydocs", sources, teacher, student)


def _real() -> Iterator[data.Source]:
    for language in TATOEBA:
        path = FOLDER / f"tatoeba_pairs/train.en-{language}.tsv.gz"
        yield _shuffled(f"tatoeba.{language}", language, data.read_tsv(path))
    for language in ("es", "fr", "ja", "ko", "tr", "zh"):
        # Not every row has every language; the report keeps that from being logged.
        pairs = data.read_tsv(FOLDER / PYDOCS, "en", language, report=data.Report())
        yield _shuffled(f"pydocs.{language}", language, pairs)


def _shuffled(name: str, language: str, pairs) -> data.Source:
    pairs = [(pair.source, pair.target) for pair in pairs]
    random.Random(0).shuffle(pairs)
    return data.Source(name, language, pairs)


def _bert(name: str):
    from tokenizers.implementations import BertWordPieceTokenizer

    path = FOLDER / "bert_vocab" / f"bert-base-{name}.vocab.txt"
    whole = BertWordPieceTokenizer(str(path), lowercase=False, strip_accents=False)
    return whole._tokenizer


def _generated(most: int) -> Iterator[data.Source]:
    """Nine short pairs for each long one, as in the real texts."""
    for name, words, count in (("short", 6, most * 9 // 10), ("long", 30, most // 10)):
        draw = random.Random(name)
        sentence = functools.partial(_sentence, draw, words)
        yield data.Source(name, "xx", [(sentence(), sentence()) for _ in range(count)])


def _sentence(draw: random.Random, words: int) -> str:
    count = max(1, round(draw.gauss(words, words / 3)))
    return " ".join(
        "".join(draw.choices(SYLLABLES, k=draw.choice((1, 2, 3)))) for _ in range(count)
    )


def _of_syllables(whole: int):
    """Words of one syllable have a number of their own, some have one within words too."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    letters = sorted(set("".join(SYLLABLES)))
    inside = [f"##{piece}" for piece in (*letters, *SYLLABLES[:whole])]
    names = [*SPECIALS, *letters, *SYLLABLES, *inside]
    tokenizer = Tokenizer(
        models.WordPiece({name: number for number, name in enumerate(names)}, unk_token="[UNK]")
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
