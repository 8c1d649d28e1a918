"""Configs from files and command lines, with anything in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax import config, data
from mmkd_jax.config import ConfigError
from tests.untrusted.own_errors import only_own_errors
from tests.untrusted.test_checkpoints import ABSURD, JSON


def sound() -> dict:
    fields = config.defaults("mmkd")
    fields.pairs.sources = {"greetings": {"reader": "sample", "language": "de"}}
    return json.loads(json.dumps(config.to_dict(config.read(fields))))


def places(content: dict, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where the fields are."""
    found = []
    for name, value in content.items():
        found.append((*prefix, name))
        if isinstance(value, dict):
            found += places(value, (*prefix, name))
    return found


PLACES = places(sound())


@given(
    changes=st.lists(
        st.tuples(st.sampled_from(PLACES), ABSURD | JSON | st.just(float("nan"))),
        min_size=1,
        max_size=2,
    )
)
def test_only_config_errors_come_out(changes):
    content = sound()
    for place, value in changes:
        group = content
        for name in place[:-1]:
            group = group[name] if isinstance(group.get(name), dict) else {}
        group[place[-1]] = value
    try:
        settings = config.read(content)
    except ConfigError as error:
        assert "config" in str(error)
    else:
        written = json.dumps(config.to_dict(settings))
        assert json.dumps(config.to_dict(config.read(json.loads(written)))) == written


@given(content=JSON)
def test_what_is_no_config_at_all(content):
    with pytest.raises(ConfigError):
        config.read(content)


SPECS = {
    "tsv": {"reader": "tsv", "language": "de", "path": "a.tsv", "source": 0, "target": 1},
    "moses": {"reader": "moses", "language": "de", "source": "a", "target": "b", "limit": 3},
    "sample": {"reader": "sample", "language": "de", "part": "train", "held_out": 0.5},
    "tatoeba": {"reader": "tatoeba", "language": "de", "folder": "."},
}


@given(name=st.sampled_from(sorted(SPECS)), drawn=st.data())
def test_descriptions_of_corpora(name, drawn, tmp_path_factory):
    spec = SPECS[name]
    keys = st.sampled_from(sorted(spec)) | st.text(max_size=3)
    spec = spec | drawn.draw(st.dictionaries(keys, ABSURD | JSON, min_size=1, max_size=2))
    folder = tmp_path_factory.getbasetemp() / "corpora"
    folder.mkdir(exist_ok=True)
    for file in ("a.tsv", "a", "b"):
        (folder / file).write_text("one\tzwei\n")
    with only_own_errors():
        (source,) = data.open_sources({"a": spec}, folder)
        list(source.pairs())
