"""Elements of XML files as they stream by."""

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.parsers import expat

from mmkd_jax.data._readers._lines import BROKEN, LOST, open_bytes
from mmkd_jax.data._readers._report import Path, Reading

_CHUNK = 1 << 16


def elements(path: Path, name: str, reading: Reading) -> Iterator[tuple[int, ElementTree.Element]]:
    """Each element of the name, with the line it begins in; the rest of the file is not kept.

    The file may be gzipped and in any encoding that it declares.
    """
    collector = _Collector(name)
    with open_bytes(path) as file:
        try:
            more = True
            while more:
                chunk = file.read(_CHUNK)
                more = bool(chunk)
                collector.parser.Parse(chunk, not more)
                yield from collector.done
                collector.done.clear()
        except expat.ExpatError as error:
            yield from collector.done
            reason = "broken XML, the rest of the file is lost"
            reading.fault(path, error.lineno, reason, expat.ErrorString(error.code))
        except (LookupError, ValueError) as error:
            reading.fault(path, 1, "an encoding that cannot be read", str(error))
        except BROKEN as error:
            reading.fault(path, collector.parser.CurrentLineNumber, LOST, str(error))


class _Collector:
    """Builds the elements of one name. ElementTree's own parsers do not tell the line."""

    def __init__(self, name: str):
        self.name = name
        self.done: list[tuple[int, ElementTree.Element]] = []
        self.builder: ElementTree.TreeBuilder | None = None
        self.depth = self.line = 0
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.data

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if self.builder is None and tag == self.name:
            self.builder, self.line = ElementTree.TreeBuilder(), self.parser.CurrentLineNumber
        if self.builder is not None:
            self.builder.start(tag, attributes)
            self.depth += 1

    def end(self, tag: str) -> None:
        if self.builder is not None:
            self.builder.end(tag)
            self.depth -= 1
            if not self.depth:
                self.done.append((self.line, self.builder.close()))
                self.builder = None

    def data(self, text: str) -> None:
        if self.builder is not None:
            self.builder.data(text)
