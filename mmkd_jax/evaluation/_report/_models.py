"""Who taught whom."""

from pathlib import Path
from typing import Any

from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, breakable, element, section, table
from mmkd_jax.evaluation._report._numbers import count, short
from mmkd_jax.evaluation._report._reading import listed
from mmkd_jax.evaluation._scores import mapping, number

_FIELDS = {
    "layers": "Layers",
    "width": "Width",
    "heads": "Heads",
    "hidden_width": "Inner width",
    "vocabulary_size": "Vocabulary",
}

_RECURRENT = {
    "width": "BiLSTM, width of a direction",
    "layers": "BiLSTM, layers",
    "words": "Known words",
    "characters": "Known characters",
}


def models(run: Run) -> Markup | None:
    """A column a model."""
    roles = [role for role in ("teacher", "student") if role in run.models]
    roles += [role for role in run.models if role not in roles]
    configs = {role: mapping(mapping(run.models[role]).get("config")) for role in roles}
    roles = [role for role in roles if configs[role]]
    if not roles:
        return None
    if roles == ["tagger"]:
        return section("Model", table([], _tagger(run, configs["tagger"]), numeric=(1,)))
    rows = [["Started from", *(_source(run, role) for role in roles)]]
    rows.append(["Parameters", *(short(_parameters(configs[role])) for role in roles)])
    for field, name in _FIELDS.items():
        rows.append([name, *(_whole(configs[role].get(field)) for role in roles)])
    columns = tuple(range(1, len(roles) + 1))
    head = ["", *(role.capitalize() for role in roles)]
    return section("Models" if roles[1:] else "Model", table(head, rows, numeric=columns))


def _tagger(run: Run, config: dict[str, Any]) -> list[list[Any]]:
    """What it reads, and what it says."""
    encoder, recurrent, tags = (
        mapping(config.get(name)) for name in ("encoder", "recurrent", "tags")
    )
    rows: list[list[Any]] = []
    if encoder:
        rows.append(["Started from", _source(run, "encoder")])
        rows.append(["Parameters", short(_parameters(encoder))])
        rows += [[name, _whole(encoder.get(field))] for field, name in _FIELDS.items()]
    if recurrent:
        rows += [[name, _whole(recurrent.get(field))] for field, name in _RECURRENT.items()]
    rows.append(["Tags", count(len(listed(tags.get("names"))))])
    kind = str(config.get("kind") or "–")
    return [*rows, ["Scored by", kind.upper() if kind == "crf" else kind]]


def _source(run: Run, role: str) -> Markup | str:
    of_tagger = mapping(mapping(run.config.get("tagger")).get("encoder"))
    group = of_tagger if role == "encoder" and of_tagger else mapping(run.config.get(role))
    source = group.get("source")
    if role == "encoder":
        source = run.config.get("model") or source
    if source is None:
        return "–"
    # Of a folder the end: where it lies on one machine tells nobody else anything.
    path = Path(str(source))
    shown = "/".join(path.parts[-2:]) if path.is_absolute() else str(source)
    return element("code", breakable(shown)) if source else "new weights"


def _whole(value: Any) -> str:
    return count(number(value))


def _parameters(config: dict[str, Any]) -> float:
    """Of the encoder without heads; not a number if a size is missing."""
    width, inner, layers, words, positions, types = (
        number(config.get(name))
        for name in (
            "width",
            "hidden_width",
            "layers",
            "vocabulary_size",
            "positions",
            "token_types",
        )
    )
    attention = 4 * (width + 1) * width
    feed_forward = (width + 1) * inner + (inner + 1) * width
    norm = 2 * width
    tables = (words + positions + types) * width
    return tables + norm + layers * (attention + feed_forward + 2 * norm)
