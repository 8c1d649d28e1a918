"""Teachers, their outputs and students as programs: whole, killed, prepared beforehand, changed."""

import json
import re

import pytest

from tests.programs.runs import end, kill, run, saved, start, wait_for

CONFIG = "--config=configs/structured.py:runlocal"
OUTPUTS = "emissions-00000-of-00001.array_record"


def train(workdir, *more):
    return [CONFIG, f"--workdir={workdir}", *more]


def results(workdir):
    return json.loads((workdir / "results.json").read_text())["tagging"]


def course(workdir):
    return (workdir / "metrics.jsonl").read_bytes()


@pytest.fixture(scope="session")
def taught(once):
    """The workdir of a whole run; tests leave it as it is."""
    return once("taught", lambda workdir: run("train", *train(workdir)))


def test_everyone_is_trained_and_compared(taught):
    found = results(taught)
    assert list(found["rows"]) == ["teachers", "baseline", "student"]
    for name in found["rows"]:
        languages = [found["languages"][code][name] for code in ("de", "tr")]
        assert found[name] == pytest.approx(sum(languages) / 2)
        assert 0 < found[name] <= 100
    assert found["rows"]["student"]["gain"] == pytest.approx(found["student"] - found["baseline"])
    for code in ("de", "tr"):
        teacher = results(taught / "teachers" / code)
        assert teacher["test"]["languages"] == {code: found["languages"][code]["teachers"]}
        assert (taught / "outputs" / code / OUTPUTS).exists()
        assert (taught / "teachers" / code / "data.json").exists()
    lines = [json.loads(line) for line in course(taught).splitlines()]
    assert {"kl", "nll", "lambda", "loss"} <= set(lines[-1])
    shares = [line["lambda"] for line in lines if "lambda" in line]
    assert shares == sorted(shares, reverse=True) and shares[0] > shares[-1]
    of_baseline = json.loads(course(taught / "compare" / "baseline").splitlines()[-1])
    assert "nll" in of_baseline and "kl" not in of_baseline


def test_the_same_command_again_finds_everything_finished(taught):
    before = {
        path: path.stat().st_mtime_ns
        for path in (*taught.glob("outputs/*/*"), *taught.glob("*/*/results.json"))
    }
    assert len(before) == 2 * 3 + 3
    run("train", *train(taught))
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_run_that_is_killed_goes_on(taught, tmp_path):
    workdir = tmp_path / "killed"
    for folder in ("teachers/tr", "compare/baseline"):
        process = start("train", *train(workdir, "--config.recipe.checkpoint_every=5"))
        wait_for(lambda folder=folder: saved(workdir / folder), process)
        assert process.poll() is None
        kill([process])
        assert not (workdir / "results.json").exists()
    run("train", *train(workdir, "--config.recipe.checkpoint_every=5"))
    for folder in (".", "teachers/de", "teachers/tr", "compare/baseline"):
        assert course(workdir / folder) == course(taught / folder)
    assert results(workdir) == results(taught)


@pytest.fixture(scope="session")
def prepared(once):
    return once("asked", lambda folder: run("prepare", CONFIG, f"--out={folder}"))


def test_what_is_prepared_is_what_a_run_would_make(taught, prepared):
    for code in ("de", "tr"):
        for name in (OUTPUTS, "scores.array_record"):
            files = [folder / "outputs" / code / name for folder in (taught, prepared)]
            assert files[0].read_bytes() == files[1].read_bytes()
    assert "nothing to prepare" in run(
        "prepare", "--config=configs/tagger_pulse.py", f"--out={prepared}", code=1
    )


def test_a_changed_teacher_is_noticed(prepared, tmp_path):
    other = tmp_path / "other"
    (other / "teachers").mkdir(parents=True)
    for name in ("teachers/de", "teachers/tr", "outputs"):
        (other / name).symlink_to(prepared / name)
    changed = other / "teachers" / "de"
    changed.unlink()
    (changed / "student").mkdir(parents=True)
    for name in ("config.json", "results.json"):
        (changed / name).write_bytes((prepared / "teachers" / "de" / name).read_bytes())
    for path in (prepared / "teachers" / "de" / "student").iterdir():
        (changed / "student" / path.name).write_bytes(path.read_bytes())
    words = changed / "student" / "words.json"
    words.write_text(words.read_text() + " ")
    workdir = tmp_path / "workdir"
    [said] = end([start("train", *train(workdir, f"--config.prepared={other}"))], code=1)
    assert "outputs/de" in said and "hash of the teacher was" in said


def test_what_a_config_refuses_is_said_in_one_line(tmp_path):
    workdir = f"--workdir={tmp_path}"
    said = run("train", "--config=configs/structured.py:labelled=2", workdir, code=1)
    assert said == "train: --config: labelled must be a share, such as 0.25, got '2'\n"
    for more in ((), ("--config.total_steps=3",)):
        said = run("train", "--config=configs/structurd.py:softmax", workdir, *more, code=1)
        assert re.fullmatch(r"train: --config: .*No such file.*'configs/structurd\.py'\n", said)
    mistaken = tmp_path / "mistaken.py"
    mistaken.write_text("def get_config():\n    return int('x')\n")
    said = run("train", f"--config={mistaken}", workdir, code=1)
    assert "Traceback" in said and "return int('x')" in said


def test_the_quickstart_in_miniature(tmp_path):
    few = [f"--config.{run}total_steps=6" for run in ("", "recipe.")]
    command = ["--config=configs/structured_quickstart.py", f"--workdir={tmp_path}", *few]
    printed = run("train", *command, "--config.seeds=1", seconds=900)
    found = results(tmp_path)
    assert list(found["rows"]) == ["teachers", "baseline", "student", "hard"]
    assert set(found["languages"]) == {"de", "en"}
    for name in ("teachers", "baseline", "student"):
        assert 0 < found[name] <= 100
        assert name in printed
    assert printed.count("asking teacher de about 120 sentences") == 1
    steps = {
        path.parent.name: json.loads(path.read_text()) for path in tmp_path.glob("*/*/config.json")
    }
    assert {name: each["total_steps"] for name, each in steps.items()} == dict.fromkeys(
        ("de", "en", "baseline", "hard"), 6
    )
    # Of the teachers' 120 sentences a language, the student has labels for a part.
    asked = json.loads((tmp_path / "outputs/de" / OUTPUTS).with_suffix(".json").read_text())
    assert asked["sentences"] == 120
    assert "kl" in json.loads(course(tmp_path).splitlines()[-1])
