"""Taggers: F1 of spans by the rules of the CoNLL evaluation script, and accuracy of tags."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mmkd_jax.tags import spans

Tags = Sequence[str]


class SpanCounts(NamedTuple):
    """What precision, recall and F1 are made of.

    Attributes:
      correct: Spans that were found and are there, with the same borders and type.
      found: Spans in the predicted tags.
      there: Spans in the gold tags.
    """

    correct: int
    found: int
    there: int

    @property
    def precision(self) -> float:
        """Share of what was found that is there; 0 where nothing was found."""
        return self.correct / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of what is there that was found; 0 where nothing is there."""
        return self.correct / self.there if self.there else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, from the counts: nothing is rounded."""
        both = self.found + self.there
        return 2 * self.correct / both if both else 0.0


def span_counts(predicted: Iterable[Tags], gold: Iterable[Tags]) -> SpanCounts:
    """Spans over all sentences, as the CoNLL evaluation script counts them.

    Illegal tag sequences count too: an I that continues nothing begins a span. seqeval's default
    mode counts likewise.

    >>> from mmkd_jax.evaluation import span_counts
    >>> span_counts([["B-PER", "I-PER", "O", "I-LOC"]], [["B-PER", "I-PER", "B-LOC", "I-LOC"]])
    SpanCounts(correct=1, found=2, there=2)

    Args:
      predicted: Tags of each sentence, in any scheme.
      gold: Likewise.
    """
    correct = found = there = 0
    for number, (one, other) in enumerate(zip(predicted, gold, strict=True)):
        _check_lengths(number, one, other)
        here, wanted = set(spans(one)), set(spans(other))
        correct += len(here & wanted)
        found += len(here)
        there += len(wanted)
    return SpanCounts(correct, found, there)


def tag_accuracy(predicted: Iterable[Tags], gold: Iterable[Tags]) -> float:
    """Share of words that have the right tag.

    >>> from mmkd_jax.evaluation import tag_accuracy
    >>> tag_accuracy([["DET", "NOUN"], ["VERB", "X"]], [["DET", "NOUN"], ["VERB", "PRON"]])
    0.75

    Args:
      predicted: Tags of each sentence.
      gold: Likewise.
    """
    right = count = 0
    for number, (one, other) in enumerate(zip(predicted, gold, strict=True)):
        _check_lengths(number, one, other)
        right += sum(a == b for a, b in zip(one, other, strict=True))
        count += len(other)
    if not count:
        raise ValueError("gold must have at least one tag")
    return right / count


def tagging_scores(
    tag: Callable[[list[Sequence[str]]], Sequence[Tags]],
    corpora: Mapping[str, Sequence[Any]],
    of_spans: bool,
) -> dict[str, float]:
    """How good a tagger is, by language, and over languages.

    Args:
      tag: From sentences, which are lists of words, to their tags.
      corpora: By language, sentences that have ``words`` and ``tags``.
      of_spans: F1 of spans, or accuracy.

    Returns:
      The score of each language, and under "macro" their mean: between 0 and 1, not rounded.
    """
    if not corpora:
        raise ValueError("corpora must hold at least one language")
    found = {}
    for language, sentences in corpora.items():
        if not sentences:
            raise ValueError(f"corpora must hold sentences of each language, but {language} has 0")
        if any(sentence.words and not sentence.tags for sentence in sentences):
            raise ValueError(
                f"corpora must hold sentences with tags, to compare with, but in {language} some "
                "have none: is it raw text?"
            )
        predicted = tag([sentence.words for sentence in sentences])
        gold = [sentence.tags for sentence in sentences]
        found[language] = (
            span_counts(predicted, gold).f1 if of_spans else tag_accuracy(predicted, gold)
        )
    return found | {"macro": sum(found.values()) / len(found)}


def _check_lengths(number: int, one: Tags, other: Tags) -> None:
    if len(one) != len(other):
        raise ValueError(
            f"predicted and gold must have as many tags, but sentence {number} has {len(one)} and "
            f"{len(other)}"
        )
