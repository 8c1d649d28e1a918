"""Scores of taggers: conlleval's rules, by hand and beside seqeval."""

import random
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import TaggedSentence
from mmkd_jax.evaluation import SpanCounts, span_counts, tag_accuracy, tagging_scores

try:
    from seqeval import metrics
except ImportError:
    metrics = None

needs_seqeval = pytest.mark.skipif(metrics is None, reason="an extra: mmkd_jax[test]")
TAGS = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("X", "Y"))]
tags_of_two = st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), max_size=9)


@pytest.mark.parametrize(
    ("predicted", "gold", "counts"),
    [
        ("B-X I-X O", "B-X I-X O", (1, 1, 1)),
        ("B-X O O", "B-X I-X O", (0, 1, 1)),
        ("B-Y I-Y O", "B-X I-X O", (0, 1, 1)),
        ("O O O", "B-X B-X O", (0, 0, 2)),
        # What continues nothing begins a span.
        ("I-X I-X O", "B-X I-X O", (1, 1, 1)),
        ("B-X I-Y I-Y", "B-X B-Y I-Y", (2, 2, 2)),
        ("B-X B-X I-X", "B-X I-X I-X", (0, 2, 1)),
        # Schemes may differ.
        ("B-X E-X S-Y", "B-X I-X B-Y", (2, 2, 2)),
        ("S-X I-X E-X", "B-X B-X I-X", (2, 2, 2)),
        ("E-X E-X", "B-X B-X", (2, 2, 2)),
        ("", "", (0, 0, 0)),
    ],
)
def test_spans_by_hand(predicted, gold, counts):
    assert span_counts([predicted.split()], [gold.split()]) == SpanCounts(*counts)


def test_f1_is_of_all_sentences_together():
    predicted = [["B-X", "O"], ["B-X", "B-Y"], ["O"]]
    gold = [["B-X", "O"], ["O", "B-Y"], ["B-X"]]
    counts = span_counts(predicted, gold)
    assert counts == (2, 3, 3)
    assert (counts.precision, counts.recall, counts.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    nothing = SpanCounts(0, 0, 0)
    assert (nothing.precision, nothing.recall, nothing.f1) == (0.0, 0.0, 0.0)


def test_a_span_does_not_reach_into_the_next_sentence():
    assert span_counts([["B-X"], ["I-X"]], [["B-X"], ["B-X"]]) == (2, 2, 2)


def seqeval_scores(predicted, gold):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no span at all
        scores = (metrics.precision_score, metrics.recall_score, metrics.f1_score)
        return [float(score(gold, predicted)) for score in scores]


@needs_seqeval
@given(st.lists(tags_of_two, min_size=1, max_size=4))
def test_as_seqeval_counts_whatever_the_tags(pairs):
    predicted, gold = ([[pair[side] for pair in row] for row in pairs] for side in (0, 1))
    counts = span_counts(predicted, gold)
    found = [counts.precision, counts.recall, counts.f1]
    assert found == pytest.approx(seqeval_scores(predicted, gold))


@needs_seqeval
def test_as_seqeval_counts_many_sentences():
    rng = random.Random(0)
    gold = [rng.choices(TAGS, k=rng.randint(0, 30)) for _ in range(200)]
    predicted = [[tag if rng.random() < 0.8 else rng.choice(TAGS) for tag in row] for row in gold]
    assert span_counts(predicted, gold).f1 == pytest.approx(seqeval_scores(predicted, gold)[2])


def test_raw_text_has_no_score():
    rows = [TaggedSentence(("a",), ("X",)), TaggedSentence((), ()), TaggedSentence(("b",), ())]
    with pytest.raises(ValueError, match="with tags, to compare with, but in de some have none"):
        tagging_scores(lambda sentences: sentences, {"de": rows}, of_spans=False)


def test_scores_by_language():
    corpora = {
        "de": [TaggedSentence(("a", "b"), ("B-X", "I-X")), TaggedSentence(("c",), ("O",))],
        "fr": [TaggedSentence(("a",), ("B-X",)), TaggedSentence(("d",), ("B-X",))],
    }

    def tag(sentences):
        known = {"a": "B-X", "b": "I-X"}
        return [[known.get(word, "O") for word in words] for words in sentences]

    found = tagging_scores(tag, corpora, of_spans=True)
    assert found == {"de": 1.0, "fr": 2 / 3, "macro": (1 + 2 / 3) / 2}
    found = tagging_scores(tag, corpora, of_spans=False)
    assert found == {"de": 1.0, "fr": 0.5, "macro": 0.75}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: span_counts([["O"]], [["O", "O"]]), "sentence 0 has 1 and 2"),
        (lambda: tag_accuracy([["A"], []], [["A"], ["A"]]), "sentence 1 has 0 and 1"),
        (lambda: tag_accuracy([], []), "gold must have at least one tag"),
        (lambda: tagging_scores(list, {}, True), "at least one language"),
        (lambda: tagging_scores(list, {"de": []}, True), "but de has 0"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
