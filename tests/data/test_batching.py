"""Plans: which examples make up which batch."""

import dataclasses
import pickle
import threading
from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import (
    Report,
    Sampling,
    Source,
    plan_pairs,
    plan_tagged,
    read_tsv,
    tokenize_pairs,
)
from tests.data.vocabularies import bert
from tests.shared_data import FOLDER, needs_shared_data

COUNTS = [120, 50, 10]
LANGUAGES = np.repeat(np.arange(3), COUNTS)
_RANDOM = np.random.default_rng(0)
PAIR_LENGTHS = _RANDOM.integers(1, 60, (180, 3)).astype(np.uint16)
_WORDS = _RANDOM.integers(0, 25, 180)
TAGGED_LENGTHS = np.stack([_WORDS, 2 + _WORDS + _RANDOM.integers(0, 20, 180)], axis=1)


def pair_plan(seed=0, lengths=PAIR_LENGTHS, batch_size=16, max_length=64, shapes=6, **sampling):
    drawn = Sampling(LANGUAGES, seed=seed, **sampling)
    return plan_pairs(lengths, drawn, batch_size, max_length, shapes=shapes, seed=seed)


def tagged_plan(seed=0, tokens=256, rows_multiple=1, shapes=6, **sampling):
    drawn = Sampling(LANGUAGES, seed=seed, **sampling)
    return plan_tagged(
        TAGGED_LENGTHS, drawn, tokens, rows_multiple=rows_multiple, shapes=shapes, seed=seed
    )


def steps_of(plan, epoch):
    """The batches of an epoch, by walking from the first step on."""
    first = sum(plan.steps(each) for each in range(epoch))
    return [plan.step(first + place) for place in range(plan.steps(epoch))]


def composition(plan, epoch):
    """The batches of an epoch as sets, whatever their order."""
    return {frozenset(step.example[step.example >= 0].tolist()) for step in steps_of(plan, epoch)}


settings = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 1000),
        "how": st.sampled_from(["proportional", "round_robin"]),
        "english_fraction": st.sampled_from([0.0, 0.25]),
        "shapes": st.integers(1, 6),
    }
)


@given(settings, st.integers(0, 3))
def test_pairs_come_at_most_once_an_epoch_and_few_are_left_out(settings, epoch):
    plan = pair_plan(**settings)
    steps = steps_of(plan, epoch)
    assert len(plan.shapes) <= settings["shapes"]
    assert all(step.epoch == epoch and len(step.example) == 16 for step in steps)
    drawn = plan.sampling.draw(epoch)
    of_draws = sorted(zip(*(column.tolist() for column in drawn), strict=True))
    of_steps = sorted(
        row for step in steps for row in zip(step.example, step.visit, step.is_english, strict=True)
    )
    assert set(of_steps) <= set(of_draws)
    assert len(of_steps) == len(set(of_steps)) == len(of_draws) // 16 * 16


@given(settings, st.integers(0, 3), st.sampled_from([1, 4]))
def test_every_tagged_sentence_comes_in_its_epoch(settings, epoch, rows_multiple):
    plan = tagged_plan(rows_multiple=rows_multiple, **settings)
    drawn = plan.sampling.draw(epoch)
    steps = steps_of(plan, epoch)
    come = np.concatenate([step.example for step in steps])
    np.testing.assert_array_equal(np.sort(come[come >= 0]), np.sort(drawn.example))
    assert (come < 0).sum() < plan.rows.max()  # only the last batch is filled up
    for step in steps:
        rows, (_, width) = len(step.example), plan.shapes[step.shape]
        assert rows == plan.rows[step.shape]
        assert rows % rows_multiple == 0
        assert rows * width <= 256 < (rows + rows_multiple) * width


@given(settings)
def test_rows_are_as_long_as_what_they_hold(settings):
    for plan in (pair_plan(**settings), tagged_plan(**settings)):
        drawn = plan.sampling.draw(0)
        lengths = dict(
            zip(
                zip(drawn.example.tolist(), drawn.is_english.tolist(), strict=True),
                plan.lengths_of(drawn).tolist(),
                strict=True,
            )
        )
        for step in steps_of(plan, 0):
            for key in zip(step.example.tolist(), step.is_english.tolist(), strict=True):
                assert key[0] < 0 or (np.array(lengths[key]) <= plan.shapes[step.shape]).all()


@pytest.mark.parametrize("make", [pair_plan, tagged_plan])
def test_epochs_and_seeds_have_other_batches(make):
    plan = make()
    assert len(composition(plan, 0)) == plan.steps(0)
    assert not composition(plan, 0) & composition(plan, 1)
    assert not composition(plan, 0) & composition(make(seed=1), 0)
    # Short and long ones come mixed, not sorted.
    shapes = np.array([step.shape for step in steps_of(plan, 0)])
    assert (np.diff(shapes) < 0).any() and (np.diff(shapes) > 0).any()
    counts = np.bincount(shapes, minlength=len(plan.shapes))
    np.testing.assert_array_equal(plan.shape_counts(0), counts)


@pytest.mark.parametrize("make", [pair_plan, tagged_plan])
def test_a_batch_is_a_pure_function_of_its_step(make):
    plan, other = make(), pickle.loads(pickle.dumps(make()))
    count = 3 * plan.steps(0)
    backwards = {number: other.step(number) for number in reversed(range(count))}
    for number in range(count):
        for one, two in zip(plan.step(number), backwards[number], strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("make", [pair_plan, tagged_plan])
def test_steps_are_counted_over_epochs(make):
    plan = make()
    places = [(e, p) for e in range(3) for p in range(plan.steps(e))]
    assert [plan.locate(step) for step in range(len(places))] == places


def test_threads_that_begin_an_epoch_together_make_it_once(monkeypatch):
    plan = pair_plan()
    drawn = []
    inner = Sampling.draw
    monkeypatch.setattr(Sampling, "draw", lambda self, e: drawn.append(e) or inner(self, e))
    threads = [threading.Thread(target=plan.step, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert drawn == [0]


def test_what_is_english_is_as_long_as_its_english():
    lengths = np.array([[5, 5, 50], [5, 30, 5]] * 20, np.uint16)
    sampling = Sampling(np.zeros(40, int), english_fraction=0.5, size=80)
    plan = plan_pairs(lengths, sampling, 4, 128)
    drawn = sampling.draw(0)
    rows = plan.lengths_of(drawn)
    long = drawn.example % 2 == 1
    np.testing.assert_array_equal(
        rows[:, 1], np.where(drawn.is_english, 7 + 25 * long, 52 - 45 * long)
    )
    assert plan.shapes[-1].tolist() == [7, 52, 63]


def test_shapes_hold_what_later_epochs_draw():
    lengths = PAIR_LENGTHS.copy()
    plan = pair_plan(size=32)
    late = set(range(180)) - set(plan.sampling.draw(0).example.tolist())
    lengths[list(late)] = 62
    plan = pair_plan(lengths=lengths, size=32)
    assert plan.shapes[-1].tolist() == [64, 64, 64]
    for epoch in range(6):
        assert len(steps_of(plan, epoch)) == 2


def changed(lengths):
    lengths = lengths.copy()
    lengths[7, 1] ^= 1
    return lengths


def test_hash_says_whether_plans_are_the_same():
    plan = pair_plan()
    assert plan.hash == pair_plan().hash == pickle.loads(pickle.dumps(plan)).hash
    others = [
        pair_plan(seed=1),
        pair_plan(batch_size=8),
        pair_plan(max_length=60),
        pair_plan(shapes=3),
        pair_plan(english_fraction=0.25),
        pair_plan(how="round_robin"),
        pair_plan(size=64),
        # Other data: one length more or less, or the same examples in another order.
        pair_plan(lengths=changed(PAIR_LENGTHS)),
        pair_plan(lengths=PAIR_LENGTHS[::-1]),
        tagged_plan(),
        tagged_plan(tokens=300),
        dataclasses.replace(tagged_plan(), fill=False),
    ]
    assert len({plan.hash, *(other.hash for other in others)}) == len(others) + 1


def test_hash_tells_other_english_rows_apart():
    # The English text in the place of the translation is in no batch of the one plan.
    lengths = np.full((180, 3), 20, np.uint16)
    other = lengths.copy()
    other[7] = (20, 19, 21)  # the rows of the pair itself stay as long
    plans = [pair_plan(lengths=each, english_fraction=0.5) for each in (lengths, other)]
    assert plans[0].hash != plans[1].hash


def test_sentences_that_are_too_long_for_the_budget_come_few_at_a_time():
    plan = tagged_plan(tokens=256, rows_multiple=8)
    fits = plan.shapes[:, 1] * 8 <= 256
    assert fits.any() and not fits.all()
    assert (plan.rows[~fits] == 8).all()
    assert (plan.rows[fits] == 256 // plan.shapes[fits, 1] // 8 * 8).all()
    seen = np.concatenate([step.example for step in steps_of(plan, 0)])
    assert sorted(seen[seen >= 0].tolist()) == list(range(len(TAGGED_LENGTHS)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pair_plan(lengths=PAIR_LENGTHS[:5]), r"lengths must be \[N, 3\] = \(180, 3\)"),
        (lambda: pair_plan(batch_size=0), "batch_size must be at least 1"),
        (lambda: pair_plan(batch_size=181), "at least a batch of 181 an epoch, got 180"),
        (lambda: tagged_plan(tokens=0), "tokens must be at least 1, got 1 and 0"),
        (lambda: tagged_plan(rows_multiple=0), "rows_multiple and .* at least 1, got 0 and 256"),
        (lambda: plan_tagged(PAIR_LENGTHS, Sampling(LANGUAGES), 99), r"must be \[N, 2\]"),
        (lambda: pair_plan().step(-1), "step must be at least 0, got -1"),
        (
            lambda: dataclasses.replace(pair_plan(), shapes=pair_plan().shapes[::-1]),
            "at least as large as the one before",
        ),
        (lambda: dataclasses.replace(pair_plan(), rows=np.array([4])), "one number a shape"),
        (
            lambda: dataclasses.replace(tagged_plan(size=3), fill=False),
            "at least a batch of .* got 3",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@needs_shared_data
def test_slots_hold_tokens():
    def some(pairs):
        return [tuple(pair[:2]) for pair in islice(pairs, 0, None, 25)]

    report = Report()
    short = [
        Source(path.name, path.name[9:11], some(read_tsv(path, report=report)))
        for path in sorted((FOLDER / "tatoeba_pairs").glob("train*"))
    ]
    (path,) = (FOLDER / "pydocs").glob("*.gz")
    long = [
        Source(f"docs {code}", code, some(read_tsv(path, "en", code, report=report)))
        for code in ("es", "fr", "ja", "ko", "tr", "zh")
    ]
    found = tokenize_pairs([*short, *long], bert("uncased"), bert("multilingual-cased"))
    sampling = Sampling(found.languages, english_fraction=0.1)
    plan = plan_pairs(found.lengths[:, :3], sampling, 16)
    assert len(plan.shapes) == 6
    real = plan.lengths_of(sampling.draw(0)).sum(axis=0)
    slots = 16 * plan.shape_counts(0) @ plan.shapes
    assert real[2] / slots[2] > 0.85
    views = np.array([1, 1, 2])
    assert (real @ views) / (slots @ views) > 0.75
