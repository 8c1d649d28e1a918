"""Sentences from the lines of a stream, for `predict`."""

import re
from collections.abc import Iterable, Iterator

_NO_WORD = re.compile(r"#|\d+[-.]\d+\t")  # of CoNLL-U: a comment, a range, or an empty node
_BOM = "\ufeff"


def decoded(lines: Iterable[bytes]) -> Iterator[str]:
    """Lines of UTF-8, the first without a byte order mark.

    Raises:
      ValueError: A line is not UTF-8; the message says which.
    """
    for number, line in enumerate(lines, 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"line {number} is not UTF-8 ({error.reason} at byte {error.start}): convert the "
                "text first, for example with iconv -f latin1 -t utf-8"
            ) from None
        yield text.removeprefix(_BOM) if number == 1 else text


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
    layout = 0, False  # columns, and whether tabs are between them
    for number, line in enumerate(lines, 1):
        has_tabs = "\t" in line
        fields = line.rstrip("\r\n").split("\t" if has_tabs else None)
        is_comment = line.startswith("#") and len(fields) > 1 and (len(fields), has_tabs) != layout
        if not line.strip() or is_comment or fields[0] == "-DOCSTART-":
            if words:
                yield words
            words = []
            continue
        layout = len(fields), has_tabs
        if not -len(fields) <= word < len(fields):
            raise ValueError(f"line {number} has {len(fields)} columns: there is no column {word}")
        words.append(fields[word])
    if words:
        yield words
