"""Preparing as a program: shared between processes, killed, and trained on."""

import time

import pytest

from mmkd_jax._program import part_of
from tests.programs.runs import end, kill, pulse, run, start, wait_for

PULSE = "--config=configs/pulse.py"


def contents(folder):
    """What is in a folder of prepared pairs, and not on its way there."""
    files = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    kept = [name for name in files if not any(part.startswith(".") for part in name.parts)]
    return {str(name): files[name].read_bytes() for name in kept}


@pytest.fixture(scope="module")
def prepared(once):
    """Prepared by two processes, which were killed and started again."""

    def prepare(folder):
        parts = [("prepare", PULSE, f"--out={folder}", f"--shard={i}/2") for i in range(2)]
        first = [start(*part) for part in parts]
        wait_for(lambda: folder.is_dir() and any(folder.iterdir()), *first)
        time.sleep(0.05)  # in the middle of a vocabulary, or of a shard
        kill(first)
        printed = "".join(end([start(*part) for part in parts]))
        assert f"{folder}/manifest.json: train with --config.pairs.folder={folder}" in printed

    return once("prepared_by_two", prepare)


def test_parts_of_killed_processes_are_what_one_process_makes(prepared, undisturbed):
    assert contents(prepared) == contents(undisturbed / "prepared")


def test_nothing_is_left_to_do(prepared):
    before = {path: path.stat().st_mtime_ns for path in prepared.glob("*.array_record")}
    printed = run("prepare", PULSE, f"--out={prepared}")
    assert "train with --config.pairs.folder=" in printed
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_run_on_them_is_the_run_that_prepares_by_itself(prepared, undisturbed, tmp_path):
    workdir = tmp_path / "run"
    run("train", *pulse(workdir, f"--config.pairs.folder={prepared}"))
    assert not (workdir / "prepared").exists()
    for name in ("metrics.jsonl", "student/model.safetensors"):
        assert (workdir / name).read_bytes() == (undisturbed / name).read_bytes()


def test_a_vocabulary_of_another_size_is_refused(prepared, tmp_path):
    flags = (f"--config.pairs.folder={prepared}", "--config.student.vocabulary_size=400")
    printed = run("train", *pulse(tmp_path / "run", *flags), code=1)
    assert "Traceback" not in printed
    assert f"{prepared}/tokenizers/student holds a tokenizer of" in printed
    assert "'vocabulary_size': 500" in printed
    assert "'vocabulary_size': 400" in printed


def test_another_tokenizer_is_refused(prepared, undisturbed, tmp_path):
    another = (
        "--config.teacher.vocabulary_size=0",
        f"--config.teacher.source={undisturbed}/student",
    )
    flags = (f"--config.pairs.folder={prepared}", *another)
    printed = run("train", *pulse(tmp_path / "run", *flags), code=1)
    assert "Traceback" not in printed
    assert f"{prepared}/manifest.json was prepared in another way" in printed
    assert "the teacher's tokenizer was" in printed
    assert "the student's" not in printed


def test_a_corpus_that_is_not_there_is_said_in_a_line(tmp_path):
    flag = "--config.pairs.sources.sample_de.language=xx"
    printed = run("prepare", PULSE, f"--out={tmp_path}", flag, code=1)
    assert printed.startswith("prepare: ")
    assert "xx" in printed
    assert "Traceback" not in printed


def test_more_parts_than_shards_are_refused(tmp_path):
    """A part without a shard would have nothing to do, and say that others are not finished."""
    printed = run("prepare", PULSE, f"--out={tmp_path}", "--shard=2/3", code=1)
    assert printed.splitlines()[-1] == (
        "prepare: --shard=2/3 needs as many files as there are parts: set --config.pairs.shards=3, "
        "in all parts alike, got 2"
    )
    assert not any(tmp_path.iterdir())


def test_parts_are_written_as_fractions():
    assert part_of("0/1") == (0, 1)
    assert part_of("2/8") == (2, 8)
    for wrong in ("1", "1/1", "2/1", "-1/2", "a/b", "1/2/3", "0/0", ""):
        with pytest.raises(ValueError, match="--shard must be I/N with 0 <= I < N, got"):
            part_of(wrong)
