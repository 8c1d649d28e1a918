"""Runs of structured distillation from within: what is learned from, and from whom."""

import dataclasses

import jax
import numpy as np
import pytest

from mmkd_jax import config, data, inference, training
from mmkd_jax.models import RecurrentConfig, TaggerConfig
from mmkd_jax.runs import RUNS, TeacherSettings
from mmkd_jax.runs._tagger_shapes import drawn
from mmkd_jax.runs._teachers import models_of
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


def test_nothing_can_be_learned_from_raw_text_alone(tmp_path, caplog):
    run = run_of(tmp_path, RAW, objective="nll")
    with pytest.raises(ValueError, match="must have sentences with labels, as nobody teaches"):
        run.build(training.make_mesh(run.settings.mesh))
    taught = dataclasses.replace(run.settings, objective="kl")
    assert set(RUNS["structured"](taught, tmp_path)._train()) == {"de", "tr"}
    [record] = caplog.records
    assert record.getMessage().startswith("en: ") and "neither labels nor" in record.getMessage()
    teachers = dict(taught.teachers) | {"all": TeacherSettings()}
    taught = dataclasses.replace(taught, teachers=teachers)
    assert set(RUNS["structured"](taught, tmp_path)._train()) == {"de", "tr", "en"}


COMPARED = {
    "baseline": {"objective": "nll"},
    "hot": {"structured": {"temperature": 4}, "optimizer": {"learning_rate": 0.5}},
    "small_teachers": {"recipe": {"tagger": {"recurrent": {"width": 3}}}},
    "folds": {"teachers": {"de": {"languages": ["de"], "folds": 2}}},
    "one": {"teachers": {"de": {"languages": ["de"], "weight": 2.0}}},
    "less": {"corpora": {"train": LABELLED | {"de": sample("de", "held_out", limit=5)}}},
}


@pytest.mark.parametrize("prepared", [False, True])
def test_students_share_teachers_unless_they_need_others(tmp_path, prepared):
    run = run_of(tmp_path / "run", LABELLED, compare=COMPARED)
    if prepared:
        run = with_prepared(run, tmp_path / "there")
    first = run.first()
    teachers = [] if prepared else ["teachers/de", "teachers/tr"]
    assert [*first] == teachers + [f"compare/{name}" for name in run.settings.compare]
    shared = {name for name in COMPARED if first[f"compare/{name}"].prepared == str(run.prepared)}
    assert shared == {"baseline", "hot", "one"}
    assert not any(first[f"compare/{name}"].prepared for name in set(COMPARED) - shared)
    of = {name: RUNS["structured"](first[f"compare/{name}"], tmp_path / name) for name in COMPARED}
    assert [*of["folds"].first()] == ["teachers/de-0", "teachers/de-1"]
    assert of["small_teachers"].first()["teachers/tr"].tagger.recurrent.width == 3


def with_prepared(run, folder):
    """The same with another seed, and teachers that are there already."""
    for name, settings in RUNS["structured"].of_prepared(run.settings, folder).first().items():
        training.Workdir(folder / name).check_config(config.to_dict(settings))
    settings = dataclasses.replace(run.settings, prepared=str(folder), seed=5)
    return dataclasses.replace(run, settings=settings)


def test_prepared_teachers_are_those_that_this_config_would_train(tmp_path):
    run = with_prepared(run_of(tmp_path / "run", LABELLED), tmp_path / "there")
    assert [*run.first()] == ["compare/baseline"]
    recipe = dataclasses.replace(run.settings.recipe, total_steps=21)
    other = dataclasses.replace(run.settings, recipe=recipe)
    with pytest.raises(training.WorkdirError, match=r"(?s)teachers/de was.*total_steps: 20 → 21"):
        RUNS["structured"](other, tmp_path).first()
    other = dataclasses.replace(run.settings, prepared=str(tmp_path))
    with pytest.raises(FileNotFoundError, match="teachers/de holds no run of a teacher"):
        RUNS["structured"](other, tmp_path).first()


def test_folders_that_hold_no_teacher_are_named_before_anything_is_trained(tmp_path):
    workdir = tmp_path / "teacher"
    workdir.mkdir()
    (workdir / "tagger.json").touch()
    run = run_of(tmp_path / "run", LABELLED, teachers={"any": {"folder": str(workdir)}})
    with pytest.raises(
        FileNotFoundError, match="'any': .*/teacher holds no tagger; name the folder"
    ):
        run.first()


@pytest.mark.parametrize(("known", "fits"), [("NOUN", True), ("SUBSTANTIV", False)])
def test_teachers_from_folders_whose_tags_fit_nothing_are_named_at_once(tmp_path, known, fits):
    vocabulary = data.WordVocabulary.of_words(["Eva"], 1)
    made_of = TaggerConfig(
        tags=TagSet([known, "VERB"]), recurrent=RecurrentConfig(words=3, width=2)
    )
    tagger = inference.SentenceTagger(made_of, drawn(made_of, jax.random.key(0)), None, vocabulary)
    inference.save_tagger(tmp_path / "any", tagger)
    run = run_of(tmp_path / "run", LABELLED, teachers={"any": {"folder": str(tmp_path / "any")}})
    if fits:
        assert [*run.first()] == ["compare/baseline"]
    else:
        with pytest.raises(ValueError, match="teacher 'any': .*SUBSTANTIV"):
            run.first()


@pytest.mark.parametrize(("reader", "split"), [("aspects", "aspects"), ("conllu", "text")])
def test_a_tagger_splits_texts_as_its_corpora_are_split(tmp_path, reader, split):
    train = {"reviews": {"reader": reader, "language": "en", "path": "en.xml"}}
    run = run_of(tmp_path, train, objective="nll")
    config = TaggerConfig(
        tags=TagSet(["NOUN", "VERB"]), recurrent=RecurrentConfig(words=2, width=2)
    )
    run._write_outline(config, data.WordVocabulary((), ()), ("en",))
    assert run._tagger().split == split


def test_parts_without_work_are_refused(tmp_path):
    run = run_of(tmp_path, LABELLED, shards=2)
    with pytest.raises(ValueError, match=r"--shard=1/3 needs .* set --config.shards=3, here and"):
        run.prepare(1, 3)
    nothing = dataclasses.replace(run.settings, objective="nll")
    with pytest.raises(ValueError, match="has no teachers, so that there is nothing to prepare"):
        RUNS["structured"].of_prepared(nothing, tmp_path)


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
    made_of = TaggerConfig(tags=TagSet([name, "VERB"]), recurrent=RecurrentConfig(words=1))
    tagger = TaggerOf([name], made_of)
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


@pytest.mark.parametrize("folds", [1, 2])
def test_each_sentence_comes_with_what_its_own_teacher_says_of_it(tmp_path, folds):
    teachers = {"de": {"languages": ["de"], "folds": folds}, "tr": {"languages": ["tr"]}}
    train = LABELLED | RAW | {"en": sample("en", "held_out")}  # nobody teaches the last
    run = run_of(tmp_path, train, teachers=teachers)
    words = [row.words for rows in run._train().values() for row in rows]
    vocabulary = data.WordVocabulary.of_words((word for row in words for word in row), 1)
    tags = TagSet(run.settings.tags)
    told = {}
    for seed, model in enumerate(models_of(run.settings, tmp_path)):
        recurrent = RecurrentConfig(words=vocabulary.word_count, word_width=4, width=3)
        made_of = TaggerConfig(tags=tags, recurrent=recurrent)
        tagger = inference.SentenceTagger(
            made_of, drawn(made_of, jax.random.key(seed)), None, vocabulary, 32, ()
        )
        inference.save_tagger(model.folder, tagger, "float32")
        told[model.name] = inference.load_tagger(model.folder)
    source = run.build(training.make_mesh(run.settings.mesh)).source
    languages = [code for code, rows in run._train().items() for _ in rows]
    names, seen = sorted(told), set()
    for step in range(source.plan.steps(0)):
        batch = source(step)
        for row in np.flatnonzero(batch.example >= 0):
            example, count = int(batch.example[row]), int(batch.lengths[row])
            code, asked = languages[example], words[example]
            name = f"de-{data.fold_of(asked, 2)}" if (code, folds) == ("de", 2) else code
            if code == "en":
                assert (batch.teachers[row] == -1).all()
                continue
            assert names[batch.teachers[row, 0]] == name and (batch.teachers[row, 1:] == -1).all()
            [expected], _ = told[name].emissions([asked])
            given = batch.teacher_emissions[row, 0, :count]
            np.testing.assert_allclose(given, expected[:count], rtol=1e-5, atol=1e-6)
            seen.add(name)
    assert seen == set(told)
