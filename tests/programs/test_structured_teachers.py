"""Softmax teachers as programs: cross-fitted, from folders, on two processes, half asked."""

import json
import shutil

import pytest

from mmkd_jax.data import fold_of, sample
from tests.programs.runs import end, metrics, run, start_together

CONFIG = "--config=tests/programs/one_language.py:"
SENTENCES = [words for words, _ in sample.tagged("de", "train", "pos")][:40]


def results(workdir):
    return json.loads((workdir / "results.json").read_text())["tagging"]


def outputs(workdir, name):
    return sorted((workdir / "outputs" / name).glob("*"))


@pytest.fixture(scope="module")
def folded(once):
    """A run of two folds, on two devices; tests leave it as it is."""
    return once("folded", lambda folder: run("train", f"{CONFIG}folds", where(folder), devices=2))


def where(workdir):
    return f"--workdir={workdir}"


def test_each_fold_is_asked_about_what_it_has_not_seen(folded):
    for fold in range(2):
        found = [
            json.loads(path.read_text())
            for path in outputs(folded, f"de-{fold}")
            if path.suffix == ".json"
        ]
        of_fold = sum(fold_of(words, 2) == fold for words in SENTENCES)
        assert sum(shard["sentences"] for shard in found) == of_fold > 10
        assert results(folded / "teachers" / f"de-{fold}")["student"] > 0
    found = results(folded)
    scores = [results(folded / "teachers" / f"de-{fold}")["student"] for fold in range(2)]
    assert found["teachers"] == pytest.approx(sum(scores) / 2)
    lines = [line for line in metrics(folded) if "loss" in line]
    assert "token" in lines[0] and lines[-1]["token"] >= 0


def test_two_processes_are_as_one(folded, tmp_path):
    end(start_together("train", f"{CONFIG}folds", where(tmp_path / "two")), seconds=600)
    for name in ("", "teachers/de-0", "teachers/de-1"):
        pairs = zip(metrics(tmp_path / "two" / name), metrics(folded / name), strict=True)
        for line, expected in pairs:
            assert line == pytest.approx(expected, rel=1e-5)
    for name in ("de-0", "de-1"):
        assert [path.name for path in outputs(tmp_path / "two", name)] == [
            path.name for path in outputs(folded, name)
        ]


def test_what_is_half_written_is_finished_and_not_trusted(folded, tmp_path):
    prepared = tmp_path / "prepared"
    for name in ("teachers", "outputs"):
        shutil.copytree(folded / name, prepared / name)
    before = {
        path: path.read_bytes() for name in ("de-0", "de-1") for path in outputs(prepared, name)
    }
    half = prepared / "outputs" / "de-1" / "emissions-00001-of-00002"
    half.with_suffix(".json").unlink()
    records = half.with_suffix(".array_record")
    records.write_bytes(bytes(len(before[records])))
    others = [path for path in before if path.stem not in (half.stem, "scores")]
    finished = {path: path.stat().st_mtime_ns for path in others}
    run(
        "train",
        f"{CONFIG}folds",
        where(tmp_path / "run"),
        f"--config.prepared={prepared}",
        devices=2,
    )
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert not (tmp_path / "run" / "teachers").exists()
    written = [(folder / "metrics.jsonl").read_bytes() for folder in (tmp_path / "run", folded)]
    assert written[0] == written[1]


def test_a_teacher_may_be_a_folder_and_is_asked_anew_about_other_sentences(folded, tmp_path):
    config = f"{CONFIG}{folded / 'teachers' / 'de-0' / 'student'}"
    prepared = tmp_path / "prepared"
    run("prepare", config, f"--out={prepared}")
    assert not (prepared / "teachers").exists()
    known = f"--config.prepared={prepared}"
    run("train", config, where(tmp_path / "run"), known)
    found = results(tmp_path / "run")
    assert found["teachers"] == pytest.approx(results(folded / "teachers" / "de-0")["student"])
    assert found["student"] > 0
    other = "--config.corpora.train.ud_de.limit=30"
    said = run("train", config, where(tmp_path / "other"), known, other, code=1)
    assert "outputs/de" in said and "hash of the sentences was" in said
    assert "Traceback" not in said
