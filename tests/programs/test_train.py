"""Training as a program: it has a pulse, and goes on where it was stopped, to the last bit."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from transformers import AutoTokenizer

from mmkd_jax import inference, models
from mmkd_jax.data import sample
from mmkd_jax.training import Workdir
from tests.programs.runs import (
    assert_same_course,
    metrics,
    pulse,
    run,
)


def test_leaves_everything_that_is_promised(undisturbed):
    workdir = undisturbed
    there = {path.name for path in workdir.iterdir()}
    assert there >= {
        *("config.json", "checkpoints", "metrics.jsonl", "throughput.jsonl", "tensorboard"),
        *("results.json", "student", "report.html", "similarity.npz", "vectors.npz"),
        "data.json",
    }
    steps = {path.name for path in (workdir / "checkpoints").iterdir()}
    assert {"10", "15", "20"} <= steps
    lines = metrics(workdir)
    losses = [line for line in lines if "loss" in line]
    assert [line["step"] for line in losses] == [5, 10, 15, 20]
    for line in losses:
        total = line["token"] + line["word"] + line["sentence"] + 10 * line["structure"]
        assert line["loss"] == pytest.approx(total, rel=1e-5)
    assert losses[-1]["token"] < losses[0]["token"]
    scores = json.loads((workdir / "results.json").read_text())
    assert scores["retrieval"]["before"] == lines[0]["retrieval/mean"]
    assert scores["retrieval"]["after"] == lines[-1]["retrieval/mean"]


def test_the_reports_numbers_are_those_of_the_evaluations(undisturbed):
    details = json.loads((undisturbed / "retrieval_details.json").read_text())
    first, last = (metrics(undisturbed)[place] for place in (0, -1))
    for row, code in enumerate(details["languages"][1:], start=1):
        assert details["sentences"][row][0] == 40
        # Before: the student is made anew at the end, just as it was at the start.
        assert details["before"][row][0] == first[f"retrieval/{code}"]
        assert details["after"][row][0] == last[f"retrieval/{code}"]


def test_the_student_gives_vectors(undisturbed):
    encoder = inference.load_encoder(undisturbed / "student")
    texts = [german for _, german in sample.pairs("de", "test")]
    assert encoder.encode(texts, batch_size=16).shape == (40, 16)
    projected = inference.load_encoder(undisturbed / "student", vectors="projected")
    assert projected.encode(texts[:3], batch_size=16).shape == (3, 8)


def test_a_finished_run_has_nothing_to_do(undisturbed, tmp_path):
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    run("train", *pulse(workdir))
    assert_same_course(workdir, undisturbed)


def test_another_mesh_goes_on_at_the_right_example(tmp_path, undisturbed):
    workdir = shutil.copytree(undisturbed, tmp_path / "run")
    for step in (15, 20):
        shutil.rmtree(workdir / "checkpoints" / str(step))
    run("train", *pulse(workdir, "--config.mesh.fsdp=2"), devices=2)
    expected = {line["step"]: line for line in metrics(undisturbed) if "loss" in line}
    found = {line["step"]: line for line in metrics(workdir) if "loss" in line}
    assert found.keys() == expected.keys()
    for step, line in found.items():
        # Dropout is another one.
        assert line["loss"] == pytest.approx(expected[step]["loss"], rel=1e-5 if step < 11 else 0.2)
        assert line["epoch"] == expected[step]["epoch"]


def test_a_teacher_that_is_broken_stops_the_run(tmp_path, undisturbed):
    """Its weights are not numbers: the levels that look at it are skipped, and named."""
    folder = tmp_path / "teacher"
    config, params = models.load_pretrained(undisturbed / "student")
    kernel = params["layers"]["0"]["mlp"]["up"]["kernel"]
    params["layers"]["0"]["mlp"]["up"]["kernel"] = kernel * np.nan
    tokenizer = AutoTokenizer.from_pretrained(undisturbed / "student")
    models.save_pretrained(folder, config, params, tokenizer)
    flags = (f"--config.teacher.source={folder}", "--config.skipped_in_a_row=3")
    printed = run("train", *pulse(tmp_path / "run", *flags), code=1)
    skipped = re.findall(r"step (\d+) is skipped, \d in all: (.*) not finite. Its (.*)", printed)
    assert [step for step, *_ in skipped] == ["1", "2", "3"]
    for _, levels, examples in skipped:
        assert levels == "sentence, structure and word"
        assert len(re.fullmatch(r"examples: (\d+(?:, \d+)*)", examples)[1].split(", ")) == 8
    last = printed.splitlines()[-1]
    assert last.startswith("train: 3 steps in a row, 1 to 3, were not finite: sentence in 3, ")
    assert "Traceback" not in printed


def test_one_trainer_a_workdir(tmp_path):
    with Workdir(tmp_path / "run").lock():
        printed = run("train", *pulse(tmp_path / "run"), code=1)
    assert f"is in use by another trainer: process {os.getpid()} on" in printed
    assert "Traceback" not in printed


def test_a_workdir_of_another_config_is_refused(undisturbed):
    printed = run("train", *pulse(undisturbed, "--config.mmkd.weights.word=0.5"), code=1)
    assert "mmkd.weights.word: 1.0 → 0.5" in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--config.batch_sise=4", "batch_size"),
        ("--config.batch_size=none", "batch_size"),
        ("--config.batch_size=0", "batch_size must be at least 1"),
    ],
)
def test_a_typo_says_what_was_meant(tmp_path, flag, message):
    printed = run("train", *pulse(tmp_path / "run", flag), code=1)
    assert message in printed
    assert "Traceback" not in printed
    assert not (tmp_path / "run").exists()
