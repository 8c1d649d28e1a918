"""The settings of the run: those that someone has chosen, and all of them."""

import json
from collections.abc import Iterator
from typing import Any

from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, breakable, element, folded, section, table

_LONGEST = 96


def settings(run: Run) -> Markup | None:
    """What differs from the defaults, and everything behind a fold."""
    if not run.config:
        return None
    usual = _defaults(run.config.get("method"))
    rows = [
        [element("code", breakable(name)), _value(value), _value(default)]
        for name, value, default in _changes(run.config, usual)
    ]
    whole = json.dumps(run.config, indent=2, ensure_ascii=False, sort_keys=True)
    changed = [
        element("p", "Where this run differs from the defaults."),
        element("div", table(["Setting", "Here", "Default"], rows), class_="dense"),
    ]
    return section(
        "Settings",
        *(changed if usual and rows else []),
        *_between_runs(run),
        folded("All settings", element("pre", whole)),
    )


def _between_runs(run: Run) -> list[Markup]:
    """Where the runs differ from one another."""
    if not run.others:
        return []
    flat = [dict(_flat(one.config)) for one in (run, *run.others)]
    names = dict.fromkeys(name for one in flat for name in one)
    values = {name: [one.get(name, _NOTHING) for one in flat] for name in names}
    rows = [
        [element("code", breakable(name)), *map(_value, of_runs)]
        for name, of_runs in values.items()
        if any(value != of_runs[0] for value in of_runs[1:])
    ]
    if not rows:
        return [element("p", "The runs' settings are the same.")]
    head = ["Setting", *(breakable(one.name) for one in (run, *run.others))]
    return [
        element("p", "Where the runs differ from one another."),
        element("div", table(head, rows), class_="dense"),
    ]


def _flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values, sources as they are."""
    for name, value in config.items():
        if isinstance(value, dict) and value and not _are_sources(value):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _are_sources(value: dict[str, Any]) -> bool:
    """Whether these are descriptions of data by name, of which there may be hundreds."""
    return all(isinstance(one, dict) and "reader" in one for one in value.values())


def _defaults(method: Any) -> dict[str, Any]:
    """Of a method's config; nothing if the method is not known here."""
    # Not at the top: configs are read by programs, which stand above this package.
    from mmkd_jax import config

    try:
        return json.loads(json.dumps(config.defaults(method).to_dict()))
    except (config.ConfigError, TypeError):
        return {}


_NOTHING = object()


def _changes(
    config: dict[str, Any], usual: dict[str, Any], prefix: str = ""
) -> Iterator[tuple[str, Any, Any]]:
    """Dotted name, value and default, of what differs."""
    for name, value in config.items():
        default = usual.get(name, _NOTHING)
        # A group of settings, not a mapping that is a value: those are empty by default.
        if isinstance(value, dict) and isinstance(default, dict) and default:
            yield from _changes(value, default, f"{prefix}{name}.")
        elif value != default:
            yield prefix + name, value, default


def _value(value: Any) -> Markup:
    return element("span", breakable(_shown(value)), class_="value")


def _shown(value: Any) -> str:
    if value is _NOTHING:
        return "–"
    text = json.dumps(value, ensure_ascii=False)
    if value in ("", [], {}):
        return "empty"
    if isinstance(value, dict) and len(text) > _LONGEST:
        names = ", ".join(map(str, list(value)[:3]))
        return f"{len(value)} entries: {names}{', …' if len(value) > 3 else ''}"
    if isinstance(value, str):
        return value
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
