"""What is known of a tagger's step from its settings alone."""

import dataclasses

import jax
import pytest

from mmkd_jax import config, training
from mmkd_jax.runs import RUNS
from tests.test_config import ROOT, from_file

MESH = {"data": 2, "fsdp": 2, "model": 2}


def settings_of(name: str, arg: str = "", **changes):
    _, found = from_file(ROOT / "configs" / f"{name}.py", arg)
    return dataclasses.replace(config.read(found), **changes)


@pytest.mark.parametrize(
    ("arg", "there", "missing"),
    [
        ("task=pos,languages=wo", {"words", "characters"}, {"ids"}),
        ("task=ner,languages=da,encoder=bert-base-multilingual-cased", {"ids"}, {"words"}),
        ("task=ner,languages=da,encoder=bert-base-cased,frozen,softmax", {"ids"}, {"characters"}),
    ],
)
def test_a_step_is_known_without_weights_or_corpora(arg, there, missing):
    settings = settings_of("tagger", arg)
    mesh = training.make_mesh(training.MeshSettings(**MESH))
    shapes = RUNS["tagger"].abstract(settings, mesh)
    fields = {name for name, value in shapes.batch._asdict().items() if value is not None}
    assert there <= fields and not missing & fields
    state, metrics = jax.eval_shape(shapes.step, shapes.state, shapes.frozen, shapes.batch)
    assert jax.tree.structure(state) == jax.tree.structure(shapes.state)
    assert {"loss", "nll", "finite"} <= set(metrics)
    rows, width = shapes.batch.tags.shape
    assert rows * width <= settings.batch_size and rows % 8 == 0


def test_tags_must_be_named():
    settings = settings_of("tagger_pulse")
    with pytest.raises(ValueError, match="tags must name the tags"):
        RUNS["tagger"].abstract(settings, training.make_mesh(training.MeshSettings()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpora": {}}, "corpora.train is empty"),
        ({"tagger": {"recurrent": None}}, "tagger.encoder and tagger.recurrent must not both"),
        (
            {"tagger": {"recurrent": {"words": False, "characters": False}}},
            "recurrent.words or .characters must be true",
        ),
        ({"task": "chunks"}, "config.task must be one of 'ner', 'pos', 'aspects', got 'chunks'"),
        ({"scheme": "BILOU"}, "config.scheme must be one of"),
    ],
)
def test_settings_that_cannot_be_meant(changes, message):
    plain = config.to_dict(settings_of("tagger_pulse"))
    with pytest.raises(config.ConfigError, match=message):
        config.read(plain | changes)
