"""Sentences from the lines of a stream, for `predict`."""

import re
from collections.abc import Iterable, Iterator

_NO_WORD = re.compile(r"\d+[-.]\d+\t")  # of CoNLL-U: a range, or an empty node


def sentences_of(lines: Iterable[str], form: str, word: int) -> Iterator[str | list[str]]:
    """Texts, or the words of each sentence.

    Args:
      lines: As they come.
      form: text, words, columns or conllu.
      word: The column of the words, for columns.
    """
    if form == "conllu":
        return _columns((line for line in lines if not _NO_WORD.match(line)), 1)
    return _columns(lines, word) if form == "columns" else _rows(lines, form)


def _rows(lines: Iterable[str], form: str) -> Iterator[str | list[str]]:
    for line in lines:
        text = line.rstrip("\r\n")
        yield text if form == "text" else text.split()


def _columns(lines: Iterable[str], word: int) -> Iterator[list[str]]:
    words: list[str] = []
    columns = 0
    for number, line in enumerate(lines, 1):
        fields = line.rstrip("\r\n").split("\t" if "\t" in line else None)
        is_comment = line.startswith("#") and 1 < len(fields) != columns
        if not line.strip() or is_comment or fields[0] == "-DOCSTART-":
            if words:
                yield words
            words = []
            continue
        columns = len(fields)
        if not -len(fields) <= word < len(fields):
            raise ValueError(f"line {number} has {len(fields)} columns: there is no column {word}")
        words.append(fields[word])
    if words:
        yield words
