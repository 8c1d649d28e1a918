"""What the tables of structured distillation say of trials."""

import dataclasses
import sys

import pytest

from tests.programs.runs import ROOT


@pytest.fixture
def tables(monkeypatch):
    """The program's module; it stands beside others, and not in a package."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    before = set(sys.modules)
    import structured_tables

    yield structured_tables
    for name in set(sys.modules) - before:
        if name in ("structured_tables", "side_by_side"):
            del sys.modules[name]


def of(*scores):
    """Trials by seed."""
    return {seed: {"test": {"vi": score, "wo": score}} for seed, score in enumerate(scores)}


def test_gains_are_of_pairs_with_the_same_seed(tables):
    found = tables.gain(of(81.0, 84.0, 99.0), of(80.0, 81.0), ["vi", "wo"])
    assert (found.mean, found.error, found.seeds) == (2.0, pytest.approx(1.0), 2)
    assert str(found) == "+2.00 ± 1.00 (n = 2)" and not found.is_clear
    alone = tables.gain(of(81.0), of(80.0, 81.0), ["vi"])
    assert alone.error is None and str(alone) == "+1.00 (n = 1)"
    assert tables.gain(of(), of(80.0), ["vi"]) is None


def test_a_line_has_a_mean_and_what_is_gained_over_others(tables):
    report = tables.Tables("x", "X", "", [])
    base = tables.TrialRow("CRF baseline", "macro [%]", 80.0, 80.0, "CRF baseline", deviation=0.5)
    kl = tables.TrialRow(
        "exact KL", "macro [%]", 81.234, 80.0, "CRF baseline", gain=tables.Gain(1.234, 0.1, 5)
    )
    report.add(base, kl, dataclasses.replace(kl, peer_name="hard", gain=tables.Gain(0.5, None, 1)))
    lines = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in report.table("macro [%]").splitlines()
    ]
    assert lines[0] == ["", "mean", "gain over CRF baseline", "gain over hard"]
    assert lines[2:] == [
        ["CRF baseline", "80.00 ± 0.50", "", ""],
        ["exact KL", "81.23", "+1.23 ± 0.10 (n = 5)", "+0.50 (n = 1)"],
    ]
    assert report.verdict() == ""
