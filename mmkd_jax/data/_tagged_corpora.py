"""Tagged corpora by description: from what a configuration holds to sentences."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmkd_jax.data import sample
from mmkd_jax.data._corpora import Reader, open_one, path_of
from mmkd_jax.data._readers._aspects import read_aspects, split_words
from mmkd_jax.data._readers._conll import (
    check_columns,
    read_conll,
    read_uner,
    read_wikiann,
)
from mmkd_jax.data._readers._conllu import read_conllu
from mmkd_jax.data._readers._hugging_face import hugging_face_rows
from mmkd_jax.data._readers._lines import UTF_8, check_encoding, texts
from mmkd_jax.data._readers._report import Reading
from mmkd_jax.data._readers._rows import json_rows, tagged_of_rows
from mmkd_jax.data._readers._tfds import tfds_rows
from mmkd_jax.data._records import TaggedSentence
from mmkd_jax.data._split import split_text

# How a text becomes words: by the rule of raw text, or by that of corpora of aspect terms.
SPLITS = {"text": split_text, "aspects": split_words}
_FOLDS = b"folds\n"  # other numbers than those that decide what is held out


class TaggedSource(NamedTuple):
    """Where tagged sentences come from.

    Attributes:
      name: says which it is, once for each source.
      language: what languages are sampled by.
      sentences: reads them from the beginning each time.
      origin: says what is read, and how many bytes it has.
    """

    name: str
    language: str
    sentences: Callable[[], Iterator[TaggedSentence]]
    origin: str


def open_tagged(specs: Mapping[str, Mapping[str, Any]], root: str | Path = ".") -> list:
    """The tagged corpora that a configuration describes, in the order of their names.

    >>> from mmkd_jax.data import open_tagged
    >>> [source] = open_tagged({"own": {"reader": "sample", "language": "tr", "task": "pos"}})
    >>> next(source.sentences()).tags
    ('PROPN', 'PROPN', 'PROPN', 'VERB', 'PUNCT')

    Each description has a ``reader``, the ``language``, and what the reader wants to know:

    ================  ==========================================================================
    ``conll``         ``path``; ``word``, ``tag``: columns (0, -1); ``columns``; ``spaces``,
                      ``comments``; ``encoding`` ("utf-8"); ``scheme``: of the file ("detect", or
                      None for tags that spell no spans); ``repair``
    ``wikiann``       ``path``; ``repair``
    ``uner``          ``path``; ``repair``
    ``conllu``        ``path``; ``tag`` ("upos", "xpos", "deprel")
    ``aspects``       ``path``; ``polarity``: whether these are the types
    ``jsonl``         ``path``; ``words``, ``tags``: fields ("tokens", "tags")
    ``tfds``          ``name``, ``split``; ``words``, ``tags``; ``data_dir``
    ``hugging_face``  ``path``, ``split``; ``name``; ``words``, ``tags``; ``options``
    ``text``          ``path``: raw text, a sentence a line; no tags; ``split`` ("text", by
                      `split_text`, or "aspects", by `split_words`); ``encoding``
    ``sample``        ``split`` ("train"), ``task`` ("ner"): the corpus that comes with the package
    ================  ==========================================================================

    (see `read_conll` and its like), and may have ``labels``: False takes the tags away, so that the
    sentences are raw text; ``without_fold``, [i, k]: leaves out what `fold_of` puts into fold i of
    k; and ``on_error``, ``limit``, ``part`` and ``held_out``, as for `open_sources`: what is held
    out depends on the words of a sentence alone. Spans come in BIO, whatever scheme a file has.

    Args:
      specs: descriptions by the sources' names.
      root: where relative paths begin. ``~`` at a path's beginning is the home folder.

    Returns:
      A `TaggedSource` each.

    Raises:
      ValueError: a description cannot be meant so. Says which, and what was perhaps meant.
      FileNotFoundError: what a description names is not there.
    """
    return [_open(name, specs[name], root) for name in sorted(specs)]


def _open(name: str, spec: Mapping[str, Any], root: str | Path) -> TaggedSource:
    spec = dict(spec)
    labels = spec.pop("labels", True)
    if not isinstance(labels, bool):
        raise ValueError(f"source {name!r} must have labels true or false, got {labels!r}")
    fold = spec.pop("without_fold", None)
    found = open_one(name, spec, root, _READERS, _text)
    read, origin = found.pairs, f"{found.origin}, labels: {labels}"
    if not labels:
        read = _WithoutLabels(read)
    if fold is not None:
        if len(fold) != 2 or not 0 <= fold[0] < fold[1]:
            raise ValueError(f"source {name!r} must have without_fold [i, k], i < k, got {fold!r}")
        read, origin = _WithoutFold(read, *fold), f"{origin}, without fold: {list(fold)}"
    return TaggedSource(name, found.language, read, origin)


def fold_of(words: Sequence[str], folds: int) -> int:
    """The fold of a sentence, from its words alone: wherever it comes again, it is in the same.

    >>> from mmkd_jax.data import fold_of
    >>> [fold_of(["Sentence", str(number)], 3) for number in range(8)]
    [0, 1, 0, 0, 2, 0, 0, 1]
    """
    digest = hashlib.blake2b(_FOLDS + "\n".join(words).encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()[:8], "little") % folds


@dataclasses.dataclass(frozen=True)
class _WithoutLabels:
    read: Callable[[], Iterator[TaggedSentence]]

    def __call__(self) -> Iterator[TaggedSentence]:
        return (sentence._replace(tags=()) for sentence in self.read())


@dataclasses.dataclass(frozen=True)
class _WithoutFold:
    read: Callable[[], Iterator[TaggedSentence]]
    fold: int
    folds: int

    def __call__(self) -> Iterator[TaggedSentence]:
        return (each for each in self.read() if fold_of(each.words, self.folds) != self.fold)


def _text(sentence: tuple) -> str:
    return " ".join(sentence[0])


# One function a reader. The arguments are those of a description, with their defaults.


def _conll(
    language: str,
    path: Path,
    word: int = 0,
    tag: int = -1,
    columns: int | None = None,
    spaces: bool = False,
    comments: bool = False,
    encoding: str = UTF_8,
    scheme: str | None = "detect",
    repair: bool = False,
    on_error: str = "raise",
) -> Iterator[TaggedSentence]:
    return read_conll(
        path,
        word=word,
        tag=tag,
        columns=columns,
        spaces=spaces,
        comments=comments,
        encoding=encoding,
        scheme=scheme,
        to=None if scheme is None else "BIO",
        repair=repair,
        language=language,
        on_error=on_error,
    )


def _conll_files(
    language: str,
    path: Path,
    word: int = 0,
    columns: int | None = None,
    spaces: bool = False,
    encoding: str = UTF_8,
    **_: Any,
) -> tuple[Path, ...]:
    check_columns(word, columns, spaces, encoding)
    return (path,)


def _wikiann(
    language: str, path: Path, repair: bool = False, on_error: str = "raise"
) -> Iterator[TaggedSentence]:
    return read_wikiann(path, repair=repair, on_error=on_error)


def _uner(
    language: str, path: Path, repair: bool = False, on_error: str = "raise"
) -> Iterator[TaggedSentence]:
    return read_uner(path, repair=repair, language=language, on_error=on_error)


def _conllu(
    language: str, path: Path, tag: str = "upos", on_error: str = "raise"
) -> Iterator[TaggedSentence]:
    return read_conllu(path, tag, language=language, on_error=on_error)


def _aspects(
    language: str, path: Path, polarity: bool = False, on_error: str = "raise"
) -> Iterator[TaggedSentence]:
    return read_aspects(path, polarity=polarity, language=language, on_error=on_error)


def _jsonl(
    language: str, path: Path, words: str = "tokens", tags: str = "tags", on_error: str = "raise"
) -> Iterator[TaggedSentence]:
    rows = json_rows(path, on_error=on_error)
    return tagged_of_rows(rows, words, tags, language=language, on_error=on_error)


def _tfds(
    language: str,
    name: str,
    split: str,
    words: str = "tokens",
    tags: str = "tags",
    data_dir: Path | None = None,
    on_error: str = "raise",
) -> Iterator[TaggedSentence]:
    rows = tfds_rows(name, split, data_dir=data_dir)
    return tagged_of_rows(rows, words, tags, language=language, on_error=on_error)


def _hugging_face(
    language: str,
    path: str,
    split: str,
    name: str | None = None,
    words: str = "tokens",
    tags: str = "tags",
    options: Mapping[str, Any] | None = None,
    on_error: str = "raise",
) -> Iterator[TaggedSentence]:
    rows = hugging_face_rows(path, name, split=split, **(options or {}))
    return tagged_of_rows(rows, words, tags, language=language, on_error=on_error)


def _raw(
    language: str, path: Path, encoding: str = UTF_8, split: str = "text", on_error: str = "raise"
) -> Iterator[TaggedSentence]:
    with Reading(on_error, None) as reading:
        for _, line in texts(path, reading, encoding):
            if places := SPLITS[split](line):
                reading.report.read += 1
                yield TaggedSentence(tuple(line[a:b] for a, b in places), (), language)


def _raw_files(
    language: str, path: Path, encoding: str = UTF_8, split: str = "text"
) -> tuple[Path, ...]:
    check_encoding(encoding)
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    return (path,)


def _sample(
    language: str, split: str = "train", task: str = "ner", on_error: str = "raise"
) -> Iterator[TaggedSentence]:
    for words, tags in sample.tagged(language, split, task):
        yield TaggedSentence(tuple(words), tuple(tags), language)


def _sample_files(language: str, split: str = "train", task: str = "ner") -> tuple[Path, ...]:
    sample.tagged(language, split, task)  # says what is wrong with language, split or task
    return ()


_READERS = {
    "conll": Reader(_conll, ("path",), _conll_files),
    "wikiann": Reader(_wikiann, ("path",), path_of),
    "uner": Reader(_uner, ("path",), path_of),
    "conllu": Reader(_conllu, ("path",), path_of),
    "aspects": Reader(_aspects, ("path",), path_of),
    "jsonl": Reader(_jsonl, ("path",), path_of),
    "tfds": Reader(
        _tfds, ("data_dir",), lambda language, data_dir=None, **_: [data_dir] if data_dir else []
    ),
    "hugging_face": Reader(_hugging_face, (), lambda language, **_: []),
    "text": Reader(_raw, ("path",), _raw_files),
    "sample": Reader(_sample, (), _sample_files),
}
