"""Fine-tuning as a program, on small benchmarks in their original layouts: it has a pulse."""

import json

import pytest

from mmkd_jax import _evaluating, config, evaluation, inference
from mmkd_jax.runs import FineTuneRun
from mmkd_jax.training import MeshSettings, make_mesh
from tests.programs import benchmarks
from tests.programs.runs import ROOT, metrics, run

LANGUAGES = ["en", "de", "zh"]
TEST = "test=en+de+zh"
WRITERS = {
    "xnli": benchmarks.write_xnli,
    "paws_x": benchmarks.write_paws_x,
    "xquad": benchmarks.write_xquad,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return benchmarks.tiny_encoder(tmp_path_factory.mktemp("model"))


def from_file(task, arg=TEST):
    """What ``--config=configs/finetune.py:task=...`` reads."""
    return config.beside(str(ROOT / "configs" / "finetune.py"), "finetune", f"task={task},{arg}")


def small(task, root, model, arg=TEST):
    """The config file with the sizes of a toy, as it is typed."""
    sizes = {
        "model": model,
        "texts.root": root,
        "epochs": 12.0,
        "batch_size": 8,
        "log_every": 20,
        "checkpoint_every": 100,
        "eval_every": 0,
        "optimizer.learning_rate": 1e-2,
        "encoder.dropout": 0.0,
        "encoder.attention_dropout": 0.0,
        "texts.shapes": 1,
        "texts.max_length": 40,
        "texts.stride": 16,
        "texts.max_question": 8,
    }
    return typed(task, arg, sizes)


def typed(task, arg, fields):
    file = f"--config=configs/finetune.py:task={task},{arg}"
    return [file, *(f"--config.{name}={value}" for name, value in fields.items())]


@pytest.mark.parametrize("task", WRITERS)
def test_has_a_pulse(task, tmp_path, model):
    WRITERS[task](tmp_path / "corpora", LANGUAGES)
    workdir = tmp_path / "run"
    printed = run("train", *small(task, tmp_path / "corpora", model), f"--workdir={workdir}")
    assert "| mBERT, zero-shot (XTREME" in printed
    results = json.loads((workdir / "results.json").read_text())
    known, found = evaluation.TEXT_TASKS[task], results[task]
    assert list(found["languages"]) == sorted(LANGUAGES)
    assert found[known.metric] > 80, found  # by chance it would be 33, 50, and about 3
    assert results[f"{task}_dev"][known.metric] > 80
    if task != "xquad":
        assert metrics(workdir)[-1]["step"] == 12 * (60 // 8)
    loaded = inference.load_text_model(workdir / "student")
    assert (loaded.task, loaded.labels) == (task, known.labels)
    written = sorted(path.name for path in (workdir / "predictions").iterdir())
    kind = "json" if task == "xquad" else "txt"
    assert written == [f"{task}.{code}.{kind}" for code in sorted(LANGUAGES)]
    # What was exported scores as the run did.
    student, specs = str(workdir / "student"), from_file(task).texts.test.to_dict()
    again = _evaluating.evaluate(student, task, specs, str(tmp_path / "corpora"))
    assert again[known.metric] == pytest.approx(found[known.metric])
    assert "mBERT, zero-shot (XTREME" in _evaluating.report(again)
    with pytest.raises(ValueError, match=f"was fine-tuned for {task}, and not for"):
        other = "xnli" if task == "paws_x" else "paws_x"
        _evaluating.evaluate(student, other, _some(other, tmp_path / "more"))


def _some(task, root):
    WRITERS[task](root, ["en"])
    found = from_file(task, "test=en").texts.test.to_dict()
    return {name: spec | {"path": str(root / spec["path"])} for name, spec in found.items()}


def test_several_seeds_have_a_mean_and_a_deviation(tmp_path, model):
    benchmarks.write_paws_x(tmp_path / "corpora", LANGUAGES)
    workdir = tmp_path / "run"
    more = ("--config.seeds=2", "--config.seed=5", "--config.epochs=0.3", f"--workdir={workdir}")
    command = (*small("paws_x", tmp_path / "corpora", model, "train=en+de,test=en+zh"), *more)
    printed = run("train", *command)
    assert " ± " in printed
    each = [json.loads((workdir / f"seed-{n}" / "results.json").read_text()) for n in (5, 6)]
    results = json.loads((workdir / "results.json").read_text())
    assert results == evaluation.over_seeds(each)
    assert "deviation" in results["paws_x"]


def tagger(task, root, model):
    sizes = {
        "model": model,
        "corpora.root": root,
        "corpora.shapes": 1,
        "corpora.max_length": 24,
        "batch_size": 256,
        "total_steps": 80,
        "eval_every": 40,
        "checkpoint_every": 40,
        "optimizer.learning_rate": 1e-2,
    }
    return typed(task, TEST, sizes)


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_taggers_have_a_pulse(task, tmp_path, model):
    root = tmp_path / "corpora"
    if task == "ner":
        benchmarks.write_wikiann(root, LANGUAGES)
    else:
        benchmarks.write_ud(root, {"en": "ewt", "de": "gsd", "zh": "gsd"})
    run("train", *tagger(task, root, model), f"--workdir={tmp_path / 'run'}")
    found = json.loads((tmp_path / "run" / "results.json").read_text())["tagging"]
    assert list(found["test"]["languages"]) == ["en"]
    assert list(found["zero_shot"]["languages"]) == ["de", "zh"]
    assert found["zero_shot"]["macro"] > 80


def test_what_is_missing_is_said_before_training(tmp_path):
    root, mesh = tmp_path / "corpora", make_mesh(MeshSettings())
    benchmarks.write_xnli(root, ["en", "de"])
    for arg, error, message in (
        ("train=en+fr", FileNotFoundError, r"'xnli_train_fr' names .*multinli\.train\.fr\.tsv"),
        (TEST, ValueError, "'xnli_test_zh' has nothing in 'zh': .*xnli.test.tsv"),
    ):
        found = from_file("xnli", arg)
        found.model, found.texts.root = "not/looked-at", str(root)
        with pytest.raises(error, match=message):
            FineTuneRun(config.read(found), tmp_path / "run").build(mesh)


@pytest.mark.parametrize(
    ("arg", "message"),
    [
        ("", "name a task after a colon"),
        ("task=xnlj", "name a task after a colon"),
        ("task=xnli,tran=de", "name a task after a colon"),
        ("task=xnli,train=xx", r"languages must be among en\+ar.*, or all, got 'xx'"),
    ],
)
def test_what_may_stand_after_the_colon(arg, message):
    with pytest.raises(ValueError, match=message):
        config.beside(str(ROOT / "configs" / "finetune.py"), "finetune", arg)
