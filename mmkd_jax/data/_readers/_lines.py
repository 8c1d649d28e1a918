r"""Lines of files, plain or gzipped, as they stream by.

Only ``\n`` and ``\r\n`` end a line. (`str.splitlines` also cuts at form feeds, U+0085 and
U+2028, which stand inside sentences of real corpora and would shift one side against the other.)
"""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator

from mmkd_jax.data._readers._report import Path, Reading

UTF_8 = "utf-8"
_ASCII = "\t\n\r -#O"  # what lines and columns are told by
_BOM = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
# What a gzipped file that is cut off or damaged raises.
BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)
LOST = "broken compression, the rest of the file is lost"


def open_bytes(path: Path) -> io.BufferedReader:
    """The file, unpacked if its first bytes say that it is gzipped, whatever its name says."""
    with open(path, "rb") as file:
        packed = file.read(2) == _GZIP
    # A buffer in front: line by line, GzipFile itself runs Python code for each.
    return io.BufferedReader(gzip.open(path, "rb"), 1 << 17) if packed else open(path, "rb")


def lines(path: Path, reading: Reading) -> Iterator[bytes]:
    """The lines without their ends, and the first without a byte order mark."""
    number = 0
    with open_bytes(path) as file:
        try:
            for line in file:
                number += 1
                if number == 1:
                    line = line.removeprefix(_BOM)
                yield line.rstrip(b"\r\n")
        except BROKEN as error:
            reading.fault(path, number + 1, LOST, str(error))


def check_encoding(name: str) -> None:
    """ValueError for what is no encoding, or one in which lines end otherwise, such as UTF-16."""
    try:
        if codecs.lookup(name) and _ASCII.encode(name) == _ASCII.encode():
            return
    except LookupError:
        pass
    raise ValueError(
        "encoding must be one that writes ASCII as it is, such as utf-8 or latin-1, got "
        f"{name!r}: name another, or convert the file"
    )


def texts(path: Path, reading: Reading, encoding: str = UTF_8) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their numbers."""
    for number, line in enumerate(lines(path, reading), 1):
        if line.strip():
            try:
                decoded = line.decode(encoding)
            except UnicodeDecodeError as error:
                reading.unreadable(path, number, error)
            else:
                yield number, decoded
