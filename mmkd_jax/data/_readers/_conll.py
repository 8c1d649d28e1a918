"""CoNLL columns: the shared tasks of 2002 and 2003, WikiAnn, Universal NER, and their like."""

from collections.abc import Collection, Iterator

from mmkd_jax.data._readers._chunks import DETECT, ChunkTags, likeliest_scheme
from mmkd_jax.data._readers._lines import UTF_8, check_encoding
from mmkd_jax.data._readers._report import Path, Reading, Report, Unreadable
from mmkd_jax.data._readers._sentences import Word, checked, sentences
from mmkd_jax.data._records import TaggedSentence
from mmkd_jax.tags import TagSet

_DOCUMENT = "-DOCSTART-"


def read_conll(
    path: Path,
    *,
    word: int = 0,
    tag: int = -1,
    columns: int | None = None,
    spaces: bool = False,
    comments: bool = False,
    prefixes: bool = False,
    ends: Collection[str] = (),
    encoding: str = UTF_8,
    scheme: str | None = DETECT,
    to: str | None = "BIO",
    tags: TagSet | None = None,
    repair: bool = False,
    language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[TaggedSentence]:
    r"""Tagged sentences, one word a line, blank lines between them; plain or gzipped.

    Columns stand between tabs, if the first line of a word has one, and else between runs of
    spaces. Lines of ``-DOCSTART-`` end a sentence and are no words.

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import read_conll
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "train.txt")
    >>> _ = file.write_text("Ana NP I-PER\nMaria NP I-PER\nJuan NP B-PER\nlee V O\n")
    >>> [sentence] = read_conll(file)  # IOB1 is found out
    >>> sentence.tags
    ('B-PER', 'I-PER', 'B-PER', 'O')
    >>> folder.cleanup()

    Args:
      path: the file.
      word: the column of the words, from 0; negative ones count from the end.
      tag: the column of the tags, likewise.
      columns: how many there are; None for as many as the first line of a word has.
      spaces: words may hold spaces: a line is split at its last ones only. `columns` must say how
        many columns there are, and the word must be in the first.
      comments: a line that begins with # is a comment, and ends a sentence, unless it has as many
        columns as a word has.
      prefixes: words are written ``de:Wort``; the language goes into the record.
      ends: words that end a sentence too, if they are tagged O: for streams without blank lines.
      encoding: of the file. German, Dutch and Spanish of the shared tasks are in latin-1.
      scheme: the scheme that the tags must follow: "IO", "IOB1", "BIO" ("IOB2") or "BIOES".
        "detect" reads the file twice and takes the one that fits it best. None is for tags that
        spell no spans: they are taken as they are.
      to: the scheme that the records have; None to leave the tags as they are.
      tags: what the tags of the records may be; None for anything.
      repair: whether illegal sequences are read, and counted as changed, instead of being errors:
        spans then are what the CoNLL evaluation script sees in the tags.
      language: written into each record.
      on_error: "raise", or "skip" to leave out sentences that cannot be read and count them.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: a line is not in the encoding or has another number of columns, a tag sequence is
        illegal, or a tag is outside the set.
    """
    check_columns(word, columns, spaces, encoding)
    ends = frozenset(ends)

    def parser() -> _Parser:  # one a pass, since it learns from the first line
        return _Parser(word, tag, columns, spaces, comments, prefixes)

    with Reading(on_error, report) as reading:
        if scheme == DETECT:
            unheard = Reading("skip", Report())  # faults are for the second pass
            first_pass = sentences(path, parser(), unheard, ends, encoding)
            scheme = likeliest_scheme(each.tags for each in first_pass)
        found = sentences(path, parser(), reading, ends, encoding)
        yield from checked(path, found, ChunkTags(scheme, to, tags, repair), language, reading)


def check_columns(word: int, columns: int | None, spaces: bool, encoding: str) -> None:
    """ValueError where these arguments of `read_conll` do not fit."""
    if spaces and (columns is None or word != 0):
        raise ValueError("spaces=True needs columns, and the word in the first of them")
    check_encoding(encoding)


def read_wikiann(
    path: Path,
    *,
    to: str | None = "BIO",
    tags: TagSet | None = None,
    repair: bool = False,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[TaggedSentence]:
    """WikiAnn (PAN-X) in its original files: ``de:Wort<TAB>B-LOC``, the language from the words.

    The Thai files begin some spans with I: `repair`, as in `read_conll`, reads them.
    """
    return read_conll(
        path,
        columns=2,
        prefixes=True,
        scheme="BIO",
        to=to,
        tags=tags,
        repair=repair,
        on_error=on_error,
        report=report,
    )


def read_uner(
    path: Path,
    *,
    to: str | None = "BIO",
    tags: TagSet | None = None,
    repair: bool = False,
    language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[TaggedSentence]:
    """Universal NER: ``ID<TAB>TOKEN<TAB>TAG`` and comments; further columns are notes.

    A few sentences begin a span with I: `repair`, as in `read_conll`, reads them.
    """
    return read_conll(
        path,
        word=1,
        tag=2,
        comments=True,
        scheme="BIO",
        to=to,
        tags=tags,
        repair=repair,
        language=language,
        on_error=on_error,
        report=report,
    )


class _Parser:
    """What a line in columns says. It learns separator and number of columns from the first."""

    def __init__(
        self,
        word: int,
        tag: int,
        columns: int | None,
        spaces: bool,
        comments: bool,
        prefixes: bool,
    ):
        self.word, self.tag, self.columns, self.spaces = word, tag, columns, spaces
        self.comments, self.prefixes = comments, prefixes
        self.separator = ""

    def __call__(self, line: str, position: int) -> Word | None:
        if self.comments and line[0] == "#" and self._is_comment(line):
            return None
        if not self.separator:
            self.separator = "\t" if "\t" in line else " "
        if self.separator == " ":
            line = line.strip(" ")
        if self.spaces:
            fields = line.rsplit(self.separator, self.columns - 1)
        else:
            fields = line.split(self.separator)
            if self.separator == " " and "" in fields:  # a run of spaces is one separator
                fields = [field for field in fields if field]
        if fields[0] == _DOCUMENT:
            return None
        if len(fields) != self.columns:
            self._check_columns(len(fields))
        word, tag, language = fields[self.word], fields[self.tag], ""
        if self.prefixes:
            language, colon, word = word.partition(":")
            if not colon:
                raise Unreadable("no language before the word", repr(language))
        if not word.strip() or not tag:
            raise Unreadable("an empty word or tag")
        return Word(word, tag, language)

    def _is_comment(self, line: str) -> bool:
        return not self.separator or len(line.split(self.separator)) != self.columns

    def _check_columns(self, found: int) -> None:
        if self.columns is not None:
            raise Unreadable("wrong number of columns", f"{found} instead of {self.columns}")
        first, last = sorted((self.word, self.tag))
        if not -found <= first <= last < found:
            raise Unreadable("wrong number of columns", f"only {found}")
        self.columns = found
