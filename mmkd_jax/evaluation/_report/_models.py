"""Who taught whom."""

from typing import Any

from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, section, table
from mmkd_jax.evaluation._report._numbers import count, short
from mmkd_jax.evaluation._scores import mapping, number

_FIELDS = {
    "layers": "Layers",
    "width": "Width",
    "heads": "Attention heads",
    "hidden_width": "Inner width",
    "vocabulary_size": "Vocabulary",
}


def models(run: Run) -> Markup | None:
    """A column a model."""
    roles = [role for role in ("teacher", "student") if role in run.models]
    roles += [role for role in run.models if role not in roles]
    configs = {role: mapping(mapping(run.models[role]).get("config")) for role in roles}
    roles = [role for role in roles if configs[role]]
    if not roles:
        return None
    rows = [["Started from", *(_source(run, role) for role in roles)]]
    sizes = [_parameters(configs[role]) for role in roles]
    if any(sizes):
        rows.append(["Parameters", *(short(size) if size else "–" for size in sizes)])
    for field, name in _FIELDS.items():
        rows.append([name, *(_whole(configs[role].get(field)) for role in roles)])
    columns = tuple(range(1, len(roles) + 1))
    head = ["", *(role.capitalize() for role in roles)]
    return section("Models", table(head, rows, numeric=columns))


def _source(run: Run, role: str) -> Markup | str:
    source = mapping(run.config.get(role)).get("source")
    if source is None:
        return "–"
    return element("code", source) if source else "new weights"


def _whole(value: Any) -> str:
    return count(number(value))


def _parameters(config: dict[str, Any]) -> int:
    """Of the encoder without heads; 0 if the config is of another version."""
    import jax

    from mmkd_jax.models import EncoderConfig, abstract_params

    try:
        shapes = abstract_params(EncoderConfig(**config), ())
    except (TypeError, ValueError):
        return 0
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))
