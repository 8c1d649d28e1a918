"""The plain records that readers yield: named tuples, hashable, cheap to make and to send."""

from typing import Any, NamedTuple


class Pair(NamedTuple):
    """A text and its translation."""

    source: str
    target: str
    source_language: str = ""
    target_language: str = ""


class TaggedSentence(NamedTuple):
    """Words and one tag a word. A word may hold spaces."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    language: str = ""
    id: str = ""


class Inference(NamedTuple):
    """A premise and a hypothesis; the label is entailment, neutral or contradiction."""

    premise: str
    hypothesis: str
    label: str
    language: str = ""
    id: str = ""


class Paraphrase(NamedTuple):
    """Two sentences; the label is 1 if they say the same, else 0."""

    first: str
    second: str
    label: int
    language: str = ""
    id: str = ""


class Question(NamedTuple):
    """A question about a text.

    Each answer stands in the context, from the character of `starts` on. A question that the
    context does not answer has none.
    """

    question: str
    context: str
    answers: tuple[str, ...]
    starts: tuple[int, ...]
    language: str = ""
    id: str = ""
    title: str = ""


class Row(NamedTuple):
    """A record by field names, as JSON lines, TFDS and Hugging Face datasets hold them."""

    file: str
    number: int
    values: dict[str, Any]
