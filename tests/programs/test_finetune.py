"""Fine-tuning as a program, on small benchmarks in their original layouts: it has a pulse."""

import json

import pytest

from mmkd_jax import _evaluating, config, data, evaluation, inference
from mmkd_jax.data import _tagged_corpora, _text_corpora
from mmkd_jax.runs import FineTuneRun, TaggerRun
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
    counts = json.loads((workdir / "data.json").read_text())
    assert counts["unit"] == ("question" if task == "xquad" else "pair")
    assert {one["part"] for one in counts["sources"]} == {"train", "dev", "test"}
    assert (counts["sources"][0]["part"], counts["sources"][0]["count"]) == ("train", 60)
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


def test_taggers_say_what_is_missing_before_training(tmp_path):
    root = tmp_path / "corpora"
    benchmarks.write_ud(root, {"en": "ewt", "de": "gsd", "zh": "gsd"})
    found = from_file("pos")
    found.corpora.root = str(root)
    tagger = TaggerRun(config.read(found), tmp_path)
    tagger.check()
    counts = json.loads((tmp_path / "data.json").read_text())
    assert counts["unit"] == "sentence"
    assert {(one["part"], one["language"], one["count"]) for one in counts["sources"]} == {
        ("train", "en", 60),
        *((part, "en", 12) for part in ("dev", "test")),
        *(("zero_shot", code, 12) for code in ("de", "zh")),
    }
    test = root / "ud" / "zh_gsd-ud-test.conllu"
    for text, error, message in (
        ("1\tNo columns\n", data.ReadError, "zh_gsd-ud-test.conllu:1: wrong number of columns"),
        ("", ValueError, "zero_shot: source 'pos_test_zh' has nothing in 'zh'"),
        (None, FileNotFoundError, "source 'pos_test_zh' names what is not there"),
    ):
        test.unlink() if text is None else test.write_text(text)
        with pytest.raises(error, match=message):
            tagger.check()


# What the data sets of others hold, as their pages say.
NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]
SENTENCES = {"sentence1": "a", "sentence2": "b"}
SQUAD = {
    "id": "1",
    "title": "T",
    "context": "a b",
    "question": "q",
    "answers": {"text": ["b"], "answer_start": [2]},
}
TRANSLATED = {"premise": {"en": "a", "de": "b"}, "hypothesis": {"en": "a", "de": "b"}}
ROWS = {
    "facebook/xnli": {"premise": "a", "hypothesis": "b", "label": "neutral"},
    "google-research-datasets/paws-x": {"id": 1, "label": "1"} | SENTENCES,
    "rajpurkar/squad": SQUAD,
    "google/xquad": SQUAD,
    "unimelb-nlp/wikiann": {"tokens": ["a", "b"], "ner_tags": NAMES[:2], "langs": ["en", "en"]},
    "google/xtreme": {"tokens": ["a", "b"], "pos_tags": ["DET", "NOUN"]},
    "multi_nli": {"premise": "a", "hypothesis": "b", "label": "neutral"},
    "xnli": {"label": "neutral"} | TRANSLATED,
    "xtreme_xnli": {"label": "neutral"} | TRANSLATED,
    "paws_x_wiki": {"label": "paraphrase"} | SENTENCES,
    "squad": SQUAD,
    "xquad": SQUAD,
    "wikiann": {"tokens": ["a", "b"], "tags": NAMES[1:3], "langs": [], "spans": []},
    "xtreme_pos": {"tokens": ["a", "b"], "upos": ["DET", "NOUN"]},
}


@pytest.mark.parametrize("origin", ["hub", "tfds"])
@pytest.mark.parametrize("task", [*WRITERS, "ner", "pos"])
def test_benchmarks_that_others_hold(task, origin, monkeypatch, tmp_path):
    def rows(name, *arguments, **options):
        yield data.Row(name, 1, ROWS[name if origin == "hub" else name.partition("/")[0]])

    for module in (_text_corpora, _tagged_corpora):
        monkeypatch.setattr(module, "hugging_face_rows", rows)
        monkeypatch.setattr(module, "tfds_rows", rows)
    translated = "" if (task, origin) == ("xquad", "hub") else "+de"
    found = from_file(task, f"from={origin},train=en{translated},test=en+de")
    if task in WRITERS:
        for part in (found.texts.train, found.texts.dev, found.texts.test):
            sources = data.open_texts(part.to_dict(), evaluation.TEXT_TASKS[task].records)
            assert [len(source.read()) for source in sources] == [1] * len(part)
    else:
        TaggerRun(config.read(found), tmp_path).check()
        counts = json.loads((tmp_path / "data.json").read_text())["sources"]
        assert [one["count"] for one in counts] == [1] * 5


@pytest.mark.parametrize(
    ("arg", "message"),
    [
        ("task=xnli,from=disk", "from must be one of files, hub, tfds, got 'disk'"),
        ("task=xquad,from=hub,train=de", "translations of SQuAD are not on the hub"),
        ("", "name a task after a colon"),
        ("task=xnlj", "name a task after a colon"),
        ("task=xnli,tran=de", "name a task after a colon"),
        ("task=xnli,train=xx", r"languages must be among en\+ar.*, or all, got 'xx'"),
    ],
)
def test_what_may_stand_after_the_colon(arg, message):
    with pytest.raises(ValueError, match=message):
        config.beside(str(ROOT / "configs" / "finetune.py"), "finetune", arg)
