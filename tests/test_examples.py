"""The example programs run as a reader runs them, and learn something."""

import re
from pathlib import Path

import pytest

from tests.test_docs import run_block

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LEAST = {"tagger_two_teachers.py": 0.8, "sentence_encoder_nnx.py": 0.8}  # agreement


def test_all_examples_are_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(LEAST)


@pytest.mark.parametrize("name", LEAST)
def test_example_learns(name, tmp_path):
    code = (EXAMPLES / name).read_text(encoding="utf-8")
    assert code.count("\n") < 100
    done = run_block(code, 0, tmp_path)
    if done.returncode:
        pytest.fail(done.stderr, pytrace=False)
    falls = re.findall(r"loss (\S+) -> (\S+)", done.stdout)
    assert falls
    assert all(float(last) < 0.8 * float(first) for first, last in falls), done.stdout
    agreement = float(done.stdout.split()[-1])
    assert LEAST[name] < agreement <= 1, done.stdout
