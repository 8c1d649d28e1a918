"""Config files become settings, and say what was meant where they cannot."""

import importlib.util
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

from mmkd_jax import config, data
from mmkd_jax.runs import RUNS
from mmkd_jax.training import MeshSettings, make_mesh

ROOT = Path(__file__).resolve().parents[1]
FILES = sorted((ROOT / "configs").glob("*.py"))
OWN = "is,corpus.en,corpus.is"
ARGS = {"own": OWN, "finetune": "task=xnli"}


def from_file(path: Path, arg: str = ""):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, module.get_config(arg)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_config_can_be_read_and_opens_with_its_command(path):
    module, found = from_file(path, ARGS.get(path.stem, ""))
    assert config.read(found).total_steps > 0
    command = module.__doc__.split("\n\n")[1].strip()
    assert re.match(r"(python -m mmkd_jax\.train|\./launch/local\.sh)", command)
    assert f"configs/{path.name}" in command or path.stem == "quickstart"


def test_runlocal_is_short():
    for name in ("mmkd", "mmkd_xlmr"):
        _, found = from_file(ROOT / "configs" / f"{name}.py", "runlocal")
        assert config.read(found).total_steps == 20


def test_own_texts_are_named_after_a_colon():
    path = ROOT / "configs" / "own.py"
    _, found = from_file(path, f"{OWN};cy,locale/cy.po")
    sources = found.pairs.sources.to_dict()
    assert sources["own_is"]["target"] == "corpus.is"
    assert sources["own_cy"]["reader"] == "gettext"
    assert {source["part"] for source in sources.values()} == {"train"}
    with pytest.raises(ValueError, match="after a colon"):
        from_file(path)


FILES_OF_TAGGERS = {
    "conll": ("ner", "Eva NNP I-PERSON\nlacht VBZ O\n\n", ("B-PERSON", "O")),
    "conllu": ("pos", "1\tEva\t_\tPROPN" + 6 * "\t_" + "\n\n", ("PROPN",)),
    "jsonl": ("ner", '{"tokens": ["Eva"], "tags": ["B-PERSON"]}\n', ("B-PERSON",)),
}


@pytest.mark.parametrize("reader", FILES_OF_TAGGERS)
def test_taggers_learn_from_files_of_one_s_own(reader, tmp_path):
    task, text, tags = FILES_OF_TAGGERS[reader]
    for part in ("train", "dev", "test"):
        (tmp_path / f"xx-{part}.{reader}").write_text(text)
    path = ROOT / "configs" / "tagger.py"
    settings = config.read(from_file(path, f"task={task},languages=xx,reader={reader}")[1])
    for part in ("train", "dev", "test"):
        [source] = data.open_tagged(getattr(settings.corpora, part), tmp_path)
        [sentence] = source.sentences()
        assert (source.language, sentence.tags) == ("xx", tags)
    assert not settings.tags
    for wrong in ("reader=csv", "languages=xx", "raeder=conll"):
        with pytest.raises(ValueError, match="must be (conll|among)|may not stand after the colon"):
            from_file(path, wrong)


def pulse():
    return from_file(ROOT / "configs" / "pulse.py")[1]


def test_settings_survive_json():
    settings = config.read(pulse())
    again = config.read(json.loads(json.dumps(config.to_dict(settings))))
    assert again == settings


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("batch_sise", 4, r"config\.batch_sise is unknown; did you mean batch_size"),
        ("mmkd.weights.wrd", 1.0, r"config\.mmkd\.weights\.wrd is unknown; did you mean word"),
        ("mesh.dta", 1, r"config\.mesh\.dta is unknown; did you mean data"),
        ("batch_size", 2.5, r"config\.batch_size must be int, got 2\.5"),
        ("seed", True, r"config\.seed must be int, got True"),
        ("student", 3, r"config\.student must be a group of fields"),
        ("student.keep_layers", 3, r"config\.student\.keep_layers must be a tuple"),
        ("optimizer.schedule", "cosin", r"config\.optimizer\.schedule must be one of 'cosine'"),
        ("method", "mmdk", r"config\.method 'mmdk' is unknown; did you mean mmkd"),
        ("pairs.sources", {}, "name at least one corpus"),
        ("total_steps", 0, "total_steps must be at least 1"),
        ("accumulation.pieces", 3, "pieces must divide batch_size"),
        ("student.vocabulary_size", 0, "vocabulary_size must be above 0"),
        ("pairs.temperature", 2.0, "temperature is for sampling"),
        ("mesh.data", 0, "mesh must have sizes above 0"),
    ],
)
def test_mistakes_say_what_was_meant(name, value, message):
    plain = pulse().to_dict()
    *parents, last = name.split(".")
    branch = plain
    for parent in parents:
        branch = branch[parent]
    branch[last] = value
    with pytest.raises(config.ConfigError, match=message):
        config.read(plain)


def test_a_config_file_cannot_add_fields():
    with pytest.raises(AttributeError, match="batchsize"):
        pulse().batchsize = 3


@pytest.mark.parametrize("task", ["xnli", "xquad", "ner", "pos"])
def test_a_step_of_fine_tuning_is_known_from_its_config_alone(task):
    settings = config.read(from_file(ROOT / "configs" / "finetune.py", f"task={task}")[1])
    mesh = make_mesh(MeshSettings(data=2, fsdp=2, model=2))
    found = RUNS[settings.method].abstract(settings, mesh)
    assert found.batch.ids.shape[1] == (384 if task == "xquad" else 128)
    assert found.state.params["encoder"]["embeddings"]["words"].shape[1] == 768
    assert found.method.flops(jax.tree.map(lambda leaf: np.ones(leaf.shape), found.batch)) > 0


@pytest.mark.parametrize("name", ["mmkd", "mmkd_xlmr", "pulse"])
def test_a_step_is_known_from_its_config_alone(name, monkeypatch):
    import socket

    from mmkd_jax.runs import MMKDRun

    def refuse(*_):
        raise AssertionError("no network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    settings = config.read(from_file(ROOT / "configs" / f"{name}.py")[1])
    mesh = make_mesh(MeshSettings(data=2, fsdp=2, model=2))
    found = MMKDRun.abstract(settings, mesh)
    rows, width = found.state.params["encoder"]["embeddings"]["words"].shape
    assert rows % 128 == 0
    assert width == (16 if name == "pulse" else 768)
    assert found.batch.tlm_ids.shape == (settings.batch_size, settings.pairs.max_length)
    if name == "pulse":
        assert "stablehlo" in found.lower().as_text()
