"""What a tagger says of a sentence."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from mmkd_jax import data, tags


class TaggedSpan(NamedTuple):
    """A typed stretch of words.

    Attributes:
      start: Its first word.
      end: The word after its last.
      type: Such as PER.
      text: Its words; where the sentence was a text, just as they stand there.
      probability: That exactly this span is there.
    """

    start: int
    end: int
    type: str
    text: str
    probability: float


class Guess(NamedTuple):
    """One of the best tag sequences.

    Attributes:
      tags: One a word.
      probability: Of the whole sequence.
    """

    tags: tuple[str, ...]
    probability: float


@dataclasses.dataclass(frozen=True, eq=False)
class Tagging:
    """What a tagger says of a sentence.

    Attributes:
      words: Of the sentence.
      tags: Those of the most probable sequence, one a word.
      probabilities: Of each of these tags by itself, over all sequences.
      spans: What the tags spell; none for tags without a scheme.
      probability: Of the whole sequence.
      marginals: ``[W, N]``, the probability of every tag of the tag set, for each word.
      guesses: The best sequences, as many as were asked for.
      places: Where the words stand in the text; None where words were given.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    probabilities: tuple[float, ...]
    spans: tuple[TaggedSpan, ...]
    probability: float
    marginals: Float[np.ndarray, "W N"] = dataclasses.field(repr=False)
    guesses: tuple[Guess, ...] = ()
    places: tuple[tuple[int, int], ...] | None = None


def words_in(
    sentence: str | Sequence[str], split: str
) -> tuple[tuple[str, ...], str | None, tuple[tuple[int, int], ...] | None]:
    """Words; and, where they come from a text, this and where they stand in it."""
    if not isinstance(sentence, str):
        return tuple(sentence), None, None
    places = tuple(data.SPLITS[split](sentence))
    return tuple(sentence[start:end] for start, end in places), sentence, places


def tagging_of(
    words: tuple[str, ...], text: str | None, places: Any, found: dict[str, Any]
) -> Tagging:
    """From what `words_in` gives, and the other fields, in whose spans the texts are missing."""

    def text_of(span: tags.Span) -> str:
        if text is None:
            return " ".join(words[span.start : span.end])
        return text[places[span.start][0] : places[span.end - 1][1]]

    spans = tuple(
        TaggedSpan(*span, text_of(span), probability) for span, probability in found["spans"]
    )
    return Tagging(words, **found | {"spans": spans}, places=places)
