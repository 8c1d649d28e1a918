"""Rows of TFDS and Hugging Face, and what becomes of rows."""

import importlib
import sys

import pytest

from mmkd_jax.data import (
    Inference,
    Pair,
    Paraphrase,
    Question,
    ReadError,
    Report,
    Row,
    TaggedSentence,
    hugging_face_rows,
    inferences_of_rows,
    pairs_of_rows,
    paraphrases_of_rows,
    questions_of_rows,
    tagged_of_rows,
    tfds_rows,
)
from mmkd_jax.data._readers._tfds import BUILDER_MODULES

NLI = ["entailment", "neutral", "contradiction"]


def rows(*values: dict):
    return [Row("rows", number, each) for number, each in enumerate(values, 1)]


# What becomes of rows


def test_pairs():
    found = rows({"t": {"en": "a", "fr": "b"}}, {"t": {"en": "c"}}, {"s": 1})
    report = Report()
    pairs = pairs_of_rows(
        found, "t.en", "t.fr", target_language="fr", on_error="skip", report=report
    )
    assert list(pairs) == [Pair("a", "b", "", "fr")]
    assert report.left_out == {"blank side": 1, "no field": 1}
    with pytest.raises(ReadError, match="rows:3: no field: 't.en' among s"):
        list(pairs_of_rows(found, "t.en", "t.fr", report=report))


def test_tagged_sentences():
    good = {"tokens": ["a", "b"], "ner": ["O", "B-X"]}
    (sentence,) = tagged_of_rows(rows(good), tags="ner", language="de")
    assert sentence == TaggedSentence(("a", "b"), ("O", "B-X"), "de")
    report = Report()
    assert list(tagged_of_rows(rows({"tokens": [], "tags": []}), report=report)) == []
    assert report.left_out == {"no words": 1}
    for wrong, reason in [
        ({"tokens": ["a"], "tags": []}, "not one tag a word: 1 words, 0 tags"),
        ({"tokens": ["a"], "tags": [3]}, "words and tags must be text"),
        ({"tokens": "a", "tags": ["O"]}, "a field of another type: 'tokens' is str"),
        ({"tokens": ["a"]}, "no field: 'tags' among tokens"),
    ]:
        with pytest.raises(ReadError, match=f"rows:1: {reason}"):
            list(tagged_of_rows(rows(wrong)))


def test_inferences():
    one = {"premise": "a", "hypothesis": "b", "label": "neutral"}
    assert list(inferences_of_rows(rows(one), "en")) == [Inference("a", "b", "neutral", "en")]
    many = {"premise": {"de": "a"}, "hypothesis": {"de": "b"}, "label": "neutral"}
    assert list(inferences_of_rows(rows(many), "de")) == [Inference("a", "b", "neutral", "de")]
    report = Report()
    assert list(inferences_of_rows(rows({**one, "label": None}), report=report)) == []
    assert report.left_out == {"no gold label": 1}
    with pytest.raises(ReadError, match="rows:1: no field: 'premise.fr'"):
        list(inferences_of_rows(rows(many), "fr"))
    with pytest.raises(ReadError, match="rows:1: a label that is none: 'maybe'"):
        list(inferences_of_rows(rows({**one, "label": "maybe"})))


def test_paraphrases():
    good = {"sentence1": "a", "sentence2": "b", "label": "1"}
    assert list(paraphrases_of_rows(rows(good), "de")) == [Paraphrase("a", "b", 1, "de")]
    named = [good | {"label": name} for name in ("different_meaning", "paraphrase")]
    assert [found.label for found in paraphrases_of_rows(rows(*named))] == [0, 1]
    with pytest.raises(ReadError, match="rows:1: label is neither 0 nor 1: 2"):
        list(paraphrases_of_rows(rows({**good, "label": 2})))


def test_questions():
    answers = {"text": ["b"], "answer_start": [2]}
    good = {"id": "7", "title": "T", "context": "a b", "question": "q", "answers": answers}
    assert list(questions_of_rows(rows(good), "en")) == [
        Question("q", "a b", ("b",), (2,), "en", "7", "T")
    ]
    for wrong, reason in [
        ({"text": ["b"], "answer_start": [1]}, "the answer is not where it says: 'b', found ' '"),
        ({"text": ["b"], "answer_start": []}, "not one start an answer: 1 and 0"),
    ]:
        with pytest.raises(ReadError, match=reason):
            list(questions_of_rows(rows({**good, "answers": wrong})))


# TFDS


@pytest.fixture
def tfds():
    return pytest.importorskip("tensorflow_datasets")


@pytest.fixture
def prepare(tfds, tmp_path, capsys):
    """Writes a data set of the features and examples, as array_record files."""

    def prepare(name: str, features: dict, examples: list[dict]) -> str:
        def info(self):
            return tfds.core.DatasetInfo(
                builder=self, features=tfds.features.FeaturesDict(features), disable_shuffling=True
            )

        def generate(self):
            yield from enumerate(examples)

        builder = type(
            name,
            (tfds.core.GeneratorBasedBuilder,),
            {
                "VERSION": tfds.core.Version("1.0.0"),
                "__doc__": "Written by a test.",
                "_info": info,
                "_split_generators": lambda self, manager: {"test": self._generate_examples()},
                "_generate_examples": generate,
            },
        )
        made = builder(data_dir=str(tmp_path), file_format="array_record")
        made.download_and_prepare()
        return str(tmp_path)

    return prepare


def test_tfds_inferences(tfds, prepare):
    features = tfds.features
    folder = prepare(
        "TinyNli",
        {
            "premise": features.Translation(languages=["de", "en"]),
            "hypothesis": features.TranslationVariableLanguages(languages=["de", "en"]),
            "label": features.ClassLabel(names=NLI),
        },
        [
            {
                "premise": {"de": "Ä", "en": "A"},
                "hypothesis": {"de": "B", "en": ["C", "D"]},
                "label": "contradiction",
            },
            {"premise": {"de": "E", "en": "F"}, "hypothesis": {"de": "G"}, "label": -1},
        ],
    )
    found = list(tfds_rows("tiny_nli", "test", data_dir=folder))
    assert found[0] == Row(
        "tfds:tiny_nli/test",
        1,
        {
            "premise": {"de": "Ä", "en": "A"},
            "hypothesis": {"de": "B", "en": ["C", "D"]},
            "label": "contradiction",
        },
    )
    report = Report()
    inferences = list(inferences_of_rows(found, "de", report=report))
    assert inferences == [Inference("Ä", "B", "contradiction", "de")]
    assert report.left_out == {"no gold label": 1}
    assert len(list(tfds_rows("tiny_nli", "test[1:]", data_dir=folder))) == 1
    assert "tensorflow" not in sys.modules


def test_tfds_tags_and_answers(tfds, prepare):
    features, numpy = tfds.features, importlib.import_module("numpy")
    folder = prepare(
        "TinyTexts",
        {
            "id": features.Text(),
            "tokens": features.Sequence(features.Text()),
            "tags": features.Sequence(features.ClassLabel(names=["O", "B-X"])),
            "context": features.Text(),
            "question": features.Text(),
            "count": numpy.int32,
            "answers": features.Sequence({"text": features.Text(), "answer_start": numpy.int32}),
        },
        [
            {
                "id": "1",
                "tokens": ["ü", "b"],
                "tags": ["O", "B-X"],
                "context": "ü b",
                "question": "q",
                "count": 3,
                "answers": [{"text": "b", "answer_start": 2}],
            }
        ],
    )
    (row,) = tfds_rows("tiny_texts", "test", data_dir=folder)
    assert (row.values["count"], type(row.values["count"])) == (3, int)
    assert list(tagged_of_rows([row])) == [TaggedSentence(("ü", "b"), ("O", "B-X"))]
    assert list(questions_of_rows([row])) == [Question("q", "ü b", ("b",), (2,), "", "1")]


@pytest.mark.parametrize(
    "name, split", [("xnli", "train"), ("wikiann/xx", "test"), ("no_such_set", "test")]
)
def test_data_sets_that_are_not_prepared_say_how_to(tfds, tmp_path, name, split):
    with pytest.raises(
        ValueError, match=f"tfds:{name}/{split} is not there: .*array_record {name}$"
    ):
        next(tfds_rows(name, split, data_dir=tmp_path))


@pytest.mark.parametrize("name", BUILDER_MODULES)
def test_builders_register_once_their_module_is_imported(tfds, name):
    importlib.import_module(f"tensorflow_datasets.{BUILDER_MODULES[name]}")
    assert tfds.builder_cls(name).name == name


# Hugging Face


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        ImportError, match=r"needs the package datasets: pip install 'mmkd_jax\[data]"
    ):
        next(hugging_face_rows("any", split="train"))


# The library pickles what it cannot find again, and says so.
@pytest.mark.filterwarnings("ignore:Cannot (locate|pickle)")
def test_rows_of_hugging_face(tmp_path):
    datasets = pytest.importorskip("datasets", reason="an extra: mmkd_jax[data]")
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "tags": datasets.Sequence(datasets.ClassLabel(names=["O", "B-X"])),
            "label": datasets.ClassLabel(names=NLI),
            "translation": datasets.Translation(languages=["en", "fr"]),
        }
    )
    table = {
        "tokens": [["a", "b"], []],
        "tags": [[0, 1], []],
        "label": [2, -1],
        "translation": [{"en": "A", "fr": "B"}, {"en": "C", "fr": "D"}],
    }
    path = tmp_path / "data" / "train.parquet"
    path.parent.mkdir()
    datasets.Dataset.from_dict(table, features=features).to_parquet(str(path))
    for streaming in (False, True):
        options = {"cache_dir": str(tmp_path / "cache"), "streaming": streaming}
        found = list(hugging_face_rows(str(path.parent), split="train", **options))
        assert [row.values["label"] for row in found] == ["contradiction", None]
        assert list(tagged_of_rows(found, report=Report())) == [
            TaggedSentence(("a", "b"), ("O", "B-X"))
        ]
        assert list(pairs_of_rows(found, "translation.en", "translation.fr")) == [
            Pair("A", "B"),
            Pair("C", "D"),
        ]
