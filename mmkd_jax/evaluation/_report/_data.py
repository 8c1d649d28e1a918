"""What was learned from, and what it was judged on."""

import math
from typing import NamedTuple

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, joined, section, table
from mmkd_jax.evaluation._report._numbers import count, plural
from mmkd_jax.evaluation._report._reading import listed
from mmkd_jax.evaluation._scores import mapping, number, numbers

_AT_ONCE = 10  # rows that are not folded away
_PARTS = {
    "train": "training",
    "dev": "development",
    "test": "test",
    "zero_shot": "zero-shot test",
    "held_out": "held out",
}


class _Source(NamedTuple):
    name: str
    language: str
    count: float
    part: str = "train"


def data(run: Run) -> Markup | None:
    """Records by source: those of training first, most first."""
    sources = _sources(run)
    if not sources:
        return None
    order = list(dict.fromkeys([*_PARTS, *(source.part for source in sources)]))
    sources.sort(key=lambda source: (order.index(source.part), -source.count, source.name))
    parts = [part for part in order if any(source.part == part for source in sources)]
    said = [_said([source for source in sources if source.part == part], run) for part in parts]
    rest = sources[_AT_ONCE:]
    of_parts, largest = parts != ["train"], max(source.count for source in sources)
    more = (
        folded(f"{plural(len(rest), 'more source')}", _table(rest, largest, run, of_parts))
        if rest
        else None
    )
    return section(
        "Data",
        element("p", " ".join(said), _left_out(run)),
        _table(sources[:_AT_ONCE], largest, run, of_parts),
        more,
    )


def learned_by_language(run: Run) -> dict[str, float]:
    """How much of each language was learned from."""
    found: dict[str, float] = {}
    for source in _sources(run):
        if source.language and source.part == "train":
            found[source.language] = found.get(source.language, 0.0) + source.count
    return found


def unit(run: Run) -> str:
    """What there is so much of."""
    return str(run.data.get("unit") or "pair")


def _sources(run: Run) -> list[_Source]:
    """Of prepared pairs those of the manifest, and whatever else was counted."""
    prepared, languages = numbers(run.manifest.get("pairs_of_source")), _languages(run)
    found = [_Source(name, languages.get(name, ""), some) for name, some in prepared.items()]
    for row in map(mapping, listed(run.data.get("sources"))):
        name, language, part = (str(row.get(key, "")) for key in ("name", "language", "part"))
        found.append(_Source(name, language, number(row.get("count")), part))
    return [source for source in found if 0 <= source.count < math.inf]


def _languages(run: Run) -> dict[str, str]:
    """Of the sources, from the manifest, which lists name, language and origin of each."""
    rows = listed(mapping(run.manifest.get("settings")).get("sources"))
    return {str(row[0]): str(row[1]) for row in rows if isinstance(row, list) and len(row) >= 2}


def _said(sources: list[_Source], run: Run) -> str:
    """Of one part: how much there is."""
    languages = len({source.language for source in sources if source.language})
    found = [plural(sum(source.count for source in sources), unit(run))]
    found.append(plural(len(sources), "source"))
    if languages:
        found.append(plural(languages, "language"))
    said = f"{', '.join(found[:-1])} and {found[-1]}."
    part = sources[0].part
    return said if part == "train" else f"{_name(part).capitalize()}: {said}"


def _name(part: str) -> str:
    return _PARTS.get(part, part.replace("_", " "))


def _left_out(run: Run) -> str | None:
    left_out = number(run.manifest.get("left_out"))
    return f" {plural(left_out, 'more pair')} had an empty side." if left_out > 0 else None


def _table(sources: list[_Source], largest: int | float, run: Run, of_parts: bool) -> Markup:
    rows = [
        [
            source.name,
            _language(source.language),
            *([_name(source.part)] if of_parts else []),
            count(source.count),
            _bar(source.count, largest),
        ]
        for source in sources
    ]
    # Bars come last: a phone shows what comes before them.
    head = ["Source", "Language", *(["For"] if of_parts else []), _units(run), ""]
    return table(head, rows, numeric=(len(head) - 2,))


def _units(run: Run) -> str:
    return f"{unit(run).capitalize()}s"


def _language(code: str) -> Markup | str:
    name = language_name(code)
    return joined(name, " ", element("code", code)) if name != code else code


def _bar(some: float, largest: int | float) -> Markup:
    share = 100 * some / largest if largest else 0
    return element("div", element("i", style=f"width:{share:.1f}%"), class_="share")
