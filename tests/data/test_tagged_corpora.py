"""Tagged corpora that a configuration describes."""

import json
import pickle

import pytest

from mmkd_jax.data import Row, TaggedSentence, _tagged_corpora, fold_of, open_tagged, sample
from tests.shared_data import FOLDER, needs_shared_data

WORDS, TAGS = ("Eva", "sees", "New", "York"), ("B-PER", "O", "B-LOC", "I-LOC")
IOB1 = ("I-PER", "O", "I-LOC", "I-LOC")


def lines(*columns):
    return "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True)) + "\n"


NUMBERS = ("1", "2", "3", "4")
FILES = {
    "conll.txt": lines(WORDS, "NNNN", IOB1),
    "wikiann.txt": lines([f"en:{word}" for word in WORDS], TAGS),
    "uner.iob2": "# sent_id = 1\n" + lines(NUMBERS, WORDS, TAGS),
    "ud.conllu": lines(NUMBERS, WORDS, "____", ("PROPN", "VERB", "PROPN", "PROPN"), *["____"] * 6),
    "rows.jsonl": json.dumps({"tokens": WORDS, "tags": TAGS}),
    "raw.txt": "Eva sees\n\n  New York\n",
    "aspects.xml": "<sentences><sentence><text>Eva sees</text><aspectTerms>"
    '<aspectTerm term="Eva" polarity="positive" from="0" to="3"/></aspectTerms>'
    "</sentence></sentences>",
}
SPANS = [TaggedSentence(WORDS, TAGS, "en")]
FOUND = {
    "conll": ("conll.txt", SPANS),
    "wikiann": ("wikiann.txt", SPANS),
    "uner": ("uner.iob2", [SPANS[0]._replace(id="1")]),
    "conllu": ("ud.conllu", [SPANS[0]._replace(tags=("PROPN", "VERB", "PROPN", "PROPN"))]),
    "jsonl": ("rows.jsonl", SPANS),
    "text": (
        "raw.txt",
        [TaggedSentence(("Eva", "sees"), (), "en"), TaggedSentence(("New", "York"), (), "en")],
    ),
    "aspects": ("aspects.xml", [TaggedSentence(("Eva", "sees"), ("B-ASPECT", "O"), "en")]),
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def spec(reader, **more):
    return {"reader": reader, "language": "en", "path": FOUND[reader][0]} | more


@pytest.mark.parametrize("reader", FOUND)
def test_every_reader_of_files(root, reader):
    [source] = open_tagged({"it": spec(reader)}, root)
    assert (source.name, source.language) == ("it", "en")
    for read in (source.sentences, source.sentences, pickle.loads(pickle.dumps(source)).sentences):
        assert list(read()) == FOUND[reader][1]
    [raw] = open_tagged({"it": spec(reader, labels=False)}, root)
    assert [each.words for each in raw.sentences()] == [each.words for each in FOUND[reader][1]]
    assert all(each.tags == () for each in raw.sentences())
    assert raw.origin != source.origin


def test_other_columns(root):
    [source] = open_tagged({"it": spec("conll", tag=1, scheme=None)}, root)
    assert next(source.sentences()).tags == ("N", "N", "N", "N")


def test_other_encodings(root):
    (root / "raw.txt").write_bytes("Café in België\n".encode("latin-1"))
    [source] = open_tagged({"it": spec("text", encoding="latin-1")}, root)
    assert [each.words for each in source.sentences()] == [("Café", "in", "België")]


def test_raw_text_may_be_split_as_aspect_terms_are(root):
    (root / "raw.txt").write_text("The owner's wine-list\n")
    found = {}
    for split in ("text", "aspects"):
        [source] = open_tagged({"it": spec("text", split=split)}, root)
        [found[split]] = [each.words for each in source.sentences()]
    assert found["text"] == ("The", "owner's", "wine-list")
    assert found["aspects"] == ("The", "owner", "'", "s", "wine", "-", "list")


def test_rows_of_tfds_and_hugging_face(monkeypatch):
    asked = []

    def rows(*arguments, **options):
        asked.append((arguments, options))
        yield Row("somewhere", 1, {"tokens": list(WORDS), "ner": list(TAGS)})

    for function in ("tfds_rows", "hugging_face_rows"):
        monkeypatch.setattr(_tagged_corpora, function, rows)
    common = {"language": "en", "split": "test", "tags": "ner"}
    specs = {
        "1": common | {"reader": "tfds", "name": "wikiann/en"},
        "2": common | {"reader": "hugging_face", "path": "wikiann", "name": "en"},
    }
    assert [list(source.sentences()) for source in open_tagged(specs)] == [SPANS, SPANS]
    assert asked == [
        (("wikiann/en", "test"), {"data_dir": None}),
        (("wikiann", "en"), {"split": "test"}),
    ]


def test_parts_and_limits_go_by_the_words():
    def words(**more):
        described = {"reader": "sample", "language": "tr"} | more
        [source] = open_tagged({"it": described})
        return [tuple(each.words) for each in source.sentences()]

    every = [tuple(words) for words, _ in sample.tagged("tr", "train")]
    assert words() == every and words(limit=7) == every[:7]
    train, rest = (words(part=part, held_out=0.75) for part in ("train", "held_out"))
    assert sorted(train + rest) == sorted(every) and 15 <= len(train) <= 45
    # With other tags, and without any, the same sentences.
    assert words(part="train", held_out=0.75, task="pos") == train
    assert words(part="train", held_out=0.75, labels=False) == train


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"language": "de"}, "source 'it' lacks reader"),
        (spec("conll") | {"reader": "conl"}, r"'conl' \(did you mean 'conll'\?\); there are conll"),
        (spec("conll", spaces=True), "source 'it': spaces=True needs columns"),
        (spec("conll", encoding="utf-16"), "source 'it': encoding must be one that .* 'utf-16'"),
        (spec("text", encoding="klingon"), "source 'it': encoding must be .* 'klingon'"),
        (spec("text", split="tweets"), "source 'it': split must be one of text, aspects, got"),
        (spec("conll", tags=1), r"argument that conll does not take, 'tags' \(did you mean 'tag'"),
        (spec("conll", labels="no"), "source 'it' must have labels true or false, got 'no'"),
        ({"reader": "sample", "language": "xx"}, "source 'it': language must be one of"),
        ({"reader": "sample", "language": "de", "task": "x"}, "task must be one of ner, pos"),
    ],
)
def test_what_cannot_be_meant_is_an_error(root, given, message):
    with pytest.raises(ValueError, match=message):
        open_tagged({"it": given}, root)


def test_missing_files_are_told_with_the_name(root):
    with pytest.raises(FileNotFoundError, match="source 'it' names what is not there: .*none.txt"):
        open_tagged({"it": spec("conll", path="none.txt")}, root)


@needs_shared_data
def test_shared_corpora():
    found = open_tagged(
        {
            "wo": {
                "reader": "conllu",
                "language": "wo",
                "path": "ud_pos/wo_wtb-ud-test.conllu",
            },
            "sv": {
                "reader": "uner",
                "language": "sv",
                "path": "uner/sv_talbanken-ud-test.iob2",
                "repair": True,
            },
        },
        FOLDER,
    )
    counts = {source.name: sum(1 for _ in source.sentences()) for source in found}
    assert counts == {"sv": 1219, "wo": 470}


def test_folds_leave_out_each_sentence_once():
    folds, spec = 4, {"reader": "sample", "language": "tr", "limit": 90}
    [everything] = open_tagged({"it": spec})
    whole = list(everything.sentences())
    left_out = []
    for fold in range(folds):
        [source] = open_tagged({"it": spec | {"without_fold": (fold, folds)}})
        kept = list(source.sentences())
        assert all(fold_of(each.words, folds) != fold for each in kept)
        left_out += [each for each in whole if each not in kept]
        assert source.origin != everything.origin
    assert sorted(left_out) == sorted(whole)
    assert len(whole) == 90
    with pytest.raises(ValueError, match=r"without_fold \[i, k\]"):
        open_tagged({"it": spec | {"without_fold": [4, 4]}})
