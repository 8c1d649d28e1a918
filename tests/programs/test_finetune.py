"""Fine-tuning as a program, on small benchmarks in their original layouts: it has a pulse."""

import json

import pytest

from mmkd_jax import config, evaluation, inference, train
from tests.programs import benchmarks
from tests.programs.runs import ROOT, metrics

LANGUAGES = ["en", "de", "zh"]
WRITERS = {
    "xnli": benchmarks.write_xnli,
    "paws_x": benchmarks.write_paws_x,
    "xquad": benchmarks.write_xquad,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return benchmarks.tiny_encoder(tmp_path_factory.mktemp("model"))


def small(task, root, model, arg="test=en+de+zh"):
    """The config file's, with the sizes of a toy."""
    found = config.beside(str(ROOT / "configs" / "finetune.py"), "finetune", f"task={task},{arg}")
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
    assert found[known.metric] > 80, found  # chance is 33, 50, and about 3
    assert results[f"{task}_dev"][known.metric] > 80
    lines = metrics(workdir)
    steps = 12 * (60 // 8) if task != "xquad" else lines[-1]["step"]
    assert lines[-1]["step"] == steps
    # What is exported answers as the run did.
    loaded = inference.load_text_model(workdir / "student")
    assert (loaded.task, loaded.labels) == (task, known.labels)
    written = sorted(path.name for path in (workdir / "predictions").iterdir())
    kind = "json" if task == "xquad" else "txt"
    assert written == [f"{task}.{code}.{kind}" for code in sorted(LANGUAGES)]
