"""Sentences written one word a line, with blank lines between them."""

from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import chain
from typing import NamedTuple

from mmkd_jax.data._readers._chunks import ChunkTags, Misplaced
from mmkd_jax.data._readers._lines import UTF_8, lines
from mmkd_jax.data._readers._report import Path, Reading, Unreadable
from mmkd_jax.data._records import TaggedSentence
from mmkd_jax.tags import IllegalTagsError

_SENTENCE_ID = "# sent_id ="


class Word(NamedTuple):
    """What a line says."""

    word: str
    tag: str
    language: str = ""


# A line that is no word of the sentence and does not end it either.
PASS = Word("", "")


class Sentence(NamedTuple):
    """A sentence as it stands in a file: `numbers` are the lines of its words."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    numbers: tuple[int, ...]
    language: str
    id: str


def sentences(
    path: Path,
    parse: Callable[[str, int], Word | None],
    reading: Reading,
    ends: Collection[str] = (),
    encoding: str = UTF_8,
) -> Iterator[Sentence]:
    """The sentences of a file. A sentence of which a line is at fault is left out whole.

    Args:
      path: the file.
      parse: what a line says, given how many words of its sentence came before it: a word, `PASS`,
        or None for what ends a sentence, such as a comment.
      reading: hears of faults.
      ends: words that end a sentence, as a blank line does, if they are tagged O.
      encoding: of the file.
    """
    rows: list[tuple[int, Word]] = []
    id, broken = "", False
    # One blank line more: the last sentence may have none after it.
    for number, line in chain(enumerate(lines(path, reading), 1), [(0, b"")]):
        decoded, word = "", None
        if line.strip():
            try:
                decoded = line.decode(encoding)
                word = parse(decoded, len(rows))
            except (Unreadable, UnicodeDecodeError) as error:
                if not broken:  # what is left out, and counted, is the sentence
                    reading.unreadable(path, number, error)
                broken = True
                continue
        if word is PASS:
            continue
        if word is not None:
            rows.append((number, word))
            if not (ends and word.tag == "O" and word.word in ends):
                continue
        if rows or broken:
            if not broken:
                yield _sentence(rows, id)
            rows, id, broken = [], "", False
        if decoded.startswith(_SENTENCE_ID):
            id = decoded[len(_SENTENCE_ID) :].strip()


def _sentence(rows: list[tuple[int, Word]], id: str) -> Sentence:
    numbers, columns = zip(*rows, strict=True)
    words, tags, languages = zip(*columns, strict=True)
    return Sentence(words, tags, numbers, languages[0], id)


def checked(
    path: Path, found: Iterable[Sentence], rewrite: ChunkTags, language: str, reading: Reading
) -> Iterator[TaggedSentence]:
    """The sentences as records, if their tags are what they should be."""
    for words, tags, numbers, own_language, id in found:
        try:
            rewritten = rewrite(tags)
        except IllegalTagsError as error:
            kind = f"an illegal tag sequence in {rewrite.scheme}"
            reading.fault(path, numbers[error.position], kind, str(error))
        except Misplaced as error:
            reading.unreadable(path, numbers[error.position], error)
        else:
            if rewrite.repaired:
                kind = "illegal tags read as the CoNLL evaluation script does"
                reading.change(path, numbers[0], kind, rewrite.repaired)
            reading.report.read += 1
            yield TaggedSentence(words, rewritten, own_language or language, id)
