"""The binary format of ``.mo`` files, in either order of bytes."""

import re
import struct
from collections.abc import Iterator

from mmkd_jax.data._readers._lines import BROKEN, LOST, open_bytes
from mmkd_jax.data._readers._po import known_charset
from mmkd_jax.data._readers._report import Path, Reading, Unreadable

_MAGIC = 0x950412DE
_CONTEXT = b"\x04"


def mo_entries(path: Path, reading: Reading) -> Iterator[tuple[int, str, str | None, dict, str]]:
    """Number, source, plural, forms, flaw (none) of each entry; the header has the empty source.

    The strings lie anywhere in the file, so that it is read as a whole.
    """
    try:
        with open_bytes(path) as file:
            content = file.read()
    except BROKEN as error:
        reading.fault(path, 1, LOST, str(error))
        return
    try:
        order, tables = _tables(content)
    except (struct.error, Unreadable) as error:
        detail = error.detail if isinstance(error, Unreadable) else "it is too short"
        reading.fault(path, 1, "no catalogue in the .mo format", detail)
        return
    charset = "utf-8"
    for number, (source_at, target_at) in enumerate(tables, 1):
        try:
            raw_source, raw_target = (_piece(content, order, at) for at in (source_at, target_at))
            if not raw_source:  # the header sorts first
                declared = re.search(rb"charset=([\w.:-]+)", raw_target)
                charset = known_charset(declared[1].decode()) if declared else charset
            text = raw_source.partition(_CONTEXT)[2] if _CONTEXT in raw_source else raw_source
            source, *plural = text.decode(charset).split("\0")
            forms = dict(enumerate(raw_target.decode(charset).split("\0")))
        except UnicodeDecodeError as error:
            reading.unreadable(path, number, error)
        except (struct.error, Unreadable):
            reading.fault(path, number, "an entry that lies beyond the end of the file")
        else:
            yield number, source, plural[0] if plural else None, forms, ""


def _tables(content: bytes) -> tuple[str, list[tuple[int, int]]]:
    """The order of bytes, and where the descriptions of sources and translations are."""
    for order in "<>":
        if struct.unpack_from(f"{order}I", content)[0] == _MAGIC:
            break
    else:
        raise Unreadable("", "it does not begin as one")
    revision, count, sources, targets = struct.unpack_from(f"{order}4I", content, 4)
    if revision >> 16 > 1:
        raise Unreadable("", f"of the unknown revision {revision >> 16}")
    if max(sources, targets) + 8 * count > len(content):
        raise Unreadable("", f"{count} entries do not fit into it")
    return order, [(sources + 8 * i, targets + 8 * i) for i in range(count)]


def _piece(content: bytes, order: str, at: int) -> bytes:
    length, start = struct.unpack_from(f"{order}2I", content, at)
    if start + length > len(content):
        raise Unreadable("beyond the end")
    return content[start : start + length]
