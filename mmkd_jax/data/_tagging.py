"""Batches of tagged sentences."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax.data._batching import Plan
from mmkd_jax.data._pipeline import check_count, check_process, rows_of_process
from mmkd_jax.data._subwords import SubwordTokenizer
from mmkd_jax.tags import TagSet

_SPECIALS = 2


class TaggedBatch(NamedTuple):
    """B sentences of at most T subwords, special tokens included, and W words. A pytree.

    Rows may be empty, with 0 words: they carry no loss.

    Attributes:
      ids: ``[B, T]`` int32, ``[CLS] words [SEP]``.
      mask: ``[B, T]`` booleans, false in the padding; all false in empty rows.
      word_of: ``[B, T]`` int32, the word of each subword; -1 for special tokens, padding, and
        subwords of no word (a space, say).
      first: ``[B, W]`` int32, where each word begins; 0 where there is none.
      lengths: ``[B]`` int32, words of each sentence.
      tags: ``[B, W]`` int32, -1 where there is no word.
      language: ``[B]`` int32, the number of each sentence's language, -1 for empty rows.
      example: ``[B]`` int32, the number of the sentence in its data, -1 for empty rows.
      words: ``[B, W]`` int32, rows of a word table, 0 where there is no word; None for encoders
        that read none.
      characters: ``[B, W, C]`` int32, the characters of each word, 0 behind them; or None.
      teachers: ``[B, K]`` int32, the numbers of each sentence's teachers, -1 where it has fewer
        than K; None where nobody teaches.
      teacher_emissions: ``[B, K, W, N]`` float32, the scores that they gave; or None.
    """

    ids: np.ndarray
    mask: np.ndarray
    word_of: np.ndarray
    first: np.ndarray
    lengths: np.ndarray
    tags: np.ndarray
    language: np.ndarray
    example: np.ndarray
    words: np.ndarray | None = None
    characters: np.ndarray | None = None
    teachers: np.ndarray | None = None
    teacher_emissions: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class TaggedData:
    """Tagged sentences in subwords, in memory.

    Attributes:
      ids: of each sentence, without special tokens.
      word_of: of each sentence, the word of each subword, -1 for none (a space, say).
      first: of each sentence, each word's first subword.
      tags: of each sentence, one a word.
      languages: ``[N]``, the number of each sentence's language.
      cut: how many words did not fit into `max_length` and were left out.
    """

    ids: list[np.ndarray]
    word_of: list[np.ndarray]
    first: list[np.ndarray]
    tags: list[np.ndarray]
    languages: np.ndarray
    cut: int

    @property
    def lengths(self) -> np.ndarray:
        """``[N, 2]``: words, and the length of the row, special tokens included."""
        words = [len(tags) for tags in self.tags]
        return np.array([words, [len(ids) + _SPECIALS for ids in self.ids]]).T.reshape(-1, 2)


def tokenize_tagged(
    sentences: Mapping[str, Sequence[Any]],
    tags: TagSet,
    tokenizer: SubwordTokenizer,
    max_length: int = 128,
) -> TaggedData:
    """Tokenises sentences that have ``words`` and ``tags``.

    Args:
      sentences: by language, in the order that numbers them.
      tags: the tags that may occur.
      tokenizer: the encoder's.
      max_length: of a row, special tokens included. Words that do not fit wholly are left out,
        with all that follow.
    """
    if max_length <= _SPECIALS:
        raise ValueError(f"max_length must be above {_SPECIALS}, got {max_length}")
    rows: list[Any] = [row for group in sentences.values() for row in group]
    counts = [len(group) for group in sentences.values()]
    for number, row in enumerate(rows):
        if len(row.words) != len(row.tags):
            raise ValueError(
                f"sentences must have one tag a word, but number {number} has "
                f"{len(row.words)} words and {len(row.tags)} tags"
            )
    encoded = tokenizer.encode_words([row.words for row in rows])
    whole = (encoded.first + encoded.count <= max_length - _SPECIALS).astype(np.int64)
    ids, word_of, first, numbers = [], [], [], []
    for index, row in enumerate(rows):
        words = slice(*encoded.word_offsets[index : index + 2])
        kept = int(np.logical_and.accumulate(whole[words]).sum()) if len(row.words) else 0
        ends = encoded.first[words] + encoded.count[words]
        begin = encoded.token_offsets[index]
        tokens = slice(begin, begin + (ends[kept - 1] if kept else 0))
        ids.append(encoded.ids[tokens])
        word_of.append(encoded.word_of[tokens])
        first.append(encoded.first[words][:kept])
        numbers.append(tags.encode(row.tags)[:kept])
    cut = len(encoded.first) - sum(map(len, first))
    languages = np.repeat(np.arange(len(counts)), counts)
    return TaggedData(ids, word_of, first, numbers, languages, cut)


@dataclasses.dataclass(frozen=True)
class TaggedBatches:
    """The batches of a tagger, for `Batches`.

    Attributes:
      data: the sentences.
      plan: of these sentences, from `plan_tagged`.
      tokenizer: the encoder's.
      process: the number of this process.
      processes: how many there are.
    """

    data: TaggedData
    plan: Plan
    tokenizer: SubwordTokenizer
    process: int = 0
    processes: int = 1

    def __post_init__(self):
        check_process(self.plan, self.process, self.processes)
        check_count(self.plan, len(self.data.ids))

    def __call__(self, step: int) -> TaggedBatch:
        """This process's rows of the batch."""
        drawn = self.plan.step(step)
        example = drawn.example[rows_of_process(len(drawn.example), self.process, self.processes)]
        words, width = self.plan.shapes[drawn.shape].tolist()
        return tagged_batch(self.data, example, words, width, self.tokenizer)


def tagged_batch(
    data: TaggedData, example: np.ndarray, words: int, width: int, tokenizer: SubwordTokenizer
) -> TaggedBatch:
    """Puts sentences into rows.

    Args:
      data: the sentences.
      example: ``[B]``, their numbers, -1 for a row that stays empty.
      words: columns for words.
      width: columns for subwords, special tokens included.
      tokenizer: has the special tokens.
    """
    specials = tokenizer.specials
    nothing = np.zeros(0, np.int32)
    some = example >= 0
    _check_room(data, example, words, width)

    def padded(rows: list[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
        return _padded([rows[e] if e >= 0 else nothing for e in example], width)

    texts, counts = padded(data.ids, width)
    word_of, _ = padded(data.word_of, width)
    first, lengths = padded(data.first, words)
    tags, _ = padded(data.tags, words)
    columns = np.arange(width)
    ends = counts[:, None]
    mask = (columns < ends + _SPECIALS) & some[:, None]
    ids = np.where(columns <= ends, np.roll(texts, 1, axis=1), specials.sep)
    ids = np.where(columns == 0, specials.cls, ids)
    inside = np.arange(words) < lengths[:, None]
    first = np.where(inside, first + 1, 0)
    is_text = (columns > 0) & (columns <= ends)
    return TaggedBatch(
        np.where(mask, ids, specials.pad).astype(np.int32),
        mask,
        np.where(is_text, np.roll(word_of, 1, axis=1), -1).astype(np.int32),
        first.astype(np.int32),
        lengths.astype(np.int32),
        np.where(inside, tags, -1).astype(np.int32),
        np.where(some, data.languages[example], -1).astype(np.int32),
        example.astype(np.int32),
    )


def _padded(rows: list[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of different lengths as one array, zero behind them, and their lengths."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    padded = np.zeros((len(rows), width), np.int32)
    inside = np.arange(width) < lengths[:, None]
    padded[inside] = np.concatenate([np.zeros(0, np.int32), *rows])
    return padded, lengths


def _check_room(data: TaggedData, example: np.ndarray, words: int, width: int) -> None:
    some = example[example >= 0].tolist()
    most = max((len(data.tags[e]) for e in some), default=0)
    longest = max((len(data.ids[e]) + _SPECIALS for e in some), default=0)
    if most > words or longest > width:
        raise ValueError(
            f"words and width must hold the longest sentences, {most} and {longest}, got {words} "
            f"and {width}"
        )
