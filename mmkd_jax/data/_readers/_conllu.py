"""CoNLL-U: Universal Dependencies."""

from collections.abc import Iterator

from mmkd_jax.data._readers._chunks import ChunkTags
from mmkd_jax.data._readers._report import Path, Reading, Report, Unreadable
from mmkd_jax.data._readers._sentences import PASS, Word, checked, sentences
from mmkd_jax.data._records import TaggedSentence
from mmkd_jax.tags import TagSet

# The universal parts of speech, by alphabet.
_UPOS = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"
UPOS = TagSet(_UPOS.split())

_FIELDS = {"upos": 3, "xpos": 4, "deprel": 7}
_COLUMNS = 10


def read_conllu(
    path: Path,
    tag: str = "upos",
    *,
    tags: TagSet | None = None,
    language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[TaggedSentence]:
    r"""The syntactic words of a treebank and their tags; plain or gzipped.

    Lines of ranges (``3-4``, the written form of the words 3 and 4) and of empty nodes (``5.1``)
    are passed over: neither is a word with a tag. Words may hold spaces.

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import read_conllu
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "de.conllu")
    >>> lines = ["1\tGeh\t_\tVERB", "2-3\tzum\t_\t_", "2\tzu\t_\tADP", "3\tdem\t_\tDET"]
    >>> _ = file.write_text("".join(line + 6 * "\t_" + "\n" for line in lines))
    >>> [sentence] = read_conllu(file)
    >>> sentence.words, sentence.tags
    (('Geh', 'zu', 'dem'), ('VERB', 'ADP', 'DET'))
    >>> folder.cleanup()

    Args:
      path: the file.
      tag: "upos", "xpos" or "deprel".
      tags: what the tags may be; by default `UPOS` for upos, and anything for the others.
      language: written into each record.
      on_error: "raise", or "skip" to leave out sentences that cannot be read and count them.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: a line is not UTF-8 or has not ten columns, words are not numbered one by one, or
        a tag is outside the set.
    """
    if tag not in _FIELDS:
        raise ValueError(f"tag must be one of {', '.join(_FIELDS)}, got {tag!r}")
    column = _FIELDS[tag]

    def parse(line: str, position: int) -> Word | None:
        if line[0] == "#":
            return None
        fields = line.split("\t")
        if len(fields) != _COLUMNS:
            raise Unreadable("wrong number of columns", f"{len(fields)} instead of {_COLUMNS}")
        number, word = fields[0], fields[1]
        if number != str(position + 1):
            if "-" in number or "." in number:
                return PASS
            raise Unreadable("words are not numbered one by one", f"{number} for {position + 1}")
        if not word.strip():
            raise Unreadable("an empty word or tag")
        return Word(word, fields[column])

    allowed = UPOS if tags is None and tag == "upos" else tags
    with Reading(on_error, report) as reading:
        found = sentences(path, parse, reading)
        yield from checked(path, found, ChunkTags(None, None, allowed), language, reading)
