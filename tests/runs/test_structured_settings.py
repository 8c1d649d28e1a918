"""What a config of a student says of its teachers and of the students beside it."""

import dataclasses
import importlib.util
import json

import pytest

from mmkd_jax import config, data
from mmkd_jax.runs import RUNS, StructuredRunSettings, TeacherSettings
from mmkd_jax.runs._teachers import models_of
from tests.programs.runs import ROOT


def of_file(name, arg=""):
    spec = importlib.util.spec_from_file_location(name, ROOT / "configs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(arg)


def small(**changes):
    """The fields of the smallest config."""
    fields = of_file("structured", "runlocal").to_dict()
    return fields | changes


@pytest.mark.parametrize(
    ("name", "arg"),
    [
        ("structured_quickstart", ""),
        *(("structured", arg) for arg in ("", "softmax", "sweep", "runlocal", "labelled=.3,raw")),
        *(("structured_paper", arg) for arg in ("conll", "wikiann", "semeval", "ud")),
        *(("structured_paper", arg) for arg in ("conll,finetuned", "ud,runlocal")),
    ],
)
def test_configs_can_be_read_and_written(name, arg):
    settings = config.read(of_file(name, arg))
    assert config.read(json.loads(json.dumps(config.to_dict(settings)))) == settings
    assert settings.distillation.weights
    for variant in settings.compare:
        settings.variant(variant)


CONLL = {  # in the columns of each language, with a word that is not ASCII
    "deu": "-DOCSTART- -X- -X- -X- O\n\nGenf Genf NE I-NC I-LOC\nMüller ? NE I-NC I-PER\n\n",
    "eng": "-DOCSTART- -X- O O\n\nGeneva NNP I-NP I-LOC\nMiller NNP I-NP I-PER\n\n",
    "esp": "Ginebra B-LOC\nMuñoz B-PER\n\n",
    "ned": "-DOCSTART- -DOCSTART- O\nGenève N B-LOC\nDaniël N B-PER\n\n",
}
REVIEW = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Reviews><Review rid="{0}"><sentences><sentence id="{0}:0"><text>Lekker bé {0}</text><Opinions>
<Opinion target="BÉ" category="FOOD#QUALITY" polarity="positive" from="7" to="9"/>
<Opinion target="NULL" category="SERVICE#GENERAL" polarity="positive" from="0" to="0"/>
</Opinions></sentence><sentence id="{0}:1" OutOfScope="TRUE"><text>Goed {0}.</text></sentence>
</sentences></Review></Reviews>"""


def test_the_paper_s_corpora_are_read_as_they_are_distributed(tmp_path):
    def opened(corpora, part):
        sources = data.open_tagged(getattr(corpora, part), tmp_path)
        return {source.language: list(source.sentences()) for source in sources}

    for part, arg in (("train", ""), ("dev", ""), ("test", ""), ("test", ",utf8")):
        corpora = config.read(of_file("structured_paper", f"conll{arg}")).corpora
        for spec in getattr(corpora, part).values():
            path = tmp_path / spec["path"]
            path.parent.mkdir(exist_ok=True)
            path.write_text(CONLL[path.stem], encoding="utf-8" if arg else "latin-1")
        found = opened(corpora, part)
        assert list(found) == ["de", "en", "es", "nl"]
        assert [each.tags for [each] in found.values()] == [("B-LOC", "B-PER")] * 4
        assert found["nl"][0].words == ("Genève", "Daniël")
    corpora = config.read(of_file("structured_paper", "semeval")).corpora
    for part in ("train", "test"):
        for code, spec in getattr(corpora, part).items():
            path = tmp_path / spec["path"]
            path.parent.mkdir(exist_ok=True)
            path.write_text(REVIEW.format(code), encoding="utf-8")
    train, dev, test = (opened(corpora, part) for part in ("train", "dev", "test"))
    assert list(test) == ["en", "es", "nl", "ru", "tr"]
    for code, sentences in test.items():
        assert [each.tags for each in sentences] == [("O", "B-ASPECT", "O"), ("O", "O", "O")]
        assert len(train[code]) + len(dev[code]) == 2
        assert not {each.words for each in train[code]} & {each.words for each in dev[code]}


def test_the_issue_s_spelling_works():
    fields = of_file("structured", "runlocal")
    fields.objective = "0.5*posterior + 0.5*weighted_top_k"
    assert config.read(fields).distillation.weights == {"posterior": 0.5, "weighted_top_k": 0.5}
    fields.structured.objective = "kl"
    with pytest.raises(config.ConfigError, match="write objective = 'kl'"):
        config.read(fields)


def test_what_teachers_are_can_be_changed_by_flags_and_what_has_labels():
    for name in ("structured", "structured_paper", "structured_quickstart"):
        fields = of_file(name)
        [first, *_] = fields.teachers
        fields.teachers[first].folder, fields.teachers[first].weight = "elsewhere", 2.0
        changed = config.read(fields).teachers[first]
        assert (changed.folder, changed.weight) == ("elsewhere", 2.0)
        with pytest.raises(AttributeError):
            fields.teachers[first].folders = "elsewhere"
    fields = of_file("structured")
    fields.corpora.train.ud_vi.labels = False
    assert config.read(fields).corpora.train["ud_vi"]["labels"] is False


def test_a_student_may_have_fewer_labels_than_its_teachers():
    def read(specs):
        return {source.name: list(source.sentences()) for source in data.open_tagged(specs)}

    settings = config.read(of_file("structured", "runlocal,labelled=0.25"))
    found = read(settings.corpora.train)
    labelled, raw = found["ud_de"], found["ud_de_raw"]
    assert 15 < len(labelled) < 45 and all(sentence.tags for sentence in labelled)
    assert not any(sentence.tags for sentence in raw)
    teacher = settings.of_teacher("de", settings.teachers["de"], ())
    [learned] = read(teacher.corpora.train).values()
    assert all(sentence.tags for sentence in learned)
    assert sorted(s.words for s in labelled + raw) == sorted(s.words for s in learned)
    assert set(settings.compare) == {"baseline", "hard"}
    for wrong in ("labelled", "labelled=2", "labels=.2"):
        with pytest.raises(ValueError, match="labelled"):
            of_file("structured", wrong)


def test_annealing_takes_the_whole_run_unless_it_says_otherwise():
    settings = config.read(small(total_steps=70))
    assert settings.distillation.annealing.steps == 70
    fields = small()
    fields["structured"]["annealing"]["steps"] = 30
    assert config.read(fields).distillation.annealing.steps == 30


def test_students_to_compare_with_differ_in_what_is_said():
    rows = {
        "baseline": {"objective": "nll"},
        "hot": {"structured": {"temperature": 4, "annealing": {"floor": 0.5}}},
    }
    settings = config.read(small(compare=rows, seeds=3))
    baseline, hot = (settings.variant(name) for name in rows)
    assert baseline.objective == "nll" and not baseline.distillation.weights
    assert hot.structured.temperature == 4.0 and hot.structured.annealing.floor == 0.5
    for variant in (baseline, hot):
        assert variant.seeds == 1 and not variant.compare
        same = dataclasses.replace(
            variant,
            objective=settings.objective,
            structured=settings.structured,
            compare=settings.compare,
            seeds=3,
        )
        assert same == settings


def test_a_teacher_is_made_by_the_recipe_from_what_it_teaches():
    settings = config.read(small(seed=7))
    teacher = settings.of_teacher("de", settings.teachers["de"], ("NOUN", "VERB"))
    assert teacher.tags == ("NOUN", "VERB")
    assert teacher.tagger == settings.recipe.tagger != settings.tagger
    assert [spec["language"] for spec in teacher.corpora.train.values()] == ["de"]
    assert [spec["language"] for spec in teacher.corpora.test.values()] == ["de"]
    assert teacher.structured.objective == "nll"
    everyone = settings.of_teacher("all", TeacherSettings(), ())
    assert [spec["language"] for spec in everyone.corpora.train.values()] == ["de", "tr"]


def test_two_teachers_of_one_language_are_two():
    fields = small(seed=7)
    fields["teachers"]["again"] = {"languages": ["de"]}
    fields["teachers"]["large"] = {
        "languages": ["de"],
        "recipe": {
            "total_steps": 33,
            "tagger": {"encoder": {"source": "bert-base-cased"}, "recurrent": {"width": 5}},
        },
    }
    settings = config.read(fields)
    assert config.read(json.loads(json.dumps(config.to_dict(settings)))) == settings
    names = ("de", "again", "large")
    made = {name: settings.of_teacher(name, settings.teachers[name], ()) for name in names}
    assert len({each.seed for each in made.values()}) == 3
    assert dataclasses.replace(made["again"], seed=made["de"].seed) == made["de"]
    other = dataclasses.replace(settings, seed=8).of_teacher("de", settings.teachers["de"], ())
    assert other.seed not in {each.seed for each in made.values()}
    large = made["large"]
    assert large.total_steps == 33 and large.batch_size == settings.recipe.batch_size
    assert large.tagger.encoder.source == "bert-base-cased" and large.tagger.recurrent.width == 5
    assert large.tagger.recurrent.dropout == settings.recipe.tagger.recurrent.dropout


def test_what_a_recipe_does_not_say_is_as_for_the_student():
    fields = small(skipped_in_a_row=3, keep_checkpoints=2, seed=7)
    fields["accumulation"]["pieces"], fields["structured"]["per"] = 2, "token"
    settings = config.read(fields)
    teacher = settings.of_teacher("de", settings.teachers["de"], ())
    own = {field.name for field in dataclasses.fields(settings.recipe)}
    own |= {"seed", "seeds", "method", "may_change", "corpora", "structured", "tags", "model"}
    for field in dataclasses.fields(teacher):
        if field.name not in own:
            assert getattr(teacher, field.name) == getattr(settings, field.name), field.name
    assert teacher.structured.per == "token" and teacher.structured.objective == "nll"


def test_a_fold_leaves_out_what_it_will_teach():
    settings = config.read(small())
    folds = dataclasses.replace(settings.teachers["tr"], folds=4)
    corpora = settings.of_teacher("tr-3", folds, (), fold=3).corpora
    assert [spec["without_fold"] for spec in corpora.train.values()] == [(3, 4)]
    assert not any("without_fold" in spec for spec in corpora.test.values())


def test_nobody_is_taught_by_a_teacher_that_has_learned_from_it(tmp_path):
    settings = config.read(small())
    teachers = dict(settings.teachers) | {"tr": TeacherSettings(languages=("tr",), folds=3)}
    settings = dataclasses.replace(settings, teachers=teachers)
    found = [model for model in models_of(settings, tmp_path) if model.settings.folds > 1]
    assert [model.name for model in found] == ["tr-0", "tr-1", "tr-2"]
    sources = data.open_tagged(settings.corpora.train)
    everything = [sentence for source in sources for sentence in source.sentences()]
    heard = []
    for model in found:
        corpora = settings.of_teacher(model.name, model.settings, (), model.fold).corpora
        learned = {
            s.words for source in data.open_tagged(corpora.train) for s in source.sentences()
        }
        taught = [sentence for sentence in everything if model.teaches(sentence)]
        assert learned and not any(sentence.words in learned for sentence in taught)
        heard += taught
    assert sorted(heard) == sorted(each for each in everything if each.language == "tr")


def test_a_recipe_may_name_other_corpora_and_raw_text_is_not_learned_from():
    fields = small()
    fields["corpora"]["train"]["more"] = {
        "reader": "sample",
        "language": "de",
        "labels": False,
    }
    fields["corpora"]["train"]["text"] = {"reader": "text", "language": "de", "path": "de.txt"}
    settings = config.read(fields)
    assert list(settings.of_teacher("de", settings.teachers["de"], ()).corpora.train) == ["ud_de"]
    fields["recipe"]["train"] = {"all": {"reader": "sample", "language": "de"}}
    settings = config.read(fields)
    assert list(settings.of_teacher("de", settings.teachers["de"], ()).corpora.train) == ["all"]
    with pytest.raises(ValueError, match=r"no labelled corpus of \['tr'\]"):
        settings.of_teacher("tr", settings.teachers["tr"], ())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teachers": {}}, "needs teachers, and there are none"),
        ({"objective": "posterio"}, "objective must be nll"),
        ({"shards": 0}, "shards must be at least 1"),
        ({"objective": "token"}, '"token" is for softmax students'),
        ({"compare": {"x": {"objective": "token"}}}, '"token" is for softmax students'),
        ({"teachers": {"de": {"partial": True}}}, "kl cannot learn from partial teachers"),
        (
            {"corpora": {"train": {"x": {}}, "test": {"x": {"reader": "text"}}}},
            r"config\.corpora: test\.x is raw text",
        ),
        ({"corpora": {"train": {"x": "de.conllu"}}}, r"corpora\.train\.x must be a group"),
        ({"compare": {"x": "nll"}}, r"config\.compare\.x must be a group of fields"),
        ({"teachers": {"de": {"renamed": {"a": 1}}}}, r"de\.renamed\.a must be str, got 1"),
        ({"compare": {"a/b": {}}}, "names become those of folders"),
        ({"compare": {"student": {}}}, "must not name a row student"),
        ({"compare": {"x": {"objectiv": "kl"}}}, r"compare\.x\.objectiv is unknown"),
        (
            {"compare": {"x": {"structured": {"paths": "ten"}}}},
            r"compare\.x\.structured\.paths must",
        ),
        ({"teachers": {"de": {"foldr": "x"}}}, r"config\.teachers\.de\.foldr is unknown; did you"),
        ({"teachers": {"de": {"folder": "x", "recipe": {"seed": 1}}}}, "recipe is for a teacher"),
        (
            {"teachers": {"de": {"recipe": {"total_step": 1}}}},
            r"teachers\.de\.recipe\.total_step is unknown; did you mean total_steps",
        ),
        ({"teachers": {"de": {"folds": 2, "folder": "x"}}}, "folds must be 1"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(config.ConfigError, match=message):
        config.read(small(**changes))


def test_shapes_are_known_from_the_settings_alone():
    from mmkd_jax import training

    fields = small(tags=["NOUN", "VERB", "DET"])
    fields["teachers"]["both"] = {"weight": 2.0}
    settings = config.read(fields)
    mesh = training.make_mesh(settings.mesh)
    shapes = RUNS["structured"].abstract(settings, mesh)
    rows, words = shapes.batch.tags.shape
    assert shapes.batch.teachers.shape == (rows, 2)
    assert shapes.batch.teacher_emissions.shape == (rows, 2, words, 3)
    assert shapes.frozen["teachers"]["transitions"].shape == (3, 3, 3)
    assert isinstance(settings, StructuredRunSettings)
