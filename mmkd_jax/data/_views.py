"""The views of MMKD, from tokenised pairs: what the teacher and the student read, and the masks."""

from typing import NamedTuple

import numpy as np

from mmkd_jax.data._encoded import Pairs
from mmkd_jax.data._masking import (
    TOKENS,
    WORDS,
    choose_tokens,
    choose_words,
    chosen_count,
    example_keys,
    replacements,
)
from mmkd_jax.data._subwords import Specials, SubwordTokenizer

_ALONE = 2  # special tokens of a row with one text


class PairShape(NamedTuple):
    """Row lengths of a batch: the teacher's English, the translation alone, both together."""

    teacher: int
    translation: int
    pair: int


class PairBatch(NamedTuple):
    """The views of B pairs, with T_e, T_x and T_p subwords a row (`PairShape`). A pytree.

    C positions are chosen in a row of T_p, `chosen_count(T_p - special tokens)`; there is room for
    W = T_e words, the first and last of which are the teacher's [CLS] and [SEP].

    Attributes:
      teacher_ids: ``[B, T_e]`` int32, ``[CLS] e [SEP]`` in the teacher's vocabulary.
      teacher_mask: ``[B, T_e]`` booleans, false in the padding.
      student_ids: ``[B, T_x]`` int32, ``[CLS] x [SEP]``.
      student_mask: ``[B, T_x]`` booleans.
      pair_mask: ``[B, T_p]`` booleans, of both views below.
      pair_segments: ``[B, T_p]`` int32, 0 up to the separator behind e, 1 from there to the end
        of x, 0 in the padding. Leave them out for encoders of one segment.
      tlm_ids: ``[B, T_p]`` int32, ``[CLS] e [SEP] x [SEP]`` with tokens of both sides masked.
      tlm_positions: ``[B, C]`` int32, the chosen positions, in rising order; 0 where unused.
      tlm_targets: ``[B, C]`` int32, the tokens that stood there; 0 where unused.
      tlm_where: ``[B, C]`` booleans, which of them count.
      word_ids: ``[B, T_p]`` int32, the same with whole words of e masked and x intact.
      student_words: ``[B, W]`` int32, where each word begins in `word_ids`; 0 where unused.
      teacher_words: ``[B, W]`` int32, where it begins in `teacher_ids`; 0 where unused.
      words_masked: ``[B, W]`` booleans, the words that are masked in `word_ids`.
      words_valid: ``[B, W]`` booleans: [CLS], the words that both tokenizers have and no
        truncation cut, [SEP].
      source: ``[B]`` int32, the number of each pair's source.
      is_english: ``[B]`` booleans, where e itself stands in the place of x.
      example: ``[B]`` int32, the number of the example in its data.
    """

    teacher_ids: np.ndarray
    teacher_mask: np.ndarray
    student_ids: np.ndarray
    student_mask: np.ndarray
    pair_mask: np.ndarray
    pair_segments: np.ndarray
    tlm_ids: np.ndarray
    tlm_positions: np.ndarray
    tlm_targets: np.ndarray
    tlm_where: np.ndarray
    word_ids: np.ndarray
    student_words: np.ndarray
    teacher_words: np.ndarray
    words_masked: np.ndarray
    words_valid: np.ndarray
    source: np.ndarray
    is_english: np.ndarray
    example: np.ndarray


def pair_batch_shapes(size: int, shape: PairShape, separators: int = 1) -> PairBatch:
    """A batch of so many pairs that takes no memory: zeros of the right shapes and types.

    Args:
      size: B.
      shape: Row lengths.
      separators: Between two texts, 1 (BERT) or 2 (XLM-R).
    """

    def zeros(kind: type, *columns: int) -> np.ndarray:
        return np.broadcast_to(np.zeros((), kind), (size, *columns))

    teacher, alone, pair = shape
    chosen = chosen_count(pair - _ALONE - separators)
    return PairBatch(
        teacher_ids=zeros(np.int32, teacher),
        teacher_mask=zeros(bool, teacher),
        student_ids=zeros(np.int32, alone),
        student_mask=zeros(bool, alone),
        pair_mask=zeros(bool, pair),
        pair_segments=zeros(np.int32, pair),
        tlm_ids=zeros(np.int32, pair),
        tlm_positions=zeros(np.int32, chosen),
        tlm_targets=zeros(np.int32, chosen),
        tlm_where=zeros(bool, chosen),
        word_ids=zeros(np.int32, pair),
        student_words=zeros(np.int32, teacher),
        teacher_words=zeros(np.int32, teacher),
        words_masked=zeros(bool, teacher),
        words_valid=zeros(bool, teacher),
        source=zeros(np.int32),
        is_english=zeros(bool),
        example=zeros(np.int32),
    )


def row_lengths(lengths: np.ndarray, max_length: int, separators: int = 1) -> np.ndarray:
    """How long the rows of pairs are, special tokens included.

    Args:
      lengths: ``[..., 3]``, subwords of the teacher's English, the student's English and the
        translation.
      max_length: of any row; what is longer is truncated.
      separators: between two texts, 1 (BERT) or 2 (XLM-R).

    Returns:
      ``[..., 3]``: the teacher's row, the row of the translation alone, the row of both.
    """
    teacher, english, translation = np.moveaxis(np.asarray(lengths, np.int64), -1, 0)
    kept = kept_of_pair(english, translation, max_length - _ALONE - separators)
    alone = max_length - _ALONE
    rows = (
        np.minimum(teacher, alone) + _ALONE,
        np.minimum(translation, alone) + _ALONE,
        sum(kept) + _ALONE + separators,
    )
    return np.stack(rows, axis=-1)


def kept_of_pair(
    english: np.ndarray, translation: np.ndarray, room: int
) -> tuple[np.ndarray, np.ndarray]:
    """How many subwords of each side stay when both share a room.

    Fair means the same share of each: the two then still say about the same. (To shorten the
    longer side first, as is often done, takes the end from one language only.)

    >>> import numpy as np
    >>> from mmkd_jax.data import kept_of_pair
    >>> kept_of_pair(np.array([40, 3]), np.array([80, 4]), room=60)
    (array([20,  3]), array([40,  4]))
    """
    if room < 2:
        raise ValueError(f"room must be at least 2, one subword of each side, got {room}")
    total = english + translation
    share = np.floor(english * room / np.maximum(total, 1) + 0.5).astype(np.int64)
    share = np.clip(share, 1, room - 1)
    fits = total <= room
    return np.where(fits, english, share), np.where(fits, translation, room - share)


def pair_batch(
    pairs: Pairs,
    shape: PairShape,
    teacher: SubwordTokenizer,
    student: SubwordTokenizer,
    max_length: int,
    seed: int,
    epoch: np.ndarray | int,
    is_english: np.ndarray | None = None,
    example: np.ndarray | None = None,
) -> PairBatch:
    """Makes the views of a batch, without a loop over rows or tokens.

    Truncation follows from `max_length` and masks from (seed, epoch, example), never from `shape`:
    whatever rows a pair is put into, its views are the same but for padding.

    Args:
      pairs: tokenised; `with_english` has been applied already.
      shape: row lengths, large enough for `row_lengths` of every pair.
      teacher: the teacher's tokenizer.
      student: the student's.
      max_length: of any row.
      seed: of the masks.
      epoch: ``[]`` or ``[B]``, how often an example has come before.
      is_english: passed through.
      example: passed through.
    """
    _check_shape(pairs, shape, max_length, student.specials.separators)
    size = len(pairs.id)
    keys = example_keys(seed, epoch, pairs.id)
    teacher_ids, teacher_mask = _alone(
        pairs.teacher, pairs.lengths[:, 0], shape.teacher, max_length, teacher.specials
    )
    student_ids, student_mask = _alone(
        pairs.translation, pairs.lengths[:, 2], shape.translation, max_length, student.specials
    )
    rows = _together(pairs, shape.pair, max_length, student.specials)
    positions, where, targets, tlm_ids = _tlm(keys, rows, student)
    words = _words(pairs, rows.english, shape.teacher, max_length)
    count = words.valid.sum(axis=1) - 2
    masked = np.zeros_like(words.valid)
    masked[:, 1:] = choose_words(keys, count, shape.teacher - 1)
    inside = np.nonzero(_tokens_of_words(words, masked, shape.pair))
    word_ids = rows.ids.copy()
    word_ids[inside] = replacements(keys[inside[0]], WORDS, rows.ids[inside], inside[1], student)
    return PairBatch(
        teacher_ids,
        teacher_mask,
        student_ids,
        student_mask,
        rows.mask,
        rows.segments,
        tlm_ids,
        positions,
        targets,
        where,
        word_ids,
        words.student,
        words.teacher,
        masked,
        words.valid,
        pairs.source,
        np.zeros(size, bool) if is_english is None else np.asarray(is_english),
        np.zeros(size, np.int32) if example is None else np.asarray(example, np.int32),
    )


class _Together(NamedTuple):
    ids: np.ndarray  # [B, T_p]
    mask: np.ndarray  # [B, T_p]
    segments: np.ndarray  # [B, T_p]
    english: np.ndarray  # [B], subwords of the English side
    is_text: np.ndarray  # [B, T_p]


class _Words(NamedTuple):
    student: np.ndarray  # [B, W], as in PairBatch
    teacher: np.ndarray  # [B, W]
    ends: np.ndarray  # [B, W], the position behind each word's last subword in the pair's row
    valid: np.ndarray  # [B, W]


def _alone(
    texts: np.ndarray, lengths: np.ndarray, width: int, max_length: int, specials: Specials
) -> tuple[np.ndarray, np.ndarray]:
    """``[CLS] text [SEP]`` and its mask."""
    kept = np.minimum(lengths, max_length - _ALONE)
    columns = np.arange(width)
    ids = _behind_first(texts, width)
    mask = columns < (kept + _ALONE)[:, None]
    ids = np.where(mask, ids, np.int32(specials.pad))
    ids[:, 0] = specials.cls
    ids[np.arange(len(ids)), kept + 1] = specials.sep
    return ids, mask


def _together(pairs: Pairs, width: int, max_length: int, specials: Specials) -> _Together:
    """``[CLS] e [SEP] x [SEP]``, with its mask and segments."""
    between = specials.separators
    room = max_length - _ALONE - between
    english, translation = kept_of_pair(pairs.lengths[:, 1], pairs.lengths[:, 2], room)
    columns = np.arange(width)
    second = (english + 1 + between)[:, None]  # where x begins
    end = second + translation[:, None]
    before = columns <= english[:, None]
    second_text = (columns >= second) & (columns < end)
    mask = columns <= end
    ids = np.where(mask, np.int32(specials.sep), np.int32(specials.pad))
    ids = np.where(before, _behind_first(pairs.english, width), ids)
    # Both sides name as many places in each row, row after row.
    inside = np.arange(pairs.translation.shape[1]) < translation[:, None]
    ids[second_text] = pairs.translation[inside]
    ids[:, 0] = specials.cls
    is_text = before | second_text
    is_text[:, 0] = False
    segments = (mask & (columns >= second)).astype(np.int32)
    return _Together(ids, mask, segments, english, is_text)


def _behind_first(rows: np.ndarray, width: int) -> np.ndarray:
    """Rows moved one place to the right, cut or filled with zeros to a width."""
    moved = np.zeros((len(rows), width), rows.dtype)
    fitting = min(width - 1, rows.shape[1])
    moved[:, 1 : 1 + fitting] = rows[:, :fitting]
    return moved


def _tlm(
    keys: np.ndarray, rows: _Together, student: SubwordTokenizer
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    specials = student.specials
    # A text may hold special tokens too: the unknown one above all, which teaches nothing.
    maskable = rows.is_text.copy()
    for special in specials.all:
        maskable &= rows.ids != special
    most = chosen_count(rows.ids.shape[1] - _ALONE - specials.separators)
    positions, where = choose_tokens(keys, maskable, most)
    originals = np.take_along_axis(rows.ids, positions, axis=1)
    masked = replacements(keys[:, None], TOKENS, originals, positions, student)
    ids = rows.ids.copy()
    # Unused places point at [CLS], and put back what is there.
    np.put_along_axis(ids, positions, np.where(where, masked, originals), axis=1)
    return positions, where, np.where(where, originals, 0), ids


def _words(pairs: Pairs, english: np.ndarray, width: int, max_length: int) -> _Words:
    """Words as [CLS], those that no truncation cut, [SEP]."""
    teacher_kept = np.minimum(pairs.lengths[:, 0], max_length - _ALONE)
    columns = np.arange(pairs.student_first.shape[1])
    ends = pairs.student_first + pairs.student_count
    whole = (
        (columns < pairs.words[:, None])
        & (ends <= english[:, None])
        & (pairs.teacher_first < teacher_kept[:, None])
    )
    # Words stand in the order of the text, so that those that are whole come first.
    count = whole.sum(axis=1)
    columns = np.arange(width)
    valid = columns < (count + 2)[:, None]
    is_word = columns <= count[:, None]
    is_word[:, 0] = False

    def placed(values: np.ndarray, of_sep: np.ndarray) -> np.ndarray:
        found = (_behind_first(values, width) + np.int32(1)) * is_word
        found[np.arange(len(found)), count + 1] = of_sep
        return found

    return _Words(
        placed(pairs.student_first, english + 1),
        placed(pairs.teacher_first, teacher_kept + 1),
        placed(ends, english + 1),
        valid,
    )


def _tokens_of_words(words: _Words, chosen: np.ndarray, width: int) -> np.ndarray:
    """``[B, T_p]``, which positions belong to the words that are chosen."""
    change = np.zeros((len(chosen), width + 1), np.int32)
    rows, columns = np.nonzero(chosen)
    np.add.at(change, (rows, words.student[rows, columns]), 1)
    np.add.at(change, (rows, words.ends[rows, columns]), -1)
    return np.cumsum(change, axis=1)[:, :width] > 0


def _check_shape(pairs: Pairs, shape: PairShape, max_length: int, separators: int) -> None:
    needed = row_lengths(pairs.lengths, max_length, separators).max(axis=0, initial=0)
    if (needed > np.array(shape)).any():
        raise ValueError(
            f"shape must hold the longest rows, {PairShape(*needed.tolist())}, got {shape}"
        )
