"""Aspect terms by character offsets: SemEval 2014 and 2016, MAMS."""

import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple
from xml.etree import ElementTree

from mmkd_jax.data._readers._report import Path, Reading, Report, Unreadable
from mmkd_jax.data._readers._xml import elements
from mmkd_jax.data._records import TaggedSentence
from mmkd_jax.tags import Span, tags_of_spans

# Scripts without spaces, one token a character: Han, its extensions, and Japanese kana.
_ALONE = (
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x323AF),
)
_JOINERS = "\u200c\u200d"


class _Term(NamedTuple):
    start: int
    end: int
    text: str
    polarity: str


def read_aspects(
    path: Path,
    *,
    polarity: bool = False,
    to: str = "BIO",
    language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[TaggedSentence]:
    """Sentences with their aspect terms tagged, from ``aspectTerm`` or ``Opinion`` elements.

    Words are those of `split_words`. A term that begins or ends within a word is widened to the
    whole word. Of terms that overlap, the longest counts. Both are counted in the report, and so
    are opinions without a term (``target="NULL"``). A term's capitals need not be those of the text
    (in the Dutch files of 2016 they are not).

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import read_aspects
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "train.xml")
    >>> _ = file.write_text('<sentences><sentence><text>Fine wine list!</text><aspectTerms>'
    ...                     '<aspectTerm term="wine list" polarity="positive" from="5" to="14"/>'
    ...                     '</aspectTerms></sentence></sentences>')
    >>> [sentence] = read_aspects(file)
    >>> sentence.words, sentence.tags
    (('Fine', 'wine', 'list', '!'), ('O', 'B-ASPECT', 'I-ASPECT', 'O'))
    >>> folder.cleanup()

    Args:
      path: the file.
      polarity: whether the polarities are the types of the tags (``B-positive``); else all are
        ``ASPECT``.
      to: the scheme of the tags.
      language: written into each record.
      on_error: "raise", or "skip" to leave out sentences that cannot be read and count them.
      report: where to count. Without one, what was left out or changed is logged at the end.

    Raises:
      ReadError: the XML is broken, a sentence has no text, or a term is not where it says.
    """
    with Reading(on_error, report) as reading:
        for line, sentence in elements(path, "sentence", reading):
            change = partial(reading.change, path, line)
            text = sentence.findtext("text") or ""
            places = split_words(text)
            try:
                if not places:
                    raise Unreadable("a sentence without words")
                terms = _terms(sentence, text, change)
            except Unreadable as error:
                reading.unreadable(path, line, error)
                continue
            spans = [
                span if polarity else span._replace(type="ASPECT")
                for span in _spans(terms, places, change)
            ]
            words = tuple(text[start:end] for start, end in places)
            reading.report.read += 1
            tags = tuple(tags_of_spans(spans, len(words), to))
            yield TaggedSentence(words, tags, language, sentence.get("id", ""))


def split_words(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end.

    A word is a run of letters, digits, underscores and the marks and joiners on them; every other
    character but white space is a word of its own, and so is each Chinese character or kana.

    >>> from mmkd_jax.data import split_words
    >>> text = "Sammy's menu"
    >>> [text[start:end] for start, end in split_words(text)]
    ['Sammy', "'", 's', 'menu']
    """
    words: list[tuple[int, int]] = []
    growing = False
    for position, character in enumerate(text):
        inside = character.isalnum() or character == "_"
        if inside and character >= "\u3040" and _alone(character):
            words.append((position, position + 1))
            growing = False
        elif inside and growing or (words and words[-1][1] == position and _joins(character)):
            words[-1] = (words[-1][0], position + 1)
        elif not character.isspace():
            words.append((position, position + 1))
            growing = inside
        else:
            growing = False
    return words


def _alone(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _ALONE)


def _joins(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character).startswith("M")


def _terms(sentence: ElementTree.Element, text: str, change: Callable[..., None]) -> list[_Term]:
    found = []
    for element in (*sentence.iter("aspectTerm"), *sentence.iter("Opinion")):
        name = element.get("term", element.get("target"))
        if name == "NULL" and element.tag == "Opinion":
            change("an opinion without a term left out")
            continue
        try:
            start, end = int(element.get("from", "")), int(element.get("to", ""))
        except ValueError:
            raise Unreadable("a term without offsets", repr(name)) from None
        # XML turns line breaks in attributes into spaces.
        term = text[max(start, 0) : end]
        if not term.strip() or _folded(term) != _folded(name or ""):
            raise Unreadable("a term is not where it says", f"{name!r}, found {term!r}")
        start += len(term) - len(term.lstrip())
        term = term.strip()
        found.append(_Term(start, start + len(term), term, element.get("polarity", "")))
    # Opinions about several aspects of one term repeat it.
    return list({(term.start, term.end): term for term in reversed(found)}.values())


def _folded(term: str) -> list[str]:
    return term.casefold().split()


def _spans(
    terms: list[_Term], places: list[tuple[int, int]], change: Callable[..., None]
) -> list[Span]:
    """The words that each term touches, longest terms first."""
    found: list[Span] = []
    for term in sorted(terms, key=lambda each: (each.start - each.end, each.start)):
        touched = [i for i, (a, b) in enumerate(places) if a < term.end and term.start < b]
        span = Span(touched[0], touched[-1] + 1, term.polarity)
        if (places[span.start][0], places[span.end - 1][1]) != (term.start, term.end):
            change("a term widened to whole words", repr(term.text))
        if any(span.start < other.end and other.start < span.end for other in found):
            change("a term left out because it overlaps a longer one", repr(term.text))
        else:
            found.append(span)
    return found
