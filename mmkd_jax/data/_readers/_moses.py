"""Parallel text as two files, line by line: Moses, OPUS, Tatoeba, NTREX."""

import os
from collections.abc import Iterator
from itertools import chain, zip_longest
from pathlib import Path as Folder

from mmkd_jax.data._readers._lines import lines
from mmkd_jax.data._readers._report import Path, Reading, Report
from mmkd_jax.data._records import Pair


def read_moses(
    source: Path,
    target: Path,
    *,
    source_language: str = "",
    target_language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    r"""Two files, plain or gzipped, of which line n of the one translates line n of the other.

    Pairs of which a side is blank are left out and counted.

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import read_moses
    >>> folder = tempfile.TemporaryDirectory()
    >>> en, de = pathlib.Path(folder.name, "corpus.en"), pathlib.Path(folder.name, "corpus.de")
    >>> _ = en.write_text("Good morning.\n"), de.write_text("Guten Morgen.\n")
    >>> list(read_moses(en, de, source_language="en", target_language="de"))
    [Pair(source='Good morning.', target='Guten Morgen.', source_language='en',
          target_language='de')]
    >>> folder.cleanup()

    Args:
      source: the file of the sources.
      target: the file of their translations.
      source_language: written into each record, as is `target_language`.
      target_language: see `source_language`.
      on_error: "raise", or "skip" to leave out what cannot be read and count it.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: a line is not UTF-8, or one file has more lines (blank ones at its end aside).
    """
    with Reading(on_error, report) as reading:
        sides = zip_longest(lines(source, reading), lines(target, reading))
        for number, (one, other) in enumerate(sides, 1):
            if one is None or other is None:
                break
            file = source
            try:
                first, file = one.decode(), target
                second = other.decode()
            except UnicodeDecodeError as error:
                reading.unreadable(file, number, error)
                continue
            if not first.strip() or not second.strip():
                reading.leave_out(source, number, "blank side")
                continue
            reading.report.read += 1
            yield Pair(first, second, source_language, target_language)
        else:
            return
        longer, shorter = (target, source) if one is None else (source, target)
        ends = f"{os.fspath(shorter)} ends after line {number - 1}"
        for spare, line in chain([(one, other)], sides):
            if (spare or line or b"").strip():
                reading.fault(longer, number, "no line on the other side", ends)
            number += 1


def read_tatoeba(
    folder: Path,
    language: str,
    *,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    """The Tatoeba retrieval test in its original files, ``tatoeba.deu-eng.deu`` and ``.eng``.

    English is the source. Languages have their codes of three letters, ``deu``.
    """
    return read_moses(
        *tatoeba_files(folder, language),
        source_language="eng",
        target_language=language,
        on_error=on_error,
        report=report,
    )


def read_ntrex(
    folder: Path,
    target_language: str,
    source_language: str = "eng",
    *,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    """NTREX in its original files; any two of its languages are translations of one another.

    Languages are spelled as in the names of the files: ``deu``, ``zho-CN``. The English source is
    ``eng``.
    """
    return read_moses(
        ntrex_file(folder, source_language),
        ntrex_file(folder, target_language),
        source_language=source_language,
        target_language=target_language,
        on_error=on_error,
        report=report,
    )


def tatoeba_files(folder: Path, language: str) -> tuple[Folder, Folder]:
    """The English file of a language's test, and its own."""
    stem = f"tatoeba.{language}-eng"
    return Folder(folder, f"{stem}.eng"), Folder(folder, f"{stem}.{language}")


def ntrex_file(folder: Path, language: str) -> Folder:
    """The file of a language."""
    kind = "src" if language == "eng" else "ref"
    return Folder(folder, f"newstest2019-{kind}.{language}.txt")
