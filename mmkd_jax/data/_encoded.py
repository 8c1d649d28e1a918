"""Tokenised pairs as small binary records, and back as arrays: no pickle, no field names.

A record is a row of 16-bit numbers, little-endian: 4 that make up the example's id; the source's
number; how many subwords the teacher's English, the student's English and the translation have,
and how many words are paired; then those subwords, and of each word the teacher's first subword,
the student's first and how many. Subwords of vocabularies above 65,536 are two rows: all low
halves, all high halves.
"""

import hashlib
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mmkd_jax.data._hashing import hashed
from mmkd_jax.data._subwords import Subwords, SubwordTokenizer, paired_words

_HEADER = 9


class Layout(NamedTuple):
    """Which vocabularies need two halves a subword."""

    teacher_is_wide: bool
    student_is_wide: bool


class Pairs(NamedTuple):
    """A batch of tokenised pairs. Rows are zero behind their lengths.

    Attributes:
      id: ``[B]`` uint64, a hash of the two texts: what an example's random numbers depend on.
      source: ``[B]``, the number of the source that it came from.
      lengths: ``[B, 3]``, subwords of the teacher's English, the student's English and the
        translation.
      teacher: ``[B, ·]``, English in the teacher's vocabulary.
      english: ``[B, ·]``, English in the student's vocabulary.
      translation: ``[B, ·]``, the translation in the student's vocabulary.
      words: ``[B]``, how many English words have subwords of their own under both tokenizers.
      teacher_first: ``[B, ·]``, the first of each word's subwords in `teacher`.
      student_first: ``[B, ·]``, and in `english`.
      student_count: ``[B, ·]``, how many each has in `english`, one after the other.
    """

    id: np.ndarray
    source: np.ndarray
    lengths: np.ndarray
    teacher: np.ndarray
    english: np.ndarray
    translation: np.ndarray
    words: np.ndarray
    teacher_first: np.ndarray
    student_first: np.ndarray
    student_count: np.ndarray


class EncodedPairs(NamedTuple):
    """Records of tokenised pairs, and what a plan must know of them.

    Attributes:
      records: one a pair that could be used.
      lengths: ``[n, 4]`` uint16, the subwords of the teacher's English, the student's English and
        the translation, and the number of the source.
      empty: how many pairs were left out because nothing is left of a side, or of both.
    """

    records: list[bytes]
    lengths: np.ndarray
    empty: int


def layout_of(teacher: SubwordTokenizer, student: SubwordTokenizer) -> Layout:
    """How records of these tokenizers are written."""
    return Layout(teacher.vocabulary_size > 2**16, student.vocabulary_size > 2**16)


def encode_pairs(
    pairs: Sequence[tuple],
    sources: Sequence[int],
    teacher: SubwordTokenizer,
    student: SubwordTokenizer,
    most: int,
) -> EncodedPairs:
    """Tokenises pairs of texts, all at once.

    Args:
      pairs: English and translation; what else a record holds is not read.
      sources: a number for each pair, below 65,536.
      teacher: reads English.
      student: reads both.
      most: subwords that are kept of each text, below 65,536.
    """
    english = [pair[0] for pair in pairs]
    translations = [pair[1] for pair in pairs]
    read = (
        teacher.encode(english),
        student.encode(english),
        student.encode_without_words(translations),
    )
    lengths = np.stack([np.diff(part.token_offsets) for part in read], axis=1)
    usable = (lengths > 0).all(axis=1)
    parts = [part.truncated(most) for part in read]
    columns = _columns(parts, layout_of(teacher, student))
    lengths, words = np.minimum(lengths, most), np.diff(columns[-1][1])
    heads = np.empty((len(pairs), _HEADER), "<u2")
    heads[:, :4] = np.frombuffer(b"".join(map(_identity, english, translations)), "<u2").reshape(
        -1, 4
    )
    heads[:, 4] = sources
    heads[:, 5:8] = lengths
    heads[:, 8] = words
    records = _laid_out([(heads.reshape(-1), np.arange(len(pairs) + 1) * _HEADER), *columns])
    kept = [record for record, use in zip(records, usable.tolist(), strict=True) if use]
    index = np.column_stack([lengths, sources]).astype(np.uint16)[usable]
    return EncodedPairs(kept, index.reshape(-1, 4), int((~usable).sum()))


def decode_pairs(records: Sequence[bytes], layout: Layout) -> Pairs:
    """Reads records back, all at once."""
    content = np.frombuffer(b"".join(records), "<u2")
    sizes = np.fromiter(map(len, records), np.int64, len(records)) // 2
    starts = np.cumsum(sizes) - sizes
    heads = content[starts[:, None] + np.arange(_HEADER)]
    at = starts + _HEADER

    def take(count: np.ndarray, wide: bool = False) -> np.ndarray:
        nonlocal at
        rows = _rows(content, at, count)
        at = at + count
        if wide:
            rows = rows | _rows(content, at, count) << 16
            at = at + count
        return rows

    lengths = heads[:, 5:8].astype(np.int32)
    words = heads[:, 8].astype(np.int32)
    return Pairs(
        np.ascontiguousarray(heads[:, :4]).view("<u8")[:, 0],
        heads[:, 4].astype(np.int32),
        lengths,
        take(lengths[:, 0], layout.teacher_is_wide),
        take(lengths[:, 1], layout.student_is_wide),
        take(lengths[:, 2], layout.student_is_wide),
        words,
        *(take(words) for _ in range(3)),
    )


def with_english(pairs: Pairs, chosen: np.ndarray) -> Pairs:
    """Puts the English text in the place of the translation, where `chosen` says so."""
    width = max(pairs.english.shape[1], pairs.translation.shape[1])
    english, translation = (
        np.pad(rows, ((0, 0), (0, width - rows.shape[1])))
        for rows in (pairs.english, pairs.translation)
    )
    lengths = pairs.lengths.copy()
    lengths[:, 2] = np.where(chosen, lengths[:, 1], lengths[:, 2])
    return pairs._replace(
        # Another example than the pair, with random numbers of its own.
        id=np.where(chosen, hashed(pairs.id, 1), pairs.id),
        lengths=lengths,
        translation=np.where(chosen[:, None], english, translation),
    )


def _columns(parts: list[Subwords], layout: Layout) -> list[tuple[np.ndarray, np.ndarray]]:
    """Everything a record holds, of all pairs end to end, with where each pair's begins."""
    wide = (layout.teacher_is_wide, layout.student_is_wide, layout.student_is_wide)
    columns = []
    for part, is_wide in zip(parts, wide, strict=True):
        columns.append((part.ids.astype("<u2"), part.token_offsets))  # the low half
        if is_wide:
            columns.append(((part.ids >> 16).astype("<u2"), part.token_offsets))
    teacher, student, _ = parts
    both = paired_words(teacher, student)
    offsets = np.concatenate([[0], np.cumsum(both)])[student.word_offsets]
    for values in (teacher.first, student.first, student.count):
        columns.append((values[both].astype("<u2"), offsets))
    return columns


def _laid_out(columns: list[tuple[np.ndarray, np.ndarray]]) -> list[bytes]:
    """Records of what each column has for them, one column after the other."""
    lengths = np.stack([np.diff(offsets) for _, offsets in columns], axis=1)
    ends = np.cumsum(lengths).reshape(lengths.shape)
    content = np.empty(int(lengths.sum()), "<u2")
    for (values, offsets), length, end in zip(columns, lengths.T, ends.T, strict=True):
        moved = end - length - offsets[:-1]
        content[np.arange(len(values)) + np.repeat(moved, length)] = values
    everything = content.tobytes()
    bounds = [0, *(2 * ends[:, -1]).tolist()]
    return [everything[a:b] for a, b in itertools.pairwise(bounds)]


def _rows(content: np.ndarray, starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Runs of different lengths as rows that are zero behind them."""
    columns = np.arange(counts.max(initial=0))
    # Places behind a row are those of the next one; behind the last, the last number again.
    rows = content.take(starts[:, None] + columns, mode="clip")
    return np.multiply(rows, columns < counts[:, None], dtype=np.int32)


def _identity(english: str, translation: str) -> bytes:
    # The length keeps ("a", "bc") and ("ab", "c") apart.
    text = f"{len(english)} {english}{translation}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).digest()
