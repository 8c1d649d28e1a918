"""Batches of tagged sentences."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax.data._batching import Plan
from mmkd_jax.data._pipeline import check_count, check_process, rows_of_process
from mmkd_jax.data._subwords import SubwordTokenizer
from mmkd_jax.data._word_vocabulary import WordVocabulary
from mmkd_jax.tags import TagSet

_SPECIALS = 2


class TaggedBatch(NamedTuple):
    """B sentences of at most T subwords, special tokens included, and W words. A pytree.

    Rows may be empty, with 0 words: they carry no loss. A sentence without labels has words, and
    -1 for all of its tags.

    Attributes:
      ids: ``[B, T]`` int32, ``[CLS] words [SEP]``; this and the next three are None where there is
        no subword tokenizer.
      mask: ``[B, T]`` booleans, false in the padding; all false in empty rows.
      word_of: ``[B, T]`` int32, the word of each subword; -1 for special tokens, padding, and
        subwords of no word (a space, say).
      first: ``[B, W]`` int32, where each word begins; 0 where there is none.
      lengths: ``[B]`` int32, words of each sentence.
      tags: ``[B, W]`` int32, -1 where there is no word, or no label.
      language: ``[B]`` int32, the number of each sentence's language, -1 for empty rows.
      example: ``[B]`` int32, the number of the sentence in its data, -1 for empty rows.
      words: ``[B, W]`` int32, words by their numbers in a vocabulary, 0 where there is no word;
        None without a vocabulary.
      characters: ``[B, W, C]`` int32, the characters of each word, 0 behind them; or None.
      teachers: ``[B, K]`` int32, the numbers of each sentence's teachers, -1 where it has fewer
        than K; None where nobody teaches.
      teacher_emissions: ``[B, K, W, N]`` float32, the scores that they gave; or None.
    """

    ids: np.ndarray | None
    mask: np.ndarray | None
    word_of: np.ndarray | None
    first: np.ndarray | None
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
    """Tagged sentences in numbers, in memory.

    Attributes:
      tags: of each sentence, one a word; -1 for those without labels.
      languages: ``[N]``, the number of each sentence's language.
      cut: how many words did not fit into `max_length` and were left out.
      ids: of each sentence, without special tokens; this and the next two are None where there is
        no subword tokenizer.
      word_of: of each sentence, the word of each subword, -1 for none (a space, say).
      first: of each sentence, each word's first subword.
      words: of each sentence, by their numbers in a vocabulary; None without one.
      characters: of each sentence, ``[W, C]``, likewise; C differs.
      longest: characters a word at most.
    """

    tags: list[np.ndarray]
    languages: np.ndarray
    cut: int
    ids: list[np.ndarray] | None = None
    word_of: list[np.ndarray] | None = None
    first: list[np.ndarray] | None = None
    words: list[np.ndarray] | None = None
    characters: list[np.ndarray] | None = None
    longest: int = 0

    @property
    def lengths(self) -> np.ndarray:
        """``[N, 2]``: words, and the length of the row, special tokens included.

        Without subwords, a row is as long as its words are many.
        """
        words = [len(tags) for tags in self.tags]
        widths = words if self.ids is None else [len(ids) + _SPECIALS for ids in self.ids]
        return np.array([words, widths]).T.reshape(-1, 2)


def tokenize_tagged(
    sentences: Mapping[str, Sequence[Any]],
    tags: TagSet,
    tokenizer: SubwordTokenizer | None = None,
    max_length: int = 128,
    vocabulary: WordVocabulary | None = None,
) -> TaggedData:
    """Sentences that have ``words`` and ``tags`` in numbers. One without any tags has no labels.

    Args:
      sentences: by language, in the order that numbers them.
      tags: the tags that may occur.
      tokenizer: the encoder's; None for taggers that read no subwords.
      max_length: of a row, special tokens included. Words that do not fit wholly are left out,
        with all that follow. Without a tokenizer, so many words.
      vocabulary: for taggers that read words or characters.
    """
    if tokenizer is None and vocabulary is None:
        raise ValueError("tokenizer and vocabulary must not both be None: there is nothing to read")
    least = 0 if tokenizer is None else _SPECIALS
    if max_length <= least:
        raise ValueError(f"max_length must be above {least}, got {max_length}")
    rows: list[Any] = [row for group in sentences.values() for row in group]
    for number, row in enumerate(rows):
        if len(row.tags) not in (0, len(row.words)):
            raise ValueError(
                f"sentences must have one tag a word, or no tags, but number {number} has "
                f"{len(row.words)} words and {len(row.tags)} tags"
            )
    columns: dict[str, Any] = {}
    kept = [min(len(row.words), max_length) for row in rows]
    if tokenizer is not None:
        columns, kept = _in_subwords(rows, tokenizer, max_length)
    if vocabulary is not None:
        words = [row.words[:count] for row, count in zip(rows, kept, strict=True)]
        columns["words"] = [vocabulary.encode_words(each) for each in words]
        columns["characters"] = [vocabulary.encode_characters(each) for each in words]
        columns["longest"] = vocabulary.longest
    numbers = [
        tags.encode(row.tags[:count]) if row.tags else np.full(count, -1, np.int32)
        for row, count in zip(rows, kept, strict=True)
    ]
    cut = sum(len(row.words) for row in rows) - sum(kept)
    languages = np.repeat(np.arange(len(sentences)), [len(group) for group in sentences.values()])
    return TaggedData(numbers, languages, cut, **columns)


def _in_subwords(
    rows: list[Any], tokenizer: SubwordTokenizer, max_length: int
) -> tuple[dict[str, list[np.ndarray]], list[int]]:
    """The columns of subwords, and how many words of each sentence fit."""
    encoded = tokenizer.encode_words([row.words for row in rows])
    whole = (encoded.first + encoded.count <= max_length - _SPECIALS).astype(np.int64)
    ids, word_of, first, counts = [], [], [], []
    for index, row in enumerate(rows):
        words = slice(*encoded.word_offsets[index : index + 2])
        kept = int(np.logical_and.accumulate(whole[words]).sum()) if len(row.words) else 0
        ends = encoded.first[words] + encoded.count[words]
        begin = encoded.token_offsets[index]
        tokens = slice(begin, begin + (ends[kept - 1] if kept else 0))
        ids.append(encoded.ids[tokens])
        word_of.append(encoded.word_of[tokens])
        first.append(encoded.first[words][:kept])
        counts.append(kept)
    return {"ids": ids, "word_of": word_of, "first": first}, counts


@dataclasses.dataclass(frozen=True)
class TaggedBatches:
    """The batches of a tagger, for `Batches`.

    Attributes:
      data: the sentences.
      plan: of these sentences, from `plan_tagged`.
      tokenizer: the encoder's, if the data is in subwords.
      process: the number of this process.
      processes: how many there are.
    """

    data: TaggedData
    plan: Plan
    tokenizer: SubwordTokenizer | None = None
    process: int = 0
    processes: int = 1

    def __post_init__(self):
        check_process(self.plan, self.process, self.processes)
        check_count(self.plan, len(self.data.tags))

    def __call__(self, step: int) -> TaggedBatch:
        """This process's rows of the batch."""
        drawn = self.plan.step(step)
        example = drawn.example[rows_of_process(len(drawn.example), self.process, self.processes)]
        words, width = self.plan.shapes[drawn.shape].tolist()
        return tagged_batch(self.data, example, words, width, self.tokenizer)


def tagged_batch(
    data: TaggedData,
    example: np.ndarray,
    words: int,
    width: int,
    tokenizer: SubwordTokenizer | None = None,
) -> TaggedBatch:
    """Puts sentences into rows.

    Args:
      data: the sentences.
      example: ``[B]``, their numbers, -1 for a row that stays empty.
      words: columns for words.
      width: columns for subwords, special tokens included; without subwords, of no meaning.
      tokenizer: has the special tokens, if the data is in subwords.
    """
    if (data.ids is None) != (tokenizer is None):
        raise ValueError("tokenizer must be given for data in subwords, and only for these")
    some = example >= 0
    _check_room(data, example, words, width)
    tags, lengths = _padded(_rows_of(data.tags, example), words)
    inside = np.arange(words) < lengths[:, None]
    subwords = (None, None, None, None)
    if tokenizer is not None:
        subwords = _subword_rows(data, example, inside, width, tokenizer)
    numbers, characters = None, None
    if data.words is not None:
        numbers, _ = _padded(_rows_of(data.words, example), words)
        characters = _character_rows(_rows_of(data.characters, example), inside, data.longest)
    return TaggedBatch(
        *subwords,
        lengths.astype(np.int32),
        np.where(inside, tags, -1).astype(np.int32),
        np.where(some, data.languages[example], -1).astype(np.int32),
        example.astype(np.int32),
        numbers,
        characters,
    )


def _subword_rows(
    data: TaggedData,
    example: np.ndarray,
    inside: np.ndarray,
    width: int,
    tokenizer: SubwordTokenizer,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The columns `ids`, `mask`, `word_of` and `first` of a batch."""
    specials = tokenizer.specials
    texts, counts = _padded(_rows_of(data.ids, example), width)
    word_of, _ = _padded(_rows_of(data.word_of, example), width)
    first, _ = _padded(_rows_of(data.first, example), inside.shape[1])
    columns = np.arange(width)
    ends = counts[:, None]
    mask = (columns < ends + _SPECIALS) & (example >= 0)[:, None]
    ids = np.where(columns <= ends, np.roll(texts, 1, axis=1), specials.sep)
    ids = np.where(columns == 0, specials.cls, ids)
    is_text = (columns > 0) & (columns <= ends)
    return (
        np.where(mask, ids, specials.pad).astype(np.int32),
        mask,
        np.where(is_text, np.roll(word_of, 1, axis=1), -1).astype(np.int32),
        np.where(inside, first + 1, 0).astype(np.int32),
    )


def _character_rows(rows: list[np.ndarray], inside: np.ndarray, longest: int) -> np.ndarray:
    """[B, W, C], as wide in every batch, so that few shapes are compiled."""
    found = np.zeros((*inside.shape, longest), np.int32)
    for row, characters in zip(found, rows, strict=True):
        if len(characters):
            row[: len(characters), : characters.shape[1]] = characters
    return found


def _rows_of(column: list[np.ndarray], example: np.ndarray) -> list[np.ndarray]:
    nothing = np.zeros(0, np.int32)
    return [column[e] if e >= 0 else nothing for e in example]


def _padded(rows: list[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of different lengths as one array, zero behind them, and their lengths."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    padded = np.zeros((len(rows), width), np.int32)
    inside = np.arange(width) < lengths[:, None]
    padded[inside] = np.concatenate([np.zeros(0, np.int32), *rows])
    return padded, lengths


def _check_room(data: TaggedData, example: np.ndarray, words: int, width: int) -> None:
    some = example[example >= 0].tolist()
    most = longest = max((len(data.tags[e]) for e in some), default=0)
    if data.ids is not None:
        longest = max((len(data.ids[e]) + _SPECIALS for e in some), default=0)
    if most > words or longest > width:
        raise ValueError(
            f"words and width must hold the longest sentences, {most} and {longest}, got {words} "
            f"and {width}"
        )
