"""Runs of structured distillation from within: what is learned from, and from whom."""

import dataclasses

import jax
import numpy as np
import pytest

from mmkd_jax import config, data, inference, training
from mmkd_jax.models import RecurrentConfig, TaggerConfig
from mmkd_jax.runs import RUNS, TeacherSettings
from mmkd_jax.tags import TagSet
from tests.runs.test_structured_settings import small


def sample(code, part, **more):
    where = {"reader": "sample", "language": code, "split": "train", "task": "pos"}
    return where | {"part": part, "held_out": 0.5} | more


def run_of(folder, train, **changes):
    fields = small(tags=["ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"])
    fields["tags"] += ["PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"]
    fields["corpora"]["train"] = train
    settings = config.read(fields | changes)
    return RUNS[settings.method](settings, folder)


LABELLED = {code: sample(code, "held_out") for code in ("de", "tr")}
RAW = {f"{code}_raw": sample(code, "train", labels=False) for code in ("de", "tr", "en")}


def test_raw_text_changes_nothing_where_nobody_teaches(tmp_path):
    folders, sources = [tmp_path / "with", tmp_path / "without"], []
    for folder, train in zip(folders, (LABELLED | RAW, LABELLED), strict=True):
        run = run_of(folder, train, objective="nll")
        folder.mkdir()
        sources.append(run.build(training.make_mesh(run.settings.mesh)).source)
    for step in range(2 * sources[0].plan.steps(0)):
        with_raw, without = (source(step) for source in sources)
        jax.tree.map(np.testing.assert_array_equal, with_raw, without)
        assert (with_raw.tags >= 0).any(axis=1)[with_raw.example >= 0].all()
    assert len({(folder / "words.json").read_bytes() for folder in folders}) == 1


def test_nothing_can_be_learned_from_raw_text_alone(tmp_path):
    run = run_of(tmp_path, RAW, objective="nll")
    with pytest.raises(ValueError, match="must have sentences with labels, as nobody teaches"):
        run.build(training.make_mesh(run.settings.mesh))
    taught = dataclasses.replace(run.settings, objective="kl")
    assert set(RUNS["structured"](taught, tmp_path)._train()) == {"de", "tr", "en"}


class TaggerOf:
    """Says the same of every sentence."""

    def __init__(self, tags, config):
        self.tags, self.config = tags, config

    def tag(self, sentences):
        return [tuple(self.tags * len(words))[: len(words)] for words in sentences]


@pytest.mark.parametrize("renamed", [{}, {"noun": "NOUN"}])
def test_teachers_from_folders_are_measured_on_this_run_s_own_test(tmp_path, monkeypatch, renamed):
    teachers = {"any": {"folder": str(tmp_path / "elsewhere" / "student"), "renamed": renamed}}
    run = run_of(tmp_path, LABELLED, teachers=teachers)
    name = "noun" if renamed else "NOUN"
    tagger = TaggerOf(
        [name], TaggerConfig(TagSet([name, "VERB"]), recurrent=RecurrentConfig(words=1))
    )
    monkeypatch.setattr(inference, "load_tagger", lambda folder: tagger)
    found = run._teachers_scores()
    assert set(found) == {"de", "tr"}
    for source in data.open_tagged(run.settings.corpora.test):
        tags = [tag for sentence in source.sentences() for tag in sentence.tags]
        assert found[source.language] == pytest.approx(100 * tags.count("NOUN") / len(tags))


def test_spans_of_teachers_are_named_as_the_student_names_them():
    teacher = TeacherSettings(renamed={"person": "PER", "event": None})
    given = ("B-person", "I-person", "O", "B-event", "B-LOC")
    assert teacher.named(given, are_spans=True) == ("B-PER", "I-PER", "O", "O", "B-LOC")
