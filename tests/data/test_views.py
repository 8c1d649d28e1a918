"""The views of MMKD, checked against a plain description of them, one row at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import (
    PairShape,
    chosen_count,
    decode_pairs,
    encode_pairs,
    kept_of_pair,
    layout_of,
    pair_batch,
    row_lengths,
    with_english,
)
from tests.data.corpora import pairs, prepared, student, teacher

MAX_LENGTH = 64
rows = st.lists(st.integers(0, 89), min_size=1, max_size=8)


def some(indices):
    data = prepared(MAX_LENGTH)
    return decode_pairs(data.read(np.array(indices)), data.layout)


def batch_of(taken, seed=0, epoch=0, longer=0, max_length=MAX_LENGTH):
    shape = row_lengths(taken.lengths, max_length).max(axis=0) + longer
    return pair_batch(
        taken, PairShape(*shape.tolist()), teacher(), student(), max_length, seed, epoch
    )


def kept(english, translation, room):
    return tuple(int(n) for n in kept_of_pair(np.array(english), np.array(translation), room))


def test_records_are_what_was_tokenised():
    texts = pairs(40, seed=7)
    encoded = encode_pairs(texts, [3] * 40, teacher(), student(), 20)
    taken = decode_pairs(encoded.records, layout_of(teacher(), student()))
    assert (taken.source == 3).all()
    np.testing.assert_array_equal(encoded.lengths[:, :3], taken.lengths)
    for index, (english, translation) in enumerate(texts):
        of_teacher = teacher().encode([english]).truncated(20)
        of_student = student().encode([english]).truncated(20)
        both = (of_teacher.first >= 0) & (of_student.first >= 0)
        t, e, x = taken.lengths[index]
        w = taken.words[index]
        np.testing.assert_array_equal(taken.teacher[index, :t], of_teacher.ids)
        np.testing.assert_array_equal(taken.english[index, :e], of_student.ids)
        np.testing.assert_array_equal(
            taken.translation[index, :x], student().encode([translation]).ids[:20]
        )
        np.testing.assert_array_equal(taken.teacher_first[index, :w], of_teacher.first[both])
        np.testing.assert_array_equal(taken.student_first[index, :w], of_student.first[both])
        np.testing.assert_array_equal(taken.student_count[index, :w], of_student.count[both])


def with_larger_ids(encode):
    return lambda texts: (e := encode(texts))._replace(ids=e.ids + 240_000)


def test_large_vocabularies_survive_the_trip():
    from mmkd_jax.data import SubwordTokenizer

    def wide(tokenizer):
        copy = SubwordTokenizer(tokenizer._tokenizer)
        copy.vocabulary_size = 250_002
        for name in ("encode", "encode_without_words"):
            setattr(copy, name, with_larger_ids(getattr(copy, name)))
        return copy

    one, two = wide(teacher()), wide(student())
    encoded = encode_pairs(pairs(5, 1), [0] * 5, one, two, 30)
    taken = decode_pairs(encoded.records, layout_of(one, two))
    narrow = encode_pairs(pairs(5, 1), [0] * 5, teacher(), student(), 30)
    plain = decode_pairs(narrow.records, layout_of(teacher(), student()))
    for name in ("teacher", "english", "translation"):
        expected = getattr(plain, name)
        np.testing.assert_array_equal(
            getattr(taken, name), np.where(expected > 0, expected + 240_000, 0)
        )


def test_pairs_with_an_empty_side_are_left_out_and_counted():
    encoded = encode_pairs([("ab", ""), ("ab", "cd"), (" ", "cd")], [0] * 3, *both(), 10)
    assert (len(encoded.records), encoded.empty) == (1, 2)
    assert encoded.lengths.shape == (1, 4)


def both():
    return teacher(), student()


@given(rows)
def test_rows_hold_the_texts_between_special_tokens(indices):
    taken = some(indices)
    batch = batch_of(taken, longer=3)
    cls, sep, pad = student().specials[:3]
    for b in range(len(indices)):
        t, e, x = taken.lengths[b].tolist()
        t, x_alone = min(t, MAX_LENGTH - 2), min(x, MAX_LENGTH - 2)
        kept_e, kept_x = kept(e, x, MAX_LENGTH - 3)
        english, translation = taken.english[b, :kept_e], taken.translation[b, :kept_x]

        def check(ids, mask, expected):
            assert ids[mask].tolist() == expected
            assert (ids[~mask] == pad).all()
            assert mask[: len(expected)].all()

        check(batch.teacher_ids[b], batch.teacher_mask[b], [cls, *taken.teacher[b, :t], sep])
        alone = [cls, *taken.translation[b, :x_alone], sep]
        check(batch.student_ids[b], batch.student_mask[b], alone)
        original = batch.tlm_ids[b].copy()
        where = batch.tlm_where[b]
        original[batch.tlm_positions[b, where]] = batch.tlm_targets[b, where]
        check(original, batch.pair_mask[b], [cls, *english, sep, *translation, sep])
        segments = [0] * (kept_e + 2) + [1] * (kept_x + 1)
        assert batch.pair_segments[b, : len(segments)].tolist() == segments
        assert not batch.pair_segments[b, len(segments) :].any()


@given(rows, st.integers(0, 3))
def test_fifteen_percent_of_the_text_is_chosen_and_never_a_special_token(indices, epoch):
    taken = some(indices)
    batch = batch_of(taken, epoch=epoch)
    assert batch.tlm_positions.shape[1] == chosen_count(batch.tlm_ids.shape[1] - 3)
    text = batch.pair_mask.sum(axis=1) - 3
    expected = np.maximum(np.floor(0.15 * text + 0.5), 1)
    np.testing.assert_array_equal(batch.tlm_where.sum(axis=1), expected)
    assert not np.isin(batch.tlm_targets[batch.tlm_where], student().specials.all).any()
    for positions, where in zip(batch.tlm_positions, batch.tlm_where, strict=True):
        used = positions[where]
        assert (np.diff(used) > 0).all()  # no position twice
        assert (positions[~where] == 0).all()


def test_unknown_tokens_are_not_chosen():
    texts = [("ab ab ab ab ab ab", "猫 " * 30 + "ab")]
    encoded = encode_pairs(texts, [0], *both(), 62)
    taken = decode_pairs(encoded.records, layout_of(*both()))
    unknown = student().specials.unk
    for epoch in range(20):
        batch = batch_of(taken, epoch=epoch)
        assert (batch.tlm_ids == unknown).sum() == 30
        assert unknown not in batch.tlm_targets[batch.tlm_where]


def test_eighty_percent_become_the_mask_ten_random_ten_stay():
    taken = some(range(90))
    counts = np.zeros(3)
    seen = set()
    for epoch in range(60):
        batch = batch_of(taken, epoch=epoch)
        now = np.take_along_axis(batch.tlm_ids, batch.tlm_positions, axis=1)[batch.tlm_where]
        before = batch.tlm_targets[batch.tlm_where]
        masked, same = now == student().specials.mask, now == before
        counts += [masked.sum(), (~masked & ~same).sum(), same.sum()]
        seen |= set(now[~masked & ~same].tolist())
    shares = counts / counts.sum()
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.015)
    assert seen <= set(student().ordinary.tolist())
    assert len(seen) > len(student().ordinary) / 2


@given(rows, st.integers(0, 3))
def test_words_are_masked_whole_on_the_english_side_only(indices, epoch):
    taken = some(indices)
    batch = batch_of(taken, epoch=epoch)
    for b in range(len(indices)):
        count = int(batch.words_valid[b].sum()) - 2
        assert batch.words_valid[b, : count + 2].all()
        masked = np.flatnonzero(batch.words_masked[b])
        limit = min(int(0.15 * count + 0.5), count // 4)
        assert len(masked) == max(limit, 1)
        assert ((masked >= 1) & (masked <= count)).all()  # neither [CLS] nor [SEP]
        allowed = np.zeros(batch.word_ids.shape[1], bool)
        for word in masked:
            begin = int(taken.student_first[b, word - 1])
            allowed[1 + begin : 1 + begin + int(taken.student_count[b, word - 1])] = True
        original = batch.tlm_ids[b].copy()
        where = batch.tlm_where[b]
        original[batch.tlm_positions[b, where]] = batch.tlm_targets[b, where]
        assert not (batch.word_ids[b] != original)[~allowed].any()


def test_most_subwords_of_masked_words_are_the_mask():
    taken = some(range(90))
    masked, total = 0, 0
    for epoch in range(30):
        batch = batch_of(taken, epoch=epoch)
        masked += (batch.word_ids == student().specials.mask).sum()
        chosen = batch.words_masked[:, 1 : 1 + taken.student_count.shape[1]]
        total += taken.student_count[:, : chosen.shape[1]][chosen].sum()
    assert abs(masked / total - 0.8) < 0.02


@given(rows)
def test_words_begin_where_both_sides_say(indices):
    taken = some(indices)
    batch = batch_of(taken)
    for b in range(len(indices)):
        count = int(batch.words_valid[b].sum()) - 2
        t = min(int(taken.lengths[b, 0]), MAX_LENGTH - 2)
        expected = [0, *(taken.teacher_first[b, :count] + 1), t + 1]
        assert batch.teacher_words[b, : count + 2].tolist() == expected
        assert batch.teacher_ids[b, batch.teacher_words[b, count + 1]] == teacher().specials.sep
        student_row = batch.student_words[b, : count + 2]
        assert student_row[1:-1].tolist() == (taken.student_first[b, :count] + 1).tolist()
        assert batch.word_ids[b, student_row[-1]] == student().specials.sep
        assert batch.pair_segments[b, student_row[-1]] == 0
        assert not batch.teacher_words[b, count + 2 :].any()


@given(rows, st.integers(0, 2**31), st.integers(0, 50), st.integers(0, 9))
def test_a_view_depends_on_seed_epoch_and_example_alone(indices, seed, epoch, longer):
    together = batch_of(some(indices), seed, epoch, longer)
    for b, index in enumerate(indices):
        alone = batch_of(some([index]), seed, epoch)
        for name, row, expected in zip(together._fields, together, alone, strict=True):
            width = expected.shape[1] if expected.ndim > 1 else None
            np.testing.assert_array_equal(row[b, :width] if width else row[b], expected[0], name)
            assert width is None or not (row[b, width:] != student().specials.pad).any()


def test_masks_differ_between_epochs_seeds_and_examples():
    taken = some(range(90))
    first = batch_of(taken)
    for other in (batch_of(taken, epoch=1), batch_of(taken, seed=1)):
        changed = (first.tlm_positions != other.tlm_positions).any(axis=1)
        assert changed.mean() > 0.9
        assert (first.words_masked != other.words_masked).any(axis=1).mean() > 0.5
    twins = some([0, 0])._replace(id=np.array([1, 2], np.uint64))
    batch = batch_of(twins)
    assert (batch.tlm_positions[0] != batch.tlm_positions[1]).any()


def test_epochs_may_differ_within_a_batch():
    mixed = batch_of(some([4, 4]), epoch=np.array([0, 1]))
    for b, epoch in enumerate((0, 1)):
        np.testing.assert_array_equal(mixed.tlm_ids[b], batch_of(some([4]), epoch=epoch).tlm_ids[0])


@given(st.integers(1, 200), st.integers(1, 200), st.integers(2, 128))
def test_truncation_is_fair(english, translation, room):
    e, x = kept(english, translation, room)
    assert 1 <= e <= english
    assert 1 <= x <= translation
    if english + translation <= room:
        assert (e, x) == (english, translation)
    else:
        assert e + x == room
        # The same share of both, to the nearest subword; at least one of each.
        exact = english * room / (english + translation)
        assert abs(e - min(max(exact, 1), room - 1)) <= 0.5


def test_long_pairs_are_cut_and_their_cut_words_left_out():
    taken = some(range(90))
    batch = batch_of(taken, max_length=24)
    assert max(row.shape[1] for row in (batch.teacher_ids, batch.student_ids, batch.tlm_ids)) == 24
    cut = taken.lengths.sum(axis=1) > 2 * 24
    assert cut.any()
    assert (batch.words_valid.sum(axis=1) - 2 < taken.words)[cut].any()
    sep_of_english = np.take_along_axis(
        batch.student_words, batch.words_valid.sum(axis=1, keepdims=True) - 1, axis=1
    )
    assert (batch.student_words <= sep_of_english).all()
    assert batch.words_masked.any(axis=1)[batch.words_valid.sum(axis=1) > 2].all()


def test_two_separators_stand_between_texts_for_xlmr():
    doubled = student()
    single = doubled.specials
    taken = some([0, 1, 2])
    try:
        doubled.specials = single._replace(separators=2)
        shape = row_lengths(taken.lengths, MAX_LENGTH, separators=2).max(axis=0)
        batch = pair_batch(taken, PairShape(*shape.tolist()), *both(), MAX_LENGTH, 0, 0)
    finally:
        doubled.specials = single
    for b in range(3):
        e, x = kept(*taken.lengths[b, 1:], MAX_LENGTH - 4)
        assert batch.tlm_ids[b, e + 1 : e + 3].tolist() == [single.sep] * 2
        assert batch.pair_segments[b, e + 1 : e + 4].tolist() == [0, 0, 1]
        assert batch.pair_mask[b].sum() == e + x + 4


@given(rows, st.lists(st.booleans(), min_size=8, max_size=8))
def test_english_takes_the_place_of_the_translation(indices, flags):
    taken = some(indices)
    chosen = np.array(flags[: len(indices)])
    mixed = with_english(taken, chosen)
    for b, is_english in enumerate(chosen):
        e, x = taken.lengths[b, 1:]
        expected = taken.english[b, :e] if is_english else taken.translation[b, :x]
        np.testing.assert_array_equal(mixed.translation[b, : mixed.lengths[b, 2]], expected)
        assert (mixed.id[b] != taken.id[b]) == is_english


def test_too_small_a_shape_is_an_error():
    with pytest.raises(ValueError, match="shape must hold the longest rows"):
        pair_batch(some([0]), PairShape(4, 4, 4), *both(), MAX_LENGTH, 0, 0)


def test_rows_have_room_for_as_many_positions_as_their_length_says():
    assert [chosen_count(slots) for slots in (1, 3, 10, 20, 125)] == [1, 1, 2, 3, 19]
