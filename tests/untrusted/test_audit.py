"""None of the versions that are pinned is known to be unsafe."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BESIDE = Path(sys.executable).parent / "pip-audit"
PROGRAM = str(BESIDE) if BESIDE.exists() else shutil.which("pip-audit")


@pytest.mark.skipif(PROGRAM is None, reason="pip-audit is not installed")
def test_no_pinned_version_is_known_to_be_unsafe():
    done = subprocess.run(
        [
            *(PROGRAM, "--requirement", ROOT / "launch" / "versions.txt"),
            *("--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off"),
        ],
        capture_output=True,
        text=True,
    )
    if not done.stdout.strip():
        pytest.skip(f"its service does not answer: {done.stderr.splitlines()[-1:]}")
    found = json.loads(done.stdout)["dependencies"]
    audited = [package for package in found if "vulns" in package]
    if not audited:
        pytest.skip("its service knows none of the packages")
    unsafe = {package["name"]: package["vulns"] for package in audited if package["vulns"]}
    assert not unsafe, unsafe
