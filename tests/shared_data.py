"""Where the real data for tests and benchmarks lie, and what they should hold."""

import os
from pathlib import Path

import pytest

FOLDER = Path(
    os.environ.get("MMKD_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data")
)

needs_shared_data = pytest.mark.skipif(
    not (FOLDER / "COUNTS.tsv").is_file(),
    reason="no shared data here; MMKD_SHARED_DATA says where they are",
)


def counts(folder: str) -> dict[Path, dict[str, int]]:
    """For each file of a folder how many of what it holds: ``{"sentences": 12, "words": 99}``."""
    found = {}
    for line in (FOLDER / "COUNTS.tsv").read_text(encoding="utf-8").split("\n"):
        name, *fields = line.split("\t")
        if name.startswith(f"{folder}/"):
            found[FOLDER / name] = dict(zip(fields[::2], map(int, fields[1::2]), strict=True))
    assert found, f"COUNTS.tsv has no file in {folder}"
    return found
