"""Taggers beside one another, against means and deviations computed plainly."""

import statistics

import numpy as np
import pytest

from mmkd_jax import evaluation
from mmkd_jax.evaluation._comparison import comparison_table

LANGUAGES = ("de", "tr", "zh")
RANDOM = np.random.default_rng(0)


def run(names):
    return {
        name: dict(zip(LANGUAGES, RANDOM.uniform(50, 90, 3).tolist(), strict=True))
        for name in names
    }


RUNS = [run(("student", "kl_T2", "baseline", "teachers")) for _ in range(4)]


def mean(scores):
    return statistics.fmean(scores.values())


def test_means_deviations_and_paired_gains():
    found = evaluation.comparison(RUNS)
    assert list(found["rows"]) == ["teachers", "baseline", "student", "kl_T2"]
    for name, row in found["rows"].items():
        macro = [mean(run[name]) for run in RUNS]
        np.testing.assert_allclose(row["macro"], statistics.fmean(macro))
        np.testing.assert_allclose(row["deviation"], statistics.stdev(macro))
        if name == "baseline":
            assert "gain" not in row
            continue
        gains = [mean(run[name]) - mean(run["baseline"]) for run in RUNS]
        np.testing.assert_allclose(row["gain"], statistics.fmean(gains))
        np.testing.assert_allclose(row["gain_error"], statistics.stdev(gains) / 2)
    for name in ("teachers", "baseline", "student"):
        assert found[name] == found["rows"][name]["macro"]
    for code in LANGUAGES:
        for name, score in found["languages"][code].items():
            np.testing.assert_allclose(score, statistics.fmean(run[name][code] for run in RUNS))


def test_one_run_has_no_deviation_and_no_baseline_no_gain():
    found = evaluation.comparison([{"student": {"de": 80.0}}])
    assert found["rows"] == {"student": {"macro": 80.0, "deviation": None}}
    assert found["student"] == 80.0 and "baseline" not in found
    assert "±" not in comparison_table(found)


def test_only_languages_and_taggers_that_all_have_are_compared():
    one = {"student": {"de": 80.0, "tr": 60.0}, "other": {"de": 90.0}, "late": {"de": 1.0}}
    other = {"student": {"de": 82.0, "tr": 60.0}, "other": {"de": 90.0}}
    found = evaluation.comparison([one, other])
    assert list(found["languages"]) == ["de"] and list(found["rows"]) == ["student", "other"]
    assert found["student"] == 81.0
    nothing = evaluation.comparison([{"student": {"de": 1.0}, "baseline": {"tr": 1.0}}])
    assert nothing == {"languages": {}, "rows": {}}


def test_a_language_without_a_teacher_is_missed_in_the_row_of_the_teachers_alone():
    runs = [dict(run) for run in RUNS]
    for run in runs:
        run["teachers"] = {code: run["teachers"][code] for code in ("de", "zh")} | {"xx": 1.0}
    found, expected = evaluation.comparison(runs), evaluation.comparison(RUNS)
    for name in ("student", "baseline", "kl_T2"):
        assert found["rows"][name] == expected["rows"][name]
    row = found["rows"]["teachers"]
    assert row["missing"] == ["tr"] and "xx" not in found["languages"]
    some = [{name: [run[name][code] for code in ("de", "zh")] for name in run} for run in runs]
    gains = [
        statistics.fmean(each["teachers"]) - statistics.fmean(each["baseline"]) for each in some
    ]
    np.testing.assert_allclose(
        row["macro"], statistics.fmean(statistics.fmean(each["teachers"]) for each in some)
    )
    np.testing.assert_allclose(row["gain"], statistics.fmean(gains))
    np.testing.assert_allclose(row["gain_error"], statistics.stdev(gains) / 2)
    lines = comparison_table(found).splitlines()
    assert "–" in lines[1] and f"{row['macro']:.2f}* ±" in lines[1]
    assert lines[-1] == "* over fewer languages: teachers has no tr"
    assert not any("*" in line for line in comparison_table(expected).splitlines())
    strangers = [run | {"teachers": {"xx": 1.0}} for run in RUNS]
    assert "teachers" not in evaluation.comparison(strangers)["rows"]


def test_rows_come_as_they_were_named():
    names = ("student", "top_k_K5", "top_k_K10", "half", "baseline")
    rows = evaluation.comparison([run(names)])["rows"]
    assert list(rows) == ["baseline", "student", "top_k_K5", "top_k_K10", "half"]


def test_seeds_are_compared_run_by_run():
    results = [
        {"tagging": {"metric": "f1", **evaluation.comparison([run]), "runs": [run]}} for run in RUNS
    ]
    together = evaluation.over_seeds(results)["tagging"]
    expected = evaluation.comparison(RUNS)
    assert {name: together[name] for name in expected} == expected
    assert together["runs"] == RUNS
    assert evaluation.task_table({"tagging": together}) == comparison_table(expected)


def test_zero_shot_languages_are_compared_and_printed_below():
    foreign = [{name: {"xx": run[name]["de"]} for name in ("student", "baseline")} for run in RUNS]
    results = [
        {
            "tagging": {
                "metric": "f1",
                "zero_shot": {"macro": other["student"]["xx"], "languages": other["student"]},
                "zero_shot_compared": evaluation.compared([other]),
                **evaluation.compared([run]),
            }
        }
        for run, other in zip(RUNS, foreign, strict=True)
    ]
    together = evaluation.over_seeds(results)["tagging"]
    assert together["zero_shot_compared"] == evaluation.compared(foreign)
    np.testing.assert_allclose(
        together["zero_shot"]["macro"], together["zero_shot_compared"]["student"]
    )
    tables = evaluation.task_table({"tagging": together}).split("\n\n")
    expected = [evaluation.comparison(each) for each in (RUNS, foreign)]
    first, second = map(comparison_table, expected)
    assert tables == [first, f"Zero-shot:\n{second}"]


@pytest.mark.parametrize("name", ["teachers", "baseline", "student", "kl_T2"])
def test_the_table_has_a_line_a_tagger(name):
    lines = comparison_table(evaluation.comparison(RUNS)).splitlines()
    [line] = [line for line in lines if line.startswith(f"{name} ")]
    row = evaluation.comparison(RUNS)["rows"][name]
    assert f"{row['macro']:.2f} ± {row['deviation']:.2f}" in line
    assert (f"{row.get('gain', 0):+.2f} ± " in line) == (name != "baseline")
