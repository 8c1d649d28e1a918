"""The parts of a report beyond the scores of one run: other runs, maps, taggers."""

import json
import re
import shutil

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from mmkd_jax import evaluation
from mmkd_jax.evaluation._report import _space, _tasks
from mmkd_jax.evaluation._report._files import read_run
from tests.evaluation.test_report import ANYTHING, Page, written
from tests.evaluation.workdirs import SCRIPT, lines, write_all, write_json, write_tagger


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("runs") / "mine")


# --- Other runs ---------------------------------------------------------------------------------


def test_runs_stand_beside_one_another(full, tmp_path):
    others = []
    for number in range(6):  # more than there are colours
        other = tmp_path / f"run {number}" / "mine"
        other.mkdir(parents=True)
        for name in ("config.json", "metrics.jsonl", "throughput.jsonl"):
            shutil.copy(full / name, other)
        languages = {"de": 10.0 + number, "cy": 20.5}
        write_json(other / "results.json", {"retrieval": {"languages": languages, "after": 33.25}})
        others.append(other)
    config = json.loads((others[0] / "config.json").read_text())
    described = {f"de_{n}": {"reader": "conllu", "language": "de"} for n in range(9)}
    changes = {"batch_size": 64, "seed": 7, "corpora": {"train": described}}
    write_json(others[0] / "config.json", config | changes)
    page = written(full, others=others, out=tmp_path / "page.html")
    assert page.headings[:2] == ["Runs", "Retrieval by language"]
    names = [f"{full.parent.name}/mine", *(f"run {number}/mine" for number in range(6))]
    for name in names:
        assert page.text.count(name) >= 3  # with the runs, in legends and as a column
    scores, _, rest = page.text.partition("Training Each")
    row = scores[scores.rindex("German de 5 1000") :]
    assert row.startswith("German de 5 1000 2.0 % 71.5 % 10.0 % 11.0 % 12.0 % 13.0 %")
    assert "33.2 %" in scores
    differ = rest.partition("Where the runs differ")[2]
    assert "batch_size 128 64 128" in differ and "seed 0 7 0" in differ
    assert "corpora.train – 9 entries: de_0, de_1, de_2, … –" in differ
    assert "total_steps" not in differ.partition("All settings")[0]
    one = written(full, others=[full, full], out=tmp_path / "page.html")
    assert "settings are the same" in one.text


def test_a_run_may_lack_what_others_have(full, tmp_path):
    write_json(tmp_path / "config.json", {"method": "mmkd"})
    for first, second in ((full, tmp_path), (tmp_path, full)):
        assert "Runs" in written(first, others=[second], out=tmp_path / "page.html").headings


def test_other_runs_must_be_there(full, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing is not there"):
        evaluation.write_report(full, tmp_path / "page.html", others=[tmp_path / "nothing"])
    assert not list(tmp_path.iterdir())


# --- Scores of any task -------------------------------------------------------------------------


def test_of_several_scores_the_student_comes_first():
    scores = {"de": {"baseline": 75.0, "student": 80.0}, "cy": {"student": 60.0}}
    means = {"teachers": 90.0, "baseline": 75.0, "student": 70.0}
    [task] = _tasks.tasks_of({"tagging": means | {"languages": scores}})
    assert task.now == ("student", {"de": 80.0, "cy": 60.0}, 70.0, {})
    found = {series.name: (series.languages, series.mean) for series in task.beside}
    assert found == {"baseline": ({"de": 75.0}, 75.0), "teachers": ({}, 90.0)}
    assert task.before is None and task.ordered() == ["de", "cy"]


def test_plain_scores_and_those_of_several_seeds():
    plain, seeds, nothing = (
        {"languages": {"de": 80.0, "fr": 70.0, "xx": -1}, "mean": 75.0},
        {"languages": {"de": {"mean": 80.0, "deviation": 0.5}}},
        {"languages": {"de": "?"}},
    )
    tasks = _tasks.tasks_of({"xnli": plain, "paws_x": seeds, "ner": nothing, "steps": 3})
    assert [task.name for task in tasks] == ["xnli", "paws_x"]
    assert tasks[0].now == ("mean", {"de": 80.0, "fr": 70.0}, 75.0, {})
    assert tasks[1].now == ("mean", {"de": 80.0}, 80.0, {"de": 0.5}) and not tasks[1].beside


def test_benchmarks_as_fine_tuning_writes_them():
    spec = evaluation.TEXT_TASKS["xquad"]
    runs = [
        {"xquad": evaluation.text_results(spec, {"de": {"exact_match": 50.0, "f1": f1}})}
        for f1 in (60.0, 64.0)
    ]
    [task] = _tasks.tasks_of(evaluation.over_seeds(runs))
    assert (
        task.metric == "F1"
        and task.now.name == "f1"
        and task.now.languages == {"de": 62.0}
        and task.now.mean == 62.0
    )
    assert task.now.deviations["de"] == pytest.approx(8**0.5)
    beside = {series.name: series.mean for series in task.beside}
    assert beside == {"exact_match": 50.0, "mbert": spec.baseline}


def test_taggers_have_groups_of_corpora():
    test, foreign = ({"macro": 70.0, "languages": {"vi": 70.0}}, {"languages": {"de": 50.0}})
    groups = {"metric": "accuracy", "dev": {"languages": {"vi": 71.0}}, "zero_shot": foreign}
    first, second = _tasks.tasks_of({"tagging": groups | {"test": test}})
    assert (first.name, first.now) == ("tagging", ("macro", {"vi": 70.0}, 70.0, {}))
    assert (second.name, second.now.languages) == ("tagging, zero-shot", {"de": 50.0})
    [only] = _tasks.tasks_of({"tagging": {"dev": groups["dev"]}})
    assert only.name == "tagging, dev"


def test_zero_shot_taggers_stand_beside_one_another():
    """And what is known of several seeds stands beside the scores."""
    runs = [
        {"student": {"de": 80.0 + seed, "tr": 70.0}, "baseline": {"de": 75.0, "tr": 71.0 + seed}}
        for seed in (0, 2)
    ]
    group = {"macro": 75.5, "languages": {"de": 81.0, "tr": 70.0}, "deviation": 0.5}
    group["languages_deviation"] = {"de": 1.5, "tr": 0.0}
    compared = evaluation.compared(runs)
    both = {"test": group, "zero_shot": group, "zero_shot_compared": compared}
    tasks = _tasks.tasks_of({"tagging": {"metric": "accuracy"} | both | compared})
    assert [task.name for task in tasks] == ["tagging", "tagging, zero-shot"]
    for task in tasks:
        spread = {"": 0.5, "de": 1.5, "tr": 0.0}
        assert task.now == ("student", {"de": 81.0, "tr": 70.0}, 75.5, spread)
        [baseline] = task.beside
        assert (baseline.name, baseline.mean) == ("baseline", 73.5)
        assert baseline.deviations == {"": pytest.approx(0.5**0.5)}


def test_gains_over_the_baseline_are_shown_with_their_errors(tmp_path):
    runs = [{"student": {"de": 80.0 + s}, "baseline": {"de": 75.0}} for s in (0.25, 1.75)]
    tagging = {"metric": "accuracy"} | evaluation.compared(runs)
    write_json(tmp_path / "results.json", {"tagging": tagging})
    assert "student 81.0 % +6.00 ± 0.75 baseline 75.0 % ± 0.0 –" in written(tmp_path).text
    write_json(
        tmp_path / "results.json",
        {"tagging": {"metric": "accuracy"} | evaluation.compared(runs[:1])},
    )
    assert "student 80.2 % +5.25 baseline 75.0 % –" in written(tmp_path).text
    alone = evaluation.compared([{"student": {"de": 80.0}}])
    write_json(tmp_path / "results.json", {"tagging": {"metric": "accuracy"} | alone})
    assert "gains over" not in written(tmp_path).text


def test_a_run_of_several_seeds_shows_the_first(tmp_path):
    for seed in (10, 9):
        write_tagger(tmp_path / f"seed-{seed}")
        lines(tmp_path / f"seed-{seed}" / "metrics.jsonl", [{"step": s, "loss": s} for s in (1, 2)])
    (tmp_path / "seed-other").mkdir()
    write_json(tmp_path / "config.json", {"method": "tagger", "seeds": 2, "seed": 9})
    assert "The first of 2 seeds, seed-9." in written(tmp_path).text
    write_json(tmp_path / "results.json", {"tagging": {"languages": {"de": 64.0, "cy": 66.0}}})
    page = written(tmp_path)
    assert "65.0" in page.text and "Scores are means over 2 seeds." in page.text
    shown = ["Tagging by language", "Training", "Confusion of tags", "Reliability"]
    assert page.headings[:4] == shown


def test_data_counts_of_a_tagger(tmp_path):
    rows = [
        {"part": part, "name": f"{code}_{part}", "language": code, "count": count}
        for part, code, count in (
            *(("test", "de", 30), ("train", "de", 900), ("train", "cy", 1000)),
            *(("zero_shot", "br", 7), ("train", SCRIPT, "many"), ("more_of", "fr", 1)),
        )
    ]
    write_json(tmp_path / "data.json", {"unit": "sentence", "sources": rows})
    languages = {"de": 90.0, "cy": 80.0, "br": 10.0}
    write_json(tmp_path / "results.json", {"tagging": {"languages": languages}})
    text = written(tmp_path).text
    said = "1900 sentences, 2 sources and 2 languages. Test: 30 sentences, 1 source and 1 language."
    assert said in text and "Zero-shot test: 7 sentences" in text
    assert "Source Language For Sentences cy_train Welsh cy training 1000 de_train" in text
    assert "fr_more_of French fr more of 1" in text
    assert "German de 5 900 90.0 %" in text and "Breton br 1 – 10.0 %" in text


def test_what_a_tagger_is_made_of(tmp_path):
    tags = {"names": ["O", "B-X", "I-X"], "scheme": "BIO"}
    recurrent = {"width": 200, "layers": 1, "words": 12345, "characters": 0}
    made = {"kind": "crf", "tags": tags, "recurrent": recurrent, "encoder": None}
    write_json(tmp_path / "tagger.json", {"config": made, "languages": ["de"]})
    page = written(tmp_path)
    assert page.headings == ["Model", "Versions"]
    assert "BiLSTM, width of a direction 200" in page.text
    assert "Known words 12345 Known characters 0 Tags 3 Scored by CRF" in page.text
    sizes = {"width": 8, "layers": 3, "heads": 2, "hidden_width": 20, "positions": 16}
    encoder = sizes | {"vocabulary_size": 50, "token_types": 0}
    made |= {"encoder": encoder, "recurrent": None, "kind": "softmax"}
    write_json(tmp_path / "tagger.json", {"config": made})
    write_json(tmp_path / "config.json", {"tagger": {"encoder": {"source": "some/bert"}}})
    assert "Started from some/bert Parameters" in written(tmp_path).text
    write_json(tmp_path / "config.json", {"model": "/there/runs/mine"})
    assert "Started from runs/mine" in written(tmp_path).text


def test_a_tagger_that_goes_on_shows_its_scores(tmp_path):
    rows = [{"step": step, "dev/de": 40.0 + step, "dev/macro": 40.0 + step} for step in (10, 20)]
    lines(tmp_path / "metrics.jsonl", rows)
    page = written(tmp_path)
    assert page.headings[:2] == ["Dev by language", "Training"]
    assert "German 60.0" in page.text and "Dev, mean % 50 → 60" in page.text


def test_tasks_are_shown_by_name(tmp_path):
    languages = {"de": {"mean": 80.0, "deviation": 0.5}, "sw": {"mean": 66.25, "deviation": 1.5}}
    write_json(tmp_path / "results.json", {"paws_x": {"languages": languages, "mean": 73.125}})
    page = written(tmp_path)
    assert "Paws x by language" in page.headings
    assert "80.0 ±0.5" in page.text and "66.2 % ± 1.5" in page.text and "73.1 %" in page.text


# --- Maps ---------------------------------------------------------------------------------------


def test_the_map_between_languages(full):
    page = written(full)
    found = read_run(full).between
    assert f"{np.nanmean(found.after):.1f} %" in page.text.partition("On average")[2][:40]
    assert "among 10 that both" in page.text
    assert "English en" in page.text and "Chinese (simplified) zh-Hans" in page.text


@hypothesis.given(
    vectors=st.integers(2, 9).flatmap(
        lambda rows: st.lists(
            st.lists(st.floats(-5, 5), min_size=4, max_size=4), min_size=rows, max_size=rows
        )
    )
)
def test_the_plane_is_that_of_the_covariance(vectors):
    vectors = np.array(vectors)
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    centred = units - units.mean(axis=0)
    values = np.linalg.eigvalsh(centred.T @ centred)[::-1]
    places = _space.plane(vectors)
    np.testing.assert_allclose(places.T @ places, np.diag(values[:2]), atol=1e-9)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-9)


def test_vectors_in_a_plane_keep_their_distances():
    angles = np.random.default_rng(0).uniform(0, 6, 7)
    flat = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    basis = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 2)))[0]
    places = _space.plane(flat @ basis.T)
    wanted, found = (np.linalg.norm(p[:, None] - p[None], axis=2) for p in (flat, places))
    np.testing.assert_allclose(found, wanted, atol=1e-12)


def test_sentences_of_the_map_are_listed(full):
    page = written(full)
    listed = page.text.partition("The sentences")[2].partition("Teacher and student")[0]
    assert listed.count("German") == listed.count("Welsh") == 10
    assert listed.count(f"English 3 {SCRIPT}") == 1


@pytest.mark.parametrize(
    "name, arrays",
    [
        ("shapes", {"before": np.eye(3), "after": np.eye(2)}),
        ("no texts", {"before": np.eye(3), "after": np.eye(3)}),
        ("ranks", {"before": np.ones(3), "after": np.ones(3), "texts": '[["a","en",0]]'}),
        ("nan", {"before": np.full((1, 2), np.nan), "after": np.eye(2), "texts": "[]"}),
        ("texts", {"before": np.eye(3), "after": np.eye(3), "texts": '[[1],[2],["a","b","c"]]'}),
        (
            "English alone",
            {
                "before": np.eye(3),
                "after": np.eye(3),
                "texts": '[["a","en",0],["b","en",1],["c","en",2]]',
            },
        ),
    ],
)
def test_vectors_that_cannot_be_shown(tmp_path, name, arrays):
    write_json(tmp_path / "versions.json", {"jax": "1"})
    np.savez(tmp_path / "vectors.npz", **arrays)
    assert written(tmp_path).headings == ["Versions"]


def test_zero_vectors_can_be_shown(tmp_path):
    texts = [["a", "en", 0], ["b", "de", 0], ["c", "en", 1], ["d", "de", 1]]
    zeros = np.zeros((4, 3))
    np.savez(tmp_path / "vectors.npz", before=zeros, after=zeros, texts=json.dumps(texts))
    assert "Sentences and their translations" in written(tmp_path).headings


# --- Confusions ---------------------------------------------------------------------------------


def test_confusions_are_text(full):
    page = written(full)
    part = page.text.partition("Worst confusions")[2].partition("Models")[0]
    found = json.loads((full / "retrieval_details.json").read_text())["confused"]
    assert found
    for one in found:
        assert f"{one['translation']} is {one['english']}" in part
        assert f"taken for {one['found']} {one['cosine_found']:.2f}" in part


# --- Taggers ------------------------------------------------------------------------------------


def test_a_tagger(tmp_path):
    page = written(write_tagger(tmp_path))
    tagger = ["Tagging by language", "Confusion of tags", "Reliability", "Hard sentences"]
    assert page.headings == [*tagger, "Versions"]
    text = page.text
    found = json.loads((tmp_path / "tagging_details.json").read_text())
    confusion = np.array(found["confusion"])
    right = 100 * np.trace(confusion) / confusion.sum()
    assert f"Of all 72 words {right:.1f} % got the right one" in text
    assert f"B-X O {confusion[1, 0]} 100.0 %" in text  # the one mistake there is
    assert f"calibration error: {100 * found['calibration']['error']:.1f} %" in text
    assert "68.8 % → 70.0 %" in text and "baseline" in text and "77.0" in text
    marked = [tag for tag, _ in page.elements if tag == "mark"]
    wrong = sum(
        tag != gold
        for hard in found["hard"]
        for path in hard["paths"]
        for tag, gold in zip(path["tags"], hard["gold"], strict=True)
    )
    assert len(marked) == wrong > 0
    assert "<script" not in (tmp_path / "report.html").read_text()


def test_many_tags_and_many_words(tmp_path):
    page = written(write_tagger(tmp_path, [f"TAG{n}" for n in range(40)], words=90))
    assert "Shown are the 24 most frequent tags." in page.text
    assert "Hard sentences" not in page.headings  # all are too long


def test_without_probabilities_there_is_no_reliability(tmp_path):
    evaluation.write_tagging_details(tmp_path, ["A", "B"], [["A", "B"]], [["A", "A"]])
    assert written(tmp_path).headings == ["Confusion of tags", "Versions"]


# --- Files that hold anything -------------------------------------------------------------------

DETAILS = st.dictionaries(
    st.sampled_from(
        [
            *("languages", "before", "after", "sentences", "confused", "language", "translation"),
            *("english", "found", "cosine", "cosine_found", "tags", "confusion", "calibration"),
            *("counts", "confidence", "accuracy", "error", "hard", "words", "gold", "paths"),
            "probability",
        ]
    ),
    ANYTHING
    | st.lists(st.sampled_from(["de", "A"]), min_size=2, max_size=2, unique=True)
    | st.lists(st.lists(st.floats(), min_size=2, max_size=2), min_size=2, max_size=2),
)


@hypothesis.given(retrieval=DETAILS, tagging=DETAILS, vectors=ANYTHING)
@hypothesis.settings(max_examples=25, suppress_health_check=[hypothesis.HealthCheck.too_slow])
def test_nothing_in_the_files_stops_it(tmp_path_factory, retrieval, tagging, vectors):
    folder = tmp_path_factory.mktemp("run")
    write_json(folder / "retrieval_details.json", retrieval)
    write_json(folder / "tagging_details.json", tagging)
    write_json(folder / "versions.json", {"jax": "1"})
    (folder / "vectors.npz").write_text(json.dumps(vectors))
    written(folder)


def test_pictures_say_what_they_show(full):
    page = Page(evaluation.write_report(full).read_text(encoding="utf-8"))
    pictures = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert pictures and all(one["role"] == "img" and one["aria-label"] for one in pictures)
    html = (full / "report.html").read_text(encoding="utf-8")
    assert len(re.findall(r"<svg [^>]*><title>[^<]+</title><desc>[^<]+</desc>", html)) == len(
        pictures
    )
