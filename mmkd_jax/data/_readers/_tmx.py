"""TMX, translation memories."""

from collections.abc import Iterator
from itertools import product
from xml.etree import ElementTree

from mmkd_jax.data._readers._report import Path, Reading, Report
from mmkd_jax.data._readers._xml import elements
from mmkd_jax.data._records import Pair

# Elements within a segment that hold codes of the program it comes from, not text.
_CODES = {"bpt", "ept", "it", "ph", "ut"}


def read_tmx(
    path: Path,
    source_language: str,
    target_language: str,
    *,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    """Pairs from a translation memory, plain or gzipped, which is never held in memory as a whole.

    A language stands for all its regions: ``pt`` finds ``PT-br`` too, where ``pt_BR`` finds that
    only. Of a unit that has a variant of just the language asked for, only such are taken. A unit
    with several variants of a side is a pair for each. Units that lack a side are left out and
    counted, as are pairs with a blank side. Codes of formatting within a segment are dropped,
    what they enclose is kept.

    Args:
      path: the file.
      source_language: of the sources.
      target_language: of the translations.
      on_error: "raise", or "skip" to leave out what cannot be read and count it.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: the XML is broken, or a variant has no language or no segment.
    """
    with Reading(on_error, report) as reading:
        for line, unit in elements(path, "tu", reading):
            variants = [(_language(variant), variant.find("seg")) for variant in unit.iter("tuv")]
            if any(not language or segment is None for language, segment in variants):
                reading.fault(path, line, "a variant without a language or a segment")
                continue
            sides = [_texts(variants, each) for each in (source_language, target_language)]
            if not all(sides):
                reading.leave_out(path, line, "a unit that lacks one of the languages")
            for source, target in product(*sides):
                if not source.strip() or not target.strip():
                    reading.leave_out(path, line, "blank side")
                    continue
                reading.report.read += 1
                yield Pair(source, target, source_language, target_language)


def _language(variant: ElementTree.Element) -> str:
    return variant.get("xml:lang") or variant.get("lang") or ""


def _texts(variants: list[tuple[str, ElementTree.Element]], language: str) -> list[str]:
    wanted = _normal(language)
    same = [segment for each, segment in variants if _normal(each) == wanted]
    if not same:
        same = [segment for each, segment in variants if _normal(each).startswith(f"{wanted}-")]
    return list(dict.fromkeys(_text(segment) for segment in same))


def _normal(language: str) -> str:
    return language.lower().replace("_", "-")


def _text(element: ElementTree.Element) -> str:
    pieces: list[str] = []
    # Not by recursion: elements may be nested deeper than Python's calls.
    rest = _content(element)[::-1]
    while rest:
        part = rest.pop()
        if isinstance(part, str):
            pieces.append(part)
        elif part.tag not in _CODES:
            rest += _content(part)[::-1]
    return "".join(pieces)


def _content(element: ElementTree.Element) -> list[str | ElementTree.Element]:
    """Texts and elements in their order."""
    content: list[str | ElementTree.Element] = [element.text or ""]
    for inner in element:
        content += [inner, inner.tail or ""]
    return content
