"""Between config files and the settings of a run: defaults, reading, and what was meant by a typo.

A config file has a function `get_config` that starts from `defaults` and changes fields:

    from mmkd_jax.config import defaults

    def get_config():
        config = defaults("mmkd")
        config.batch_size = 64
        return config
"""

import dataclasses
import difflib
import importlib.util
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import ml_collections

from mmkd_jax.runs import RUNS, TeacherSettings

Settings = TypeVar("Settings")


class ConfigError(ValueError):
    """A config that cannot be what was meant. The message says which field."""


def defaults(method: str = "mmkd") -> ml_collections.ConfigDict:
    """All fields of a method's config, which can be changed but not added to."""
    return ml_collections.ConfigDict(_plain(_defaults_of(_run(method).settings_type))).lock()


def teacher(**fields: Any) -> ml_collections.ConfigDict:
    """All fields of a teacher of `config.teachers`, these and the defaults: flags can change them.

    ``config.teachers = {"vi": teacher(languages=("vi",))}`` has ``--config.teachers.vi.folder``.
    """
    found = ml_collections.ConfigDict(_plain(_defaults_of(TeacherSettings)))
    found.update(fields)
    return found.lock()


def read(config: Any) -> Any:
    """The settings of a run, checked.

    Args:
      config: A ``ConfigDict``, or what json has made of one.

    Returns:
      The settings' dataclass of the method that ``config["method"]`` names.

    Raises:
      ConfigError: If a field is unknown, of another type, or contradicts another one.
    """
    if not isinstance(config, Mapping | ml_collections.ConfigDict):
        raise ConfigError(f"a config must be a group of fields, got {type(config).__name__}")
    plain = config.to_dict() if isinstance(config, ml_collections.ConfigDict) else dict(config)
    return build(_run(plain.get("method", "mmkd")).settings_type, plain)


def beside(file: str, name: str, arg: str = "") -> ml_collections.ConfigDict:
    """The config of another file in the folder of this one, for those that change a few fields.

    Args:
      file: ``__file__``.
      name: The other's, without ``.py``.
      arg: For its `get_config`.
    """
    spec = importlib.util.spec_from_file_location(name, Path(file).parent / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ConfigError(f"there is no config {name} beside {file}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def to_dict(settings: Any) -> dict[str, Any]:
    """The settings as json can write them; `read` takes them back."""
    return _plain(dataclasses.asdict(settings))


def build(kind: type[Settings], values: Mapping[str, Any], where: str = "config") -> Settings:
    """A dataclass from nested mappings of its fields."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for name in values:
        if name not in fields:
            raise ConfigError(f"{where}.{name} is unknown{_meant(name, fields)}")
    hints = typing.get_type_hints(kind)
    found = {name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    try:
        return kind(**found)
    except ConfigError:
        raise
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _run(method: Any) -> Any:
    if not isinstance(method, str) or method not in RUNS:
        raise ConfigError(f"config.method {method!r} is unknown{_meant(str(method), RUNS)}")
    return RUNS[method]


def _meant(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    guess = f"; did you mean {near[0]}?" if near else ""
    return f"{guess} There are: {', '.join(sorted(known))}"


def _value(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a group of fields, got {value!r}")
        return build(hint, value, where)
    if origin is typing.Literal:
        if value not in typing.get_args(hint):
            raise ConfigError(
                f"{where} must be one of {', '.join(map(repr, typing.get_args(hint)))}, "
                f"got {value!r}"
            )
        return value
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            raise ConfigError(f"{where} must be a tuple, got {value!r}")
        return tuple(_value(typing.get_args(hint)[0], part, where) for part in value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} must be a group of fields, got {value!r}")
        of_each = typing.get_args(hint)[1]
        if of_each is not Any:
            return {
                str(name): _value(of_each, part, f"{where}.{name}") for name, part in value.items()
            }
        return {str(name): _thawed(part) for name, part in value.items()}
    if isinstance(hint, types.UnionType):
        for one in typing.get_args(hint):
            if one is type(None) and value is None:
                return None
            if one is not type(None) and value is not None:
                return _value(one, value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is not Any and (not isinstance(value, hint) or (hint is int and value is True)):
        raise ConfigError(f"{where} must be {hint.__name__}, got {value!r}")
    if isinstance(value, float) and math.isnan(value):
        raise ConfigError(f"{where} must be a number, got {value!r}")
    return value


def _defaults_of(kind: type) -> dict[str, Any]:
    """The default of each field, groups as dicts, without building the dataclass itself.

    The defaults of a group need not be a run that could be started: a corpus must be named.
    """
    found = {}
    for field in dataclasses.fields(kind):
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        else:
            found[field.name] = field.default_factory()
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, (tuple, list)):
        return tuple(_plain(part) for part in value)
    return value


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _thawed(part) for name, part in value.items()}
    return list(value) if isinstance(value, tuple) else value
