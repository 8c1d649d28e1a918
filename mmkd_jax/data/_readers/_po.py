"""The grammar of ``.po`` files."""

import codecs
import re
from collections.abc import Iterator
from typing import Any

from mmkd_jax.data._readers._lines import lines
from mmkd_jax.data._readers._report import Path, Reading, Report, Unreadable

_BEGINS = re.compile(rb"(#~\s*)?(#|\||msgctxt|msgid\b)")
_KEYWORD = re.compile(r"(msgctxt|msgid_plural|msgid|msgstr)(?:\[(\d+)\])?\s*(?=\")")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)")
_SIMPLE = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), '"': '"', "\\": "\\", "/": "/"}

_ASCII = rb".xn--mnchen-3ya. Az \x41\u0041+AGE-"


def po_entries(path: Path, reading: Reading) -> Iterator[tuple[int, str, str | None, dict, str]]:
    """Line, source, plural, forms, flaw of each entry; the header has the empty source.

    An entry of which a line is at fault is left out whole.
    """
    charset = _charset(path)
    entry = _Entry()
    for number, line in enumerate(lines(path, reading), 1):
        line = line.strip(b" \t")
        # Blank lines between entries are a custom, not a rule.
        if (entry.forms or entry.broken) and _BEGINS.match(line):
            yield from entry.result()
            entry = _Entry()
        try:
            entry.add(line, number, charset)
        except (Unreadable, UnicodeDecodeError) as error:
            if not entry.broken:
                reading.unreadable(path, number, error)
            entry.broken = True
    yield from entry.result()


class _Entry:
    """An entry as its lines come in."""

    def __init__(self):
        self.line = 0
        self.texts: dict[str, str] = {}
        self.forms: dict[int, str] = {}
        self.flaw = ""
        self.broken = False
        self.last: tuple[dict[Any, str], Any] | None = None  # what a line of text continues

    def add(self, raw: bytes, number: int, charset: str) -> None:
        """Takes a line in."""
        if raw.startswith(b"#~"):
            raw, self.flaw = raw[2:].lstrip(), "obsolete"
        if not raw or raw.startswith((b"#", b"|")):
            if raw.startswith(b"#,") and b"fuzzy" in re.split(rb"[,\s]+", raw[2:]):
                self.flaw = self.flaw or "fuzzy"
            return
        line = rest = raw.decode(charset)
        if match := _KEYWORD.match(line):
            keyword, index = match[1], int(match[2] or 0)
            table, key = (self.forms, index) if keyword == "msgstr" else (self.texts, keyword)
            if key in table or (self.forms and table is self.texts):
                raise Unreadable("an entry out of order", keyword)
            self.line = self.line or number
            table[key], self.last, rest = "", (table, key), line[match.end() :]
        if self.last is None or not (string := _STRING.fullmatch(rest)):
            raise Unreadable("neither a keyword nor a quoted string", line[:40])
        table, key = self.last
        table[key] += _ESCAPE.sub(_unescape, string[1]) if "\\" in string[1] else string[1]

    def result(self) -> Iterator[tuple[int, str, str | None, dict[int, str], str]]:
        """The entry, if it is one."""
        if "msgid" in self.texts and self.forms and not self.broken:
            # The header is often fuzzy, and holds nevertheless.
            flaw = self.flaw if self.texts["msgid"] else ""
            yield self.line, self.texts["msgid"], self.texts.get("msgid_plural"), self.forms, flaw


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code in _SIMPLE:
        return _SIMPLE[code]
    if code[0] in "x01234567":
        value = int(code[1:], 16) if code[0] == "x" else int(code, 8)
        if value < 128:  # beyond, it is a byte of some character, not a character
            return chr(value)
    raise Unreadable("an unknown escape", match[0])


def _charset(path: Path) -> str:
    """What the header says, UTF-8 if it says nothing or something that Python does not know."""
    messages = 0
    for line in lines(path, Reading("skip", Report())):
        messages += line.startswith(b"msgid ")
        if messages > 1:
            break
        if match := re.search(rb"charset=([\w.:-]+)", line):
            return known_charset(match[1].decode())
    return "utf-8"


def known_charset(name: str) -> str:
    """The name of the encoding; templates have the word CHARSET in its place.

    Those that are no extension of ASCII, in which no catalogue is written, count as unknown.
    Python has some that read a text as something else, or unpack it.
    """
    try:
        if _ASCII.decode(name) == _ASCII.decode("ascii"):
            return codecs.lookup(name).name
    except (LookupError, UnicodeError):
        pass
    return "utf-8"
