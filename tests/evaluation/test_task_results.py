"""Results over seeds, and as a table."""

import statistics

import pytest

from mmkd_jax import evaluation


def run(*scores: float) -> dict:
    languages = dict(zip(("en", "de"), scores, strict=True))
    mean = sum(scores) / 2
    return {
        "xquad": {
            "metric": "f1",
            "f1": mean,
            "exact_match": mean / 2,
            "languages": {code: {"f1": s, "exact_match": s / 2} for code, s in languages.items()},
            "mbert": 64.5,
        },
        "retrieval": {"after": mean, "languages": languages},
        "tagging": {"metric": "f1", "test": {"macro": mean, "languages": languages}},
    }


def test_means_and_deviations_of_seeds():
    scores = [(80.0, 60.0), (82.0, 61.0), (81.0, 68.0)]
    found = evaluation.over_seeds([run(*each) for each in scores])
    means = [sum(each) / 2 for each in scores]
    xquad = found["xquad"]
    assert xquad["f1"] == pytest.approx(statistics.fmean(means))
    assert xquad["exact_match"] == pytest.approx(statistics.fmean(means) / 2)
    assert xquad["deviation"] == pytest.approx(statistics.stdev(means))
    german = statistics.stdev([60.0, 61.0, 68.0])
    assert xquad["languages"]["de"] == pytest.approx(
        {"f1": 63.0, "exact_match": 31.5, "deviation": german}
    )
    assert (xquad["metric"], xquad["mbert"]) == ("f1", 64.5)
    for group in (found["retrieval"], found["tagging"]["test"]):
        assert group["deviation"] == pytest.approx(statistics.stdev(means))
        assert group["languages"]["de"] == pytest.approx(63.0)
        assert group["languages_deviation"]["de"] == pytest.approx(german)


def test_one_seed_has_no_deviation():
    assert evaluation.over_seeds([run(80.0, 60.0)]) == run(80.0, 60.0)
    with pytest.raises(ValueError, match="got none"):
        evaluation.over_seeds([])


def test_the_table():
    found = evaluation.over_seeds([run(80.0, 60.0), run(84.0, 60.0)])
    assert evaluation.task_table({"xquad": found["xquad"]}).splitlines() == [
        "| xquad | mean | en | de |",
        "|---|---|---|---|",
        "| f1 | 71.0 ± 1.4 | 82.0 ± 2.8 | 60.0 ± 0.0 |",
        "| exact_match | 35.5 | 41.0 | 30.0 |",
        "| mBERT, zero-shot (XTREME, Hu et al. 2020), 11 languages, squad_f1 | 64.5 | | |",
    ]
    assert evaluation.task_table({"retrieval": found["retrieval"], "odd": 3}) == ""
    assert evaluation.task_table({"tagging": found["tagging"]}).splitlines() == [
        "| tagging test | mean | en | de |",
        "|---|---|---|---|",
        "| f1 | 71.0 ± 1.4 | 82.0 ± 2.8 | 60.0 ± 0.0 |",
    ]


def test_the_metric_that_counts_comes_first_and_gaps_are_dashes():
    languages = {"en": {"unknown": 1.0}, "de": {"unknown": 2.0, "to_english": 50.0}}
    task = {"metric": "to_english", "to_english": 50.0, "unknown": 1.5, "languages": languages}
    assert evaluation.task_table({"probe": task}).splitlines()[2:] == [
        "| to_english | 50.0 | – | 50.0 |",
        "| unknown | 1.5 | 1.0 | 2.0 |",
    ]
