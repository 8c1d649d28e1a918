"""Tables of columns between tabs, where a quotation mark is a character like any other."""

from collections.abc import Iterator, Sequence

from mmkd_jax.data._readers._lines import texts
from mmkd_jax.data._readers._report import Path, ReadError, Reading, Report
from mmkd_jax.data._records import Pair

Column = int | str


def read_tsv(
    path: Path,
    source: Column = 0,
    target: Column = 1,
    *,
    header: bool = False,
    source_language: str = "",
    target_language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    r"""Pairs from two columns of a table, plain or gzipped.

    Cells are taken as they stand: quotation marks quote nothing. Blank lines are passed over, and
    pairs of which a side is blank are left out and counted.

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import read_tsv
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = pathlib.Path(folder.name, "table.tsv")
    >>> _ = table.write_text("en\tfr\tde\nYes.\tOui.\tJa.\n")
    >>> list(read_tsv(table, "en", "de", target_language="de"))
    [Pair(source='Yes.', target='Ja.', source_language='', target_language='de')]
    >>> folder.cleanup()

    Args:
      path: the file.
      source: the column of the sources: a number, from 0, or its name in the header.
      target: the column of the translations, likewise.
      header: whether the first line names the columns. Names as columns imply it.
      source_language: written into each record, as is `target_language`.
      target_language: see `source_language`.
      on_error: "raise", or "skip" to leave out what cannot be read and count it.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: a line is not UTF-8, or has another number of columns than the first, or the
        header lacks a name.
    """
    header = header or isinstance(source, str) or isinstance(target, str)
    with Reading(on_error, report) as reading:
        for number, (first, second) in cells(path, [source, target], header, reading):
            if not first.strip() or not second.strip():
                reading.leave_out(path, number, "blank side")
                continue
            reading.report.read += 1
            yield Pair(first, second, source_language, target_language)


def cells(
    path: Path, columns: Sequence[Column], header: bool, reading: Reading, optional: int = 0
) -> Iterator[tuple[int, list[str]]]:
    """The numbers of the lines and their cells in the columns, in that order.

    Args:
      path: the file.
      columns: which cells.
      header: whether the first line names the columns.
      reading: hears of faults.
      optional: how many of the last cells a line may lack.
    """
    width, wanted = 0, list(range(len(columns)))
    for number, line in texts(path, reading):
        row = line.split("\t")
        if not width:
            width = len(row)
            names = row if header else [str(i) for i in range(width)]
            wanted = [_position(path, number, names, column) for column in columns]
            if header:
                continue
        if len(row) != width and not width - optional <= len(row) < width:
            detail = f"{len(row)} instead of {width}"
            reading.fault(path, number, "wrong number of columns", detail)
            continue
        yield number, [row[i] for i in wanted]


def _position(path: Path, number: int, names: Sequence[str], column: Column) -> int:
    """Where the column is. Without it nothing can be read: an error whatever `on_error` says."""
    if isinstance(column, int) and 0 <= column < len(names):
        return column
    if column in names:
        return names.index(column)
    raise ReadError(path, number, f"no column {column!r} among {', '.join(names)}")
