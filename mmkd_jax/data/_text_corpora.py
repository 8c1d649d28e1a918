"""Benchmarks of understanding by description: from what a configuration holds to their records."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from mmkd_jax.data._corpora import Reader, open_one, path_of
from mmkd_jax.data._readers._benchmarks import read_multinli, read_pawsx, read_squad, read_xnli
from mmkd_jax.data._readers._hugging_face import hugging_face_rows
from mmkd_jax.data._readers._rows import (
    inferences_of_rows,
    paraphrases_of_rows,
    questions_of_rows,
)
from mmkd_jax.data._readers._tfds import tfds_rows
from mmkd_jax.data._records import Inference, Paraphrase, Question

Record = Inference | Paraphrase | Question


class TextSource(NamedTuple):
    """Where records come from.

    Attributes:
      name: says which it is, once for each source.
      language: of the records.
      records: reads them from the beginning each time.
      origin: says what is read, and how many bytes it has.
    """

    name: str
    language: str
    records: Callable[[], Iterator[Record]]
    origin: str

    def read(self) -> list[Record]:
        """All of them.

        Raises:
          ValueError: there are none: the file has nothing in this language.
        """
        found = list(self.records())
        if not found:
            raise ValueError(
                f"source {self.name!r} has nothing in {self.language!r}: {self.origin}"
            )
        return found


def open_texts(
    specs: Mapping[str, Mapping[str, Any]], kind: str, root: str | Path = "."
) -> list[TextSource]:
    r"""The benchmarks that a configuration describes, in the order of their names.

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import open_texts
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = pathlib.Path(folder.name, "test_2k.tsv")
    >>> _ = table.write_text("id\tsentence1\tsentence2\tlabel\n1\tOui.\tSi.\t1\n")
    >>> spec = {"reader": "pawsx", "language": "fr", "path": "test_2k.tsv"}
    >>> [source] = open_texts({"pawsx_fr": spec}, "paraphrases", folder.name)
    >>> source.read()[0].label
    1
    >>> folder.cleanup()

    Each description has a ``reader``, the ``language``, and what the reader wants to know:

    ================  ==========================================================================
    inferences        ``xnli``, ``multinli``: ``path``
    paraphrases       ``pawsx``: ``path``
    questions         ``squad`` (XQuAD and MLQA too): ``path``
    all               ``tfds``: ``name``, ``split``, ``data_dir``; ``hugging_face``: ``path``,
                      ``split``, ``name``, ``options``
    ================  ==========================================================================

    (see `read_xnli` and its like), and may have ``on_error``, ``limit``, ``part`` and ``held_out``,
    as for `open_sources`: what is held out depends on a record's first text alone, on the context
    of a question.

    Args:
      specs: descriptions by the sources' names.
      kind: of the records: inferences, paraphrases or questions.
      root: where relative paths begin. ``~`` at a path's beginning is the home folder.

    Raises:
      ValueError: a description cannot be meant so. Says which, and what was perhaps meant.
      FileNotFoundError: what a description names is not there.
    """
    if kind not in _READERS:
        raise ValueError(f"kind must be one of {', '.join(_READERS)}, got {kind!r}")
    found = []
    for name in sorted(specs):
        source = open_one(name, specs[name], root, _READERS[kind], _text)
        found.append(TextSource(source.name, source.language, source.pairs, source.origin))
    return found


def _text(record: tuple) -> str:
    return record.context if isinstance(record, Question) else record[0]


# One function a reader. The arguments are those of a description, with their defaults.


def _xnli(language: str, path: Path, on_error: str = "raise") -> Iterator[Inference]:
    return read_xnli(path, language, on_error=on_error)


def _multinli(language: str, path: Path, on_error: str = "raise") -> Iterator[Inference]:
    return read_multinli(path, on_error=on_error)


def _pawsx(language: str, path: Path, on_error: str = "raise") -> Iterator[Paraphrase]:
    return read_pawsx(path, language, on_error=on_error)


def _squad(language: str, path: Path, on_error: str = "raise") -> Iterator[Question]:
    return read_squad(path, language, on_error=on_error)


def _of_rows(records_of_rows: Callable) -> dict[str, Reader]:
    """Readers of data sets that others hold, by the fields that they have there."""

    def tfds(
        language: str,
        name: str,
        split: str,
        data_dir: Path | None = None,
        on_error: str = "raise",
    ) -> Iterator[Record]:
        return records_of_rows(
            tfds_rows(name, split, data_dir=data_dir), language, on_error=on_error
        )

    def hugging_face(
        language: str,
        path: str,
        split: str,
        name: str | None = None,
        options: Mapping[str, Any] | None = None,
        on_error: str = "raise",
    ) -> Iterator[Record]:
        rows = hugging_face_rows(path, name, split=split, **(options or {}))
        return records_of_rows(rows, language, on_error=on_error)

    return {
        "tfds": Reader(
            tfds, ("data_dir",), lambda language, data_dir=None, **_: [data_dir] if data_dir else []
        ),
        "hugging_face": Reader(hugging_face, (), lambda language, **_: []),
    }


_READERS = {
    "inferences": {
        "xnli": Reader(_xnli, ("path",), path_of),
        "multinli": Reader(_multinli, ("path",), path_of),
        **_of_rows(inferences_of_rows),
    },
    "paraphrases": {"pawsx": Reader(_pawsx, ("path",), path_of), **_of_rows(paraphrases_of_rows)},
    "questions": {"squad": Reader(_squad, ("path",), path_of), **_of_rows(questions_of_rows)},
}
