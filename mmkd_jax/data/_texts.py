"""Batches of one text or two a row, with what is to be found out about them."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmkd_jax.data._batching import Plan
from mmkd_jax.data._pipeline import check_count, check_process, rows_of_process
from mmkd_jax.data._subwords import Subwords, SubwordTokenizer
from mmkd_jax.data._views import kept_of_pair

_ENDS = 2  # special tokens of a row with one text


class TextBatch(NamedTuple):
    """B rows of at most T subwords, special tokens included. A pytree.

    Rows may be empty: they carry no loss.

    Attributes:
      ids: ``[B, T]`` int32, ``[CLS] first [SEP] second [SEP]``, or ``[CLS] first [SEP]``.
      mask: ``[B, T]`` booleans, false in the padding; all false in empty rows.
      segments: ``[B, T]`` int32, 1 for the second text and the separator behind it. Leave them out
        for encoders of one segment.
      target: ``[B, K]`` int32: the number of a class (K = 1), or the first and the last position of
        an answer in its row (K = 2).
      example: ``[B]`` int32, the number of the row in its data, -1 for empty rows.
    """

    ids: np.ndarray
    mask: np.ndarray
    segments: np.ndarray
    target: np.ndarray
    example: np.ndarray


@dataclasses.dataclass(frozen=True)
class TextData:
    """Rows of subwords, in memory: pieces of two long lists of them.

    Attributes:
      first: ``[tokens]``, of all first texts.
      second: ``[tokens]``, of all second texts; none if rows have one text.
      first_at: ``[N, 2]``, where each row's first text begins and ends.
      second_at: ``[N, 2]``, likewise; None if rows have one text.
      target: ``[N, K]``, as in `TextBatch`.
      languages: ``[N]``, the number of each row's language.
      separators: between two texts, 1 (BERT) or 2 (XLM-R).
      cut: how many rows were too long and lost some of their text.
    """

    first: np.ndarray
    second: np.ndarray
    first_at: np.ndarray
    second_at: np.ndarray | None
    target: np.ndarray
    languages: np.ndarray
    separators: int
    cut: int = 0

    def __len__(self) -> int:
        return len(self.first_at)

    @property
    def lengths(self) -> np.ndarray:
        """``[N, 1]``, of each row, special tokens included."""
        lengths = np.diff(self.first_at) + _ENDS
        if self.second_at is not None:
            lengths = lengths + np.diff(self.second_at) + self.separators
        return lengths

    @property
    def second_begins(self) -> np.ndarray:
        """``[N]``, the position of each row's second text."""
        return np.diff(self.first_at)[:, 0] + 1 + self.separators


def tokenize_texts(
    first: Sequence[str],
    second: Sequence[str] | None,
    target: np.ndarray,
    languages: np.ndarray,
    tokenizer: SubwordTokenizer,
    max_length: int = 128,
) -> TextData:
    """Texts, or pairs of them, of which each belongs to a class.

    >>> import numpy as np
    >>> from mmkd_jax.data import SubwordTokenizer, tokenize_texts, train_vocabulary
    >>> tokenizer = SubwordTokenizer(train_vocabulary(["low lower", "lowest"], size=12))
    >>> of_class, of_language = np.array([[1], [0]]), np.array([0, 0])
    >>> data = tokenize_texts(["low", "lower"], ["lower", "low"], of_class, of_language, tokenizer)
    >>> data.lengths.tolist()
    [[9], [9]]

    Args:
      first: N texts.
      second: as many, or None.
      target: ``[N, 1]``, the number of each one's class.
      languages: ``[N]``.
      tokenizer: the encoder's.
      max_length: of a row. Of two texts that are too long together, the same share of each stays.
    """
    pair = _ENDS + (tokenizer.specials.separators if second is not None else 0)
    if max_length < pair + 2:
        raise ValueError(f"max_length must be at least {pair + 2}, got {max_length}")
    if len(target) != len(first) or len(languages) != len(first):
        raise ValueError(
            f"target and languages must be of {len(first)} texts, got {len(target)} and "
            f"{len(languages)}"
        )
    one = tokenizer.encode_without_words(first)
    lengths = np.diff(one.token_offsets)
    if second is None:
        kept = np.minimum(lengths, max_length - pair)
        at, cut = _pieces(one, kept), int((kept < lengths).sum())
        nothing = np.zeros(0, np.int32)
        return TextData(one.ids, nothing, at, None, target, languages, 0, cut)
    two = tokenizer.encode_without_words(second)
    if len(two.token_offsets) != len(one.token_offsets):
        raise ValueError(f"second must be {len(first)} texts, got {len(second)}")
    others = np.diff(two.token_offsets)
    kept, kept_others = kept_of_pair(lengths, others, max_length - pair)
    kept, kept_others = np.minimum(kept, lengths), np.minimum(kept_others, others)
    return TextData(
        one.ids,
        two.ids,
        _pieces(one, kept),
        _pieces(two, kept_others),
        target,
        languages,
        tokenizer.specials.separators,
        int((kept + kept_others < lengths + others).sum()),
    )


@dataclasses.dataclass(frozen=True)
class TextBatches:
    """The batches of a classifier, or of a reader of answers, for `Batches`.

    Attributes:
      data: the rows.
      plan: of these rows, from `plan_texts`.
      tokenizer: the encoder's.
      process: the number of this process.
      processes: how many there are.
    """

    data: TextData
    plan: Plan
    tokenizer: SubwordTokenizer
    process: int = 0
    processes: int = 1

    def __post_init__(self):
        check_process(self.plan, self.process, self.processes)
        check_count(self.plan, len(self.data))

    def __call__(self, step: int) -> TextBatch:
        """This process's rows of the batch."""
        drawn = self.plan.step(step)
        example = drawn.example[rows_of_process(len(drawn.example), self.process, self.processes)]
        (width,) = self.plan.shapes[drawn.shape].tolist()
        return text_batch(self.data, example, width, self.tokenizer)


def text_batch(
    data: TextData, example: np.ndarray, width: int, tokenizer: SubwordTokenizer
) -> TextBatch:
    """Puts rows of the data into a batch.

    Args:
      data: the rows.
      example: ``[B]``, their numbers, -1 for a row that stays empty.
      width: columns; at least as many as the longest row needs.
      tokenizer: has the special tokens.
    """
    specials, size = tokenizer.specials, len(example)
    ids = np.full((size, width), specials.pad, np.int32)
    mask = np.zeros((size, width), bool)
    segments = np.zeros((size, width), np.int32)
    between = [specials.sep] * data.separators
    for row, number in enumerate(example.tolist()):
        if number < 0:
            continue
        tokens = [[specials.cls], data.first[slice(*data.first_at[number])]]
        begin = 0
        if data.second_at is not None:
            begin = 1 + len(tokens[1]) + len(between)
            tokens += [between, data.second[slice(*data.second_at[number])]]
        line = np.concatenate([*tokens, [specials.sep]])
        if len(line) > width:
            raise ValueError(f"width must hold the longest row, {len(line)}, got {width}")
        ids[row, : len(line)] = line
        mask[row, : len(line)] = True
        if begin:
            segments[row, begin : len(line)] = 1
    some = (example >= 0)[:, None]
    target = np.where(some, data.target[example], 0).astype(np.int32)
    return TextBatch(ids, mask, segments, target, example.astype(np.int32))


def text_batch_shapes(size: int, width: int, targets: int) -> TextBatch:
    """A batch that takes no memory: zeros of the right shapes and types.

    Args:
      size: B.
      width: T.
      targets: K.
    """

    def zeros(kind: type, *columns: int) -> np.ndarray:
        return np.broadcast_to(np.zeros((), kind), (size, *columns))

    return TextBatch(
        zeros(np.int32, width),
        zeros(bool, width),
        zeros(np.int32, width),
        zeros(np.int32, targets),
        zeros(np.int32),
    )


def _pieces(texts: Subwords, kept: np.ndarray) -> np.ndarray:
    begins = texts.token_offsets[:-1]
    return np.stack([begins, begins + kept], axis=1)
