"""Fine-tuning as a program, on small benchmarks in their original layouts: it has a pulse."""

import json

import pytest

from mmkd_jax import config, evaluate, evaluation, inference, train
from tests.programs import benchmarks
from tests.programs.runs import ROOT, metrics

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
    """The config file's, with the sizes of a toy."""
    found = from_file(task, arg)
    found.model, found.texts.root = str(model), str(root)
    found.epochs, found.batch_size = 12.0, 8
    found.log_every, found.checkpoint_every, found.eval_every = 20, 100, 0
    found.optimizer.learning_rate = 1e-2
    found.encoder.dropout = found.encoder.attention_dropout = 0.0
    found.texts.shapes, found.texts.max_length = 1, 40
    found.texts.stride, found.texts.max_question = 16, 8
    return found


@pytest.mark.parametrize("task", WRITERS)
def test_has_a_pulse(task, tmp_path, model):
    WRITERS[task](tmp_path / "corpora", LANGUAGES)
    workdir = tmp_path / "run"
    settings = config.read(small(task, tmp_path / "corpora", model))
    assert train.train(settings, str(workdir)) == 0
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
    specs, root = settings.texts.test, settings.texts.root
    again = evaluate.evaluate(str(workdir / "student"), task, specs, root)
    assert again[known.metric] == pytest.approx(found[known.metric])
    assert "mBERT, zero-shot (XTREME" in evaluate.report(again)
    with pytest.raises(ValueError, match=f"was fine-tuned for {task}, and not for"):
        other = "xnli" if task == "paws_x" else "paws_x"
        evaluate.evaluate(str(workdir / "student"), other, _some(other, tmp_path / "more"))


def _some(task, root):
    WRITERS[task](root, ["en"])
    found = from_file(task, "test=en").texts.test.to_dict()
    return {name: spec | {"path": str(root / spec["path"])} for name, spec in found.items()}


def test_several_seeds_have_a_mean_and_a_deviation(tmp_path, model):
    benchmarks.write_paws_x(tmp_path / "corpora", LANGUAGES)
    found = small("paws_x", tmp_path / "corpora", model, "train=en+de,test=en+zh")
    found.seeds, found.seed, found.epochs = 2, 5, 0.3
    workdir = tmp_path / "run"
    assert train.train(config.read(found), str(workdir)) == 0
    each = [json.loads((workdir / f"seed-{n}" / "results.json").read_text()) for n in (5, 6)]
    results = json.loads((workdir / "results.json").read_text())
    assert results == evaluation.over_seeds(each)
    assert "deviation" in results["paws_x"]
    assert train.train(config.read(found), str(workdir)) == 0  # there is nothing left to do
    assert json.loads((workdir / "results.json").read_text()) == results


def tagger(task, root, model):
    found = from_file(task)
    found.model, found.corpora.root = str(model), str(root)
    found.batch_size, found.total_steps, found.corpora.shapes = 256, 80, 1
    found.corpora.max_length = 24
    found.eval_every = found.checkpoint_every = 40
    found.optimizer.learning_rate = 1e-2
    return found


@pytest.mark.parametrize("task", ["ner", "pos"])
def test_taggers_have_a_pulse(task, tmp_path, model):
    root = tmp_path / "corpora"
    if task == "ner":
        benchmarks.write_wikiann(root, LANGUAGES)
    else:
        benchmarks.write_ud(root, {"en": "ewt", "de": "gsd", "zh": "gsd"})
    assert train.train(config.read(tagger(task, root, model)), str(tmp_path / "run")) == 0
    found = json.loads((tmp_path / "run" / "results.json").read_text())["tagging"]
    assert list(found["test"]["languages"]) == ["en"]
    assert list(found["zero_shot"]["languages"]) == ["de", "zh"]
    assert found["zero_shot"]["macro"] > 80


def test_what_is_missing_is_said_before_training(tmp_path, model):
    root, workdir = tmp_path / "corpora", tmp_path / "run"
    benchmarks.write_xnli(root, ["en", "de"])
    missing = config.read(small("xnli", root, model, "train=en+fr"))
    with pytest.raises(
        FileNotFoundError, match=r"'xnli_train_fr' names .*multinli\.train\.fr\.tsv"
    ):
        train.train(missing, str(workdir / "file"))
    unknown = config.read(small("xnli", root, model))
    with pytest.raises(ValueError, match="'xnli_test_zh' has nothing in 'zh': .*xnli.test.tsv"):
        train.train(unknown, str(workdir / "language"))
    for part in ("file", "language"):
        assert not (workdir / part / "checkpoints").exists()


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
