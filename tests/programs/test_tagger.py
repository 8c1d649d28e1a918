"""Taggers as programs: trained, gone on with, measured, and used."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from mmkd_jax import inference, models
from mmkd_jax._sentences import decoded, sentences_of
from mmkd_jax.data import sample, save_vocabulary, train_vocabulary
from tests.programs.runs import (
    command,
    end,
    environment,
    kill,
    metrics,
    run,
    saved,
    start,
    start_together,
    wait_for,
)

# Evaluations decide how the run goes on: the rate falls, and the last one ends it early.
PLATEAU = [
    *("--config.optimizer.plateau.patience=1", "--config.optimizer.plateau.stop_after=3"),
    *("--config.eval_every=5", "--config.total_steps=500", "--config.optimizer.learning_rate=0.1"),
]


def pulse(workdir: Path, *more: str) -> list[str]:
    return ["--config=configs/tagger_pulse.py", f"--workdir={workdir}", *more]


@pytest.fixture(scope="session")
def tagger(once) -> Path:
    """The workdir of a run that has ended; tests leave it as it is."""
    return once("tagger", lambda workdir: run("train", *pulse(workdir)))


@pytest.fixture(scope="session")
def ended_early(once) -> Path:
    """Likewise, of one that evaluations have brought to an end."""
    return once("ended_early", lambda workdir: run("train", *pulse(workdir, *PLATEAU)))


def assert_same_course(workdir: Path, expected: Path) -> None:
    assert (workdir / "metrics.jsonl").read_bytes() == (expected / "metrics.jsonl").read_bytes()
    assert json.loads((workdir / "results.json").read_text()) == json.loads(
        (expected / "results.json").read_text()
    )
    found, wanted = (load_file(d / "student" / "tagger.safetensors") for d in (workdir, expected))
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


def test_a_run_leaves_a_tagger_and_its_scores(tagger):
    results = json.loads((tagger / "results.json").read_text())["tagging"]
    assert results["metric"] == "f1"
    assert set(results["languages"]) == {"de", "en", "zh"}
    assert results["student"] == pytest.approx(np.mean(list(results["languages"].values())))
    assert set(results["zero_shot"]["languages"]) == {"fr"}
    lines = metrics(tagger)
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0] / 2
    best = max(line["dev/macro"] for line in lines if "dev/macro" in line)
    assert results["dev"]["macro"] == best > 5
    assert "Reliability" in (tagger / "report.html").read_text(encoding="utf-8")
    details = json.loads((tagger / "tagging_details.json").read_text(encoding="utf-8"))
    assert set(details["languages"]) == {"de", "en", "zh", "fr"} and details["hard"]
    assert sum(details["calibration"]["counts"]) == np.sum(details["confusion"])


def test_interrupted_it_comes_to_the_same_early_end(tmp_path, ended_early):
    lines = [line for line in metrics(ended_early) if "dev/macro" in line]
    last = lines[-1]["step"]
    assert last < 500
    scores = [line["dev/macro"] for line in lines if line["step"]]
    assert max(scores[:-3]) >= max(scores[-3:])
    kept = json.loads((ended_early / "results.json").read_text())["tagging"]["dev"]["macro"]
    assert kept == max(scores)
    workdir = tmp_path / "run"
    process = start("train", *pulse(workdir, *PLATEAU))
    wait_for(lambda: len(saved(workdir)) > 0, process)
    process.send_signal(signal.SIGTERM)
    process.wait(200)
    kill([process])
    run("train", *pulse(workdir, *PLATEAU))
    assert_same_course(workdir, ended_early)
    # A run that was ended early has nothing to do.
    run("train", *pulse(workdir, *PLATEAU))
    assert_same_course(workdir, ended_early)


def test_what_evaluations_decide_on_may_not_change(ended_early, tmp_path):
    workdir = shutil.copytree(ended_early, tmp_path / "run")
    printed = run("train", *pulse(workdir, *PLATEAU, "--config.eval_every=10"), code=1)
    assert "eval_every: 5 → 10" in printed


def test_two_processes_are_as_one(tmp_path, tagger):
    workdir = tmp_path / "run"
    still = ["--config.tagger.recurrent.dropout=0.0", "--config.tagger.recurrent.word_dropout=0.0"]
    end(start_together("train", *pulse(workdir, *still)))
    alone = tmp_path / "alone"
    run("train", *pulse(alone, *still), devices=2)
    for line, wanted in zip(metrics(workdir), metrics(alone), strict=True):
        assert line == pytest.approx(wanted, rel=1e-3, abs=1e-3)


def test_measured_again_it_has_the_same_scores(tagger, tmp_path):
    out = tmp_path / "scores.json"
    model = f"--model={tagger / 'student'}"
    printed = run(
        *("evaluate", model, "--task=tagging", "--config=configs/tagger_pulse.py", f"--out={out}")
    )
    assert "zero_shot" in printed
    found = json.loads(out.read_text())
    results = json.loads((tagger / "results.json").read_text())["tagging"]
    assert found["languages"] == pytest.approx(results["test"]["languages"])
    assert found["zero_shot"] == results["zero_shot"]


def predicted(model: Path, text: str, *arguments: str) -> list[dict]:
    done = subprocess.run(
        command("predict", f"--model={model}", *arguments),
        input=text,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_predictions_come_in_order_from_text_and_from_columns(tagger):
    texts = ["Marie Curie was born in Warsaw.", "", "弗里达·卡罗出生于墨西哥。"]
    found = predicted(tagger / "student", "\n".join(texts), "--k_best=2", "--marginals")
    loaded = inference.load_tagger(tagger / "student")(texts, k_best=2)
    assert len(found) == 3
    for line, tagging in zip(found, loaded, strict=True):
        assert tuple(line["words"]) == tagging.words and tuple(line["tags"]) == tagging.tags
        assert line["probabilities"] == pytest.approx(list(tagging.probabilities), rel=1e-3)
        pairs = zip(line["tags"], line["marginals"], strict=True)
        assert [of_word[tag] for tag, of_word in pairs] == line["probabilities"]
        assert all(sum(of_word.values()) == pytest.approx(1) for of_word in line["marginals"])
        assert [span["text"] for span in line["spans"]] == [span.text for span in tagging.spans]
        assert len(line["guesses"]) == (2 if tagging.words else 1)
    rows = [words for words, _ in sample.tagged("de", "test")]
    columns = "\n\n".join("\n".join(f"{word}\tx" for word in words) for words in rows)
    found = predicted(tagger / "student", columns, "--format=columns")
    assert [line["words"] for line in found] == rows
    spaced = "\n".join(" ".join(words) for words in rows)
    assert predicted(tagger / "student", spaced, "--format=words") == found


def test_lines_that_are_no_words_are_told_from_those_that_are():
    conll = "-DOCSTART- -X- O\n\n# id = 1\nEva NNP I-PER\n# NN O\n\n# 2\nlives VBZ O\n"
    found = list(sentences_of(conll.splitlines(True), "columns", 0))
    assert found == [["Eva", "#"], ["lives"]]
    assert list(sentences_of(["#\n", "1\n"], "columns", 0)) == [["#", "1"]]
    rows = ["1-2\tzum", "1\tzu", "2\tdem", "2.1\tx", "3\t#"]
    tree = ["# text = zum #\n", *(row + 8 * "\t_" + "\n" for row in rows), "\n"]
    assert list(sentences_of(2 * tree, "conllu", 0)) == 2 * [["zu", "dem", "#"]]


@pytest.mark.parametrize(("form", "columns"), [("conllu", 10), ("columns", 4), ("columns", 2)])
def test_a_comment_may_have_as_many_words_as_there_are_columns(form, columns):
    word = "\t".join(["1", "Eva", *"_" * (columns - 2)]) + "\n"
    comment = "# text =" + " x" * (columns - 3) + "\n" if columns > 3 else "# text\n"
    assert len(comment.split()) == columns
    lines = 3 * [comment, word, "\n"]
    assert list(sentences_of(lines, form, 1)) == 3 * [["Eva"]]


def test_what_is_read_is_utf_8_and_a_byte_order_mark_no_part_of_a_word():
    assert list(decoded([b"\xef\xbb\xbfEva\n", "Żółw\n".encode()])) == ["Eva\n", "Żółw\n"]
    with pytest.raises(ValueError, match=r"line 2 is not UTF-8 \(.* at byte 3\): convert"):
        list(decoded([b"Eva\n", "café\n".encode("latin-1")]))


def test_whoever_reads_the_predictions_may_stop(tagger):
    process = subprocess.Popen(
        command("predict", f"--model={tagger / 'student'}"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    process.stdout.close()
    process.stdin.write("Eva\n")
    process.stdin.close()
    assert process.wait(timeout=300) == 0
    assert "Broken pipe" not in process.stderr.read()
    process.stderr.close()


def test_checkpoints_can_be_exported(tagger, tmp_path):
    run("export", f"--workdir={tagger}", f"--out={tmp_path / 'out'}", "--step=best")
    found, wanted = (
        load_file(d / "tagger.safetensors") for d in (tmp_path / "out", tagger / "student")
    )
    for name, tensor in wanted.items():
        np.testing.assert_array_equal(found[name], tensor, err_msg=name)


@pytest.fixture(scope="session")
def encoder(once) -> Path:
    """A folder with a tiny transformer."""

    def make(folder: Path) -> None:
        languages = ("de", "en", "zh")
        texts = [" ".join(w) for code in languages for w, _ in sample.tagged(code, "train")]
        tokenizer = train_vocabulary(texts, 300)
        save_vocabulary(tokenizer, folder)
        config = models.EncoderConfig(
            vocabulary_size=tokenizer.get_vocab_size(),
            width=16,
            layers=1,
            heads=2,
            hidden_width=32,
            positions=48,
        )
        params = models.initial_params(config, jax.random.key(0))
        models.save_pretrained(folder, config, params, AutoTokenizer.from_pretrained(folder))

    return once("encoder", make)


@pytest.mark.parametrize("frozen", [False, True])
def test_transformers_are_fine_tuned_or_left_as_they_are(tmp_path, encoder, frozen):
    more = [f"--config.model={encoder}", "--config.total_steps=8", "--config.eval_every=4"]
    more += [f"--config.tagger.recurrent.{name}=False" for name in ("words", "characters")]
    more += [f"--config.tagger.freeze_encoder={frozen}", "--config.log_every=4"]
    more += ["--config.optimizer.learning_rate=0.003", "--config.corpora.max_length=48"]
    run("train", *pulse(tmp_path / "run", *more))
    student = tmp_path / "run" / "student"
    before, after = (load_file(folder / "model.safetensors") for folder in (encoder, student))
    same = [np.array_equal(after[name], before[name]) for name in before if name in after]
    assert len(same) > 10 and (all(same) if frozen else not any(same[:3]))
    texts = ["Marie Curie was born in Warsaw.", "a " * 100]
    found = inference.load_tagger(student)(texts)
    assert [len(tagging.tags) for tagging in found] == [7, 100]
