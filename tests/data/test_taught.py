"""Batches with what teachers say: the right scores in the right rows."""

import numpy as np
import pytest

from mmkd_jax.data import (
    OutputsKey,
    Sampling,
    TaggedBatches,
    TaggedData,
    TaughtBatches,
    load_outputs,
    plan_tagged,
    prepare_outputs,
    seen_as,
)
from mmkd_jax.tags import TagSet

LENGTHS = (4, 2, 3, 1, 5, 2, 3)
TAGS = (TagSet(["A", "B"]), TagSet(["B", "C", "D"]))
# The first has read sentences 0, 2, 4; the second 6, 4, 1, 0 (in this order); nobody 3 and 5.
RECORDS = np.array([[0, 3], [-1, 2], [1, -1], [-1, -1], [2, 1], [-1, -1], [-1, 0]])
COLUMNS = (np.array([0, 1, -1, -1]), np.array([-1, 0, 1, 2]))


def emissions(teacher, sentence):
    random = np.random.default_rng(100 * teacher + sentence)
    # A teacher may have read more of a sentence than the student does.
    size = (LENGTHS[sentence] + teacher, len(TAGS[teacher]))
    return random.normal(size=size).astype(np.float32)


@pytest.fixture
def taught(tmp_path):
    outputs = []
    for number, tags in enumerate(TAGS):
        places = RECORDS[:, number]
        sentences = np.argsort(places)[(places < 0).sum() :]
        key = OutputsKey(str(number), "", len(sentences), tags)
        scores = {"transitions": np.zeros((len(tags),) * 2)}
        scores |= {name: np.zeros(len(tags)) for name in ("start", "end")}

        def emit(rows, number=number, sentences=sentences):
            return (emissions(number, sentences[row]) for row in rows)

        prepare_outputs(tmp_path / str(number), key, lambda s=scores: s, emit)
        outputs.append(load_outputs(tmp_path / str(number), key))
    rows = [np.arange(length, dtype=np.int32) for length in LENGTHS]
    languages = np.zeros(len(LENGTHS), np.int64)
    data = TaggedData(
        rows, languages, 0, words=rows, characters=[row[:, None] for row in rows], longest=1
    )
    plan = plan_tagged(data.lengths, Sampling(languages), tokens=12, shapes=2, multiple=1)
    return TaughtBatches(TaggedBatches(data, plan), tuple(outputs), COLUMNS, RECORDS)


def test_scores_are_those_of_the_sentence_and_of_its_teachers(taught):
    seen = set()
    assert taught.most == 2
    for step in range(taught.plan.steps(0)):
        batch = taught(step)
        assert batch.teachers.shape == (len(batch.lengths), 2)
        assert batch.teacher_emissions.shape == (*batch.teachers.shape, batch.tags.shape[1], 4)
        for row, sentence in enumerate(batch.example):
            expected = [] if sentence < 0 else np.flatnonzero(RECORDS[sentence] >= 0).tolist()
            found = batch.teachers[row]
            assert found[found >= 0].tolist() == expected
            for slot, number in enumerate(found):
                scores = batch.teacher_emissions[row, slot]
                if number < 0:
                    assert (scores == 0).all()
                    continue
                words = LENGTHS[sentence]
                own = emissions(number, sentence)[:words]
                np.testing.assert_array_equal(scores[:words], seen_as(own, COLUMNS[number], 4))
                assert (scores[words:] == 0).all()
                seen.add((int(number), int(sentence)))
    assert len(seen) == (RECORDS >= 0).sum()


def test_words_that_a_teacher_has_not_read_are_noticed(taught):
    taught.records[5, 0] = 0  # a sentence of 4 words for one of 2: it is cut
    taught.records[4, 0] = 1  # and one of 3 for one of 5
    with pytest.raises(ValueError, match="sentence 4 has 5 words, of which teacher 0 has read on"):
        for step in range(taught.plan.steps(0)):
            taught(step)


def test_records_are_checked(taught):
    with pytest.raises(ValueError, match=r"records must be \[sentences, M\]"):
        TaughtBatches(taught.batches, taught.outputs, COLUMNS, RECORDS[:, :1])
