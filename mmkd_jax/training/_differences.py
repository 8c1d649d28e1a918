"""In what two configs differ, for messages."""

import json
from typing import Any

_MISSING = object()


def differences(before: Any, now: Any) -> dict[str, str]:
    """A line for each field that differs, by its dotted name."""
    old, new = _fields(before), _fields(now)
    lines = {}
    for name in sorted(old.keys() | new.keys()):
        a, b = old.get(name, _MISSING), new.get(name, _MISSING)
        # By what is written: 1 is not 1.0, and nan is nan.
        if _written(a) != _written(b):
            lines[name] = f"{name}: {_written(a)} → {_written(b)}"
    return lines


def _fields(config: Any, prefix: str = "") -> dict[str, Any]:
    """The values by dotted name; lists are values."""
    if not isinstance(config, dict) or not config:
        return {prefix: config}
    found = {}
    for name, value in config.items():
        found |= _fields(value, f"{prefix}.{name}" if prefix else name)
    return found


def _written(value: Any) -> str:
    if value is _MISSING:
        return "(not there)"
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
