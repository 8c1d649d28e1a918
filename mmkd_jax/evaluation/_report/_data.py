"""What was learned from."""

from typing import NamedTuple

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section, table
from mmkd_jax.evaluation._report._numbers import count, plural
from mmkd_jax.evaluation._scores import mapping, number, numbers

_AT_ONCE = 10  # rows that are not folded away


class _Source(NamedTuple):
    name: str
    language: str
    pairs: float


def data(run: Run) -> Markup | None:
    """Pairs by source, most first."""
    sources = sorted(_sources(run), key=lambda source: (-source.pairs, source.name))
    if not sources:
        return None
    total = sum(source.pairs for source in sources)
    languages = len({source.language for source in sources if source.language})
    parts = [plural(total, "pair"), plural(len(sources), "source")]
    if languages:
        parts.append(plural(languages, "language"))
    shown = f"{', '.join(parts[:-1])} and {parts[-1]}."
    largest = sources[0].pairs
    rest = sources[_AT_ONCE:]
    more = folded(f"{plural(len(rest), 'more source')}", _table(rest, largest)) if rest else None
    return section(
        "Data",
        element("p", shown, _left_out(run)),
        _table(sources[:_AT_ONCE], largest),
        more,
    )


def pairs_by_language(run: Run) -> dict[str, float]:
    """How many pairs of each language were learned from."""
    found: dict[str, float] = {}
    for source in _sources(run):
        if source.language:
            found[source.language] = found.get(source.language, 0.0) + source.pairs
    return found


def _sources(run: Run) -> list[_Source]:
    counts = numbers(run.manifest.get("pairs_of_source"))
    languages = _languages(run)
    return [
        _Source(name, languages.get(name, ""), max(pairs, 0.0)) for name, pairs in counts.items()
    ]


def _languages(run: Run) -> dict[str, str]:
    """Of the sources, from the manifest, which lists name, language and origin of each."""
    listed = mapping(run.manifest.get("settings")).get("sources")
    rows = listed if isinstance(listed, list) else []
    return {str(row[0]): str(row[1]) for row in rows if isinstance(row, list) and len(row) >= 2}


def _left_out(run: Run) -> str | None:
    left_out = number(run.manifest.get("left_out"))
    return f" {plural(left_out, 'more pair')} had an empty side." if left_out > 0 else None


def _table(sources: list[_Source], largest: int | float) -> Markup:
    rows = [
        [source.name, _language(source.language), _bar(source.pairs, largest), count(source.pairs)]
        for source in sources
    ]
    return table(["Source", "Language", "", "Pairs"], rows, numeric=(3,))


def _language(code: str) -> Markup | str:
    name = language_name(code)
    return joined(name, " ", element("code", code)) if name != code else code


def _bar(pairs: float, largest: int | float) -> Markup:
    share = 100 * pairs / largest if largest else 0
    return element("div", element("i", style=f"width:{share:.1f}%"), class_="share")
