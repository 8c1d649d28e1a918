"""Sources that a configuration describes."""

import pickle

import pytest

from mmkd_jax.data import ReadError, Row, _corpora, open_sources, prepare_pairs, sample
from tests.data.corpora import student, teacher
from tests.shared_data import FOLDER, needs_shared_data

PAIRS = [("Yes.", "Ja."), ("No.", "Nein."), ("Why?", "Warum?")]
EN, DE = ("".join(f"{pair[side]}\n" for pair in PAIRS) for side in (0, 1))
TMX = "".join(
    f'<tu><tuv xml:lang="en"><seg>{en}</seg></tuv><tuv xml:lang="de"><seg>{de}</seg></tuv></tu>'
    for en, de in PAIRS
)
CATALOGUE = "".join(f'msgid "{en}"\nmsgstr "{de}"\n\n' for en, de in PAIRS)
FILES = {
    "c.en": EN,
    "c.de": DE,
    "c.tsv": "".join(f"{en}\t{de}\n" for en, de in PAIRS),
    "named.tsv": "x\tde\ten\n" + "".join(f"1\t{de}\t{en}\n" for en, de in PAIRS),
    "c.tmx": f'<tmx version="1.4"><body>{TMX}</body></tmx>',
    "app.po": CATALOGUE,
    "locale/de/LC_MESSAGES/app.po": CATALOGUE,
    "locale/fr/LC_MESSAGES/app.po": 'msgid "Yes."\nmsgstr "Oui."\n',
    "c.jsonl": "".join(f'{{"source": "{en}", "target": "{de}"}}\n' for en, de in PAIRS),
    "t/tatoeba.deu-eng.eng": EN,
    "t/tatoeba.deu-eng.deu": DE,
    "n/newstest2019-src.eng.txt": EN,
    "n/newstest2019-ref.deu.txt": DE,
}
SPECS = {
    "moses": {"source": "c.en", "target": "c.de"},
    "tsv": {"path": "c.tsv"},
    "tmx": {"path": "c.tmx"},
    "gettext": {"path": "app.po"},
    "jsonl": {"path": "c.jsonl"},
    "tatoeba": {"folder": "t", "code": "deu"},
    "ntrex": {"folder": "n", "code": "deu"},
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def spec(reader="tsv", language="de", **more):
    return {"reader": reader, "language": language} | SPECS.get(reader, {}) | more


def texts(source):
    return [tuple(pair[:2]) for pair in source.pairs()]


def test_every_reader_of_files(root):
    sources = open_sources({name: spec(name) for name in SPECS}, root)
    assert [source.name for source in sources] == sorted(SPECS)
    for source in sources:
        assert source.language == "de"
        assert texts(source) == PAIRS, source.name
        assert texts(source) == PAIRS  # and again
        assert texts(pickle.loads(pickle.dumps(source))) == PAIRS


@pytest.mark.parametrize(
    "more",
    [
        {"path": "named.tsv", "source": "en", "target": "de"},
        {"path": "named.tsv", "source": 2, "target": 1, "header": True},
        {"reader": "gettext", "path": "locale"},
        {"reader": "tmx", "path": "c.tmx", "language": "German", "target_language": "de"},
        {"reader": "ntrex", "folder": "n", "language": "deu"},
    ],
)
def test_readers_take_what_they_take(root, more):
    assert texts(*open_sources({"it": {"reader": "tsv", "language": "de"} | more}, root)) == PAIRS


def test_the_sample():
    (source,) = open_sources({"s": {"reader": "sample", "language": "hi", "split": "test"}})
    assert texts(source) == list(sample.pairs("hi", "test"))
    (source,) = open_sources({"s": {"reader": "sample", "language": "hi", "on_error": "skip"}})
    assert texts(source) == list(sample.pairs("hi", "train"))


def test_tfds_and_hugging_face(monkeypatch, tmp_path):
    asked = []

    def rows(*arguments, **options):
        asked.append((arguments, options))
        flat = {"en": "Yes.", "de": "Ja."}
        yield Row("somewhere", 1, flat | {"translation": flat})

    for function in ("tfds_rows", "hugging_face_rows"):
        monkeypatch.setattr(_corpora, function, rows)
    specs = {
        "1": {"reader": "tfds", "name": "opus", "split": "train", "data_dir": "d"},
        "2": {"reader": "hugging_face", "path": "opus100", "name": "de-en", "split": "test"},
        "3": {"reader": "hugging_face", "path": "x", "split": "y", "options": {"streaming": True}},
        "4": {"reader": "tfds", "name": "t", "split": "s", "source": "de", "target": "en"},
    }
    (tmp_path / "d").mkdir()
    specs = {name: each | {"language": "de"} for name, each in specs.items()}
    found = [texts(source) for source in open_sources(specs, tmp_path)]
    assert found == [[("Yes.", "Ja.")]] * 3 + [[("Ja.", "Yes.")]]
    assert asked == [
        (("opus", "train"), {"data_dir": tmp_path / "d"}),
        (("opus100", "de-en"), {"split": "test"}),
        (("x", None), {"split": "y", "streaming": True}),
        (("t", "s"), {"data_dir": None}),
    ]


def test_paths_begin_at_the_root_or_at_home(root, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    monkeypatch.setenv("HOME", str(root))
    for path, begin in (("c.tsv", root), ("c.tsv", "~"), ("~/c.tsv", "."), (root / "c.tsv", ".")):
        assert texts(*open_sources({"it": spec(path=path)}, begin)) == PAIRS


def test_a_limit_takes_the_first(root):
    for limit, count in ((1, 1), (2, 2), (9, 3), (None, 3)):
        assert texts(*open_sources({"it": spec(limit=limit)}, root)) == PAIRS[:count]


def test_order_is_that_of_names(root):
    names = ["b", "a", "C", "10", "9"]
    for some in (names, names[::-1]):
        found = open_sources({name: spec() for name in some}, root)
        assert [source.name for source in found] == ["10", "9", "C", "a", "b"]


def test_on_error(root):
    (root / "c.tsv").write_text("a\tb\nc\nd\te\n", encoding="utf-8")
    (strict,) = open_sources({"it": spec()}, root)
    with pytest.raises(ReadError, match="c.tsv:2: wrong number of columns"):
        texts(strict)
    (lenient,) = open_sources({"it": spec(on_error="skip")}, root)
    assert texts(lenient) == [("a", "b"), ("d", "e")]


def test_prepared_from_something_else_under_the_same_name(root, tmp_path_factory):
    def prepare(**more):
        sources = open_sources({"it": spec(**more)}, root)
        return prepare_pairs(folder, sources, teacher(), student(), shards=1)

    folder = tmp_path_factory.mktemp("prepared")
    assert prepare() == prepare()
    with pytest.raises(ValueError, match=r"origin of 'it' was .* and is now .*\"limit\": 2"):
        prepare(limit=2)
    (root / "c.tsv").write_text("Yes.\tJa.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"31 bytes' and is now .* 9 bytes'"):
        prepare()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"language": "de"}, "source 'it' lacks reader"),
        ({}, "source 'it' lacks reader and language"),
        ({"reader": "tsv", "language": ""}, "source 'it' lacks language"),
        (spec("tvs"), r"reader that there is not, 'tvs' \(did you mean 'tsv'\?\); there are moses"),
        (spec("parquet"), "reader that there is not, 'parquet'; there are moses, tsv, tmx"),
        (
            spec(pth="x"),
            r"argument that tsv does not take, 'pth' \(did you mean 'path'\?\); there are reader, "
            "language, on_error, limit, part, held_out, path, source, target, header",
        ),
        (spec("sample", path="x"), "argument that sample does not take, 'path'"),
        ({"reader": "moses", "language": "de"}, "lacks source and target, which moses needs"),
        (spec(limit=0), "source 'it' must have a limit of at least 1, got 0"),
        (spec(limit="all"), "limit of at least 1, got 'all'"),
        (spec(on_error="ignore"), "on_error raise or skip, got 'ignore'"),
        (spec("sample", language="xx"), "source 'it': language must be one of .*, got 'xx'"),
        (spec("sample", split="dev"), "source 'it': split must be one of train, test, got 'dev'"),
        (spec("gettext", language="tr", path="locale"), "source 'it': no catalogue tr/LC_MESS"),
    ],
)
def test_what_cannot_be_meant_is_an_error(root, given, message):
    with pytest.raises(ValueError, match=message):
        open_sources({"it": given, "fine": spec()}, root)


@pytest.mark.parametrize(
    ("given", "file"),
    [
        (spec(path="none.tsv"), "none.tsv"),
        (spec("moses", target="c.fr"), "c.fr"),
        (spec("tatoeba", code="fra"), "t/tatoeba.fra-eng.eng, .*t/tatoeba.fra-eng.fra"),
        (spec("ntrex", code="fra"), "n/newstest2019-ref.fra.txt"),
        (spec("gettext", path="none"), "none"),
        (spec("tfds", name="x", split="train", data_dir="none"), "none"),
    ],
)
def test_missing_files_are_told_with_the_name(root, given, file):
    with pytest.raises(FileNotFoundError, match=f"source 'it' names what is not there: .*{file}$"):
        open_sources({"it": given}, root)


@needs_shared_data
def test_shared_corpora():
    found = open_sources(
        {
            "tatoeba": spec(path="tatoeba_pairs/dev.en-de.tsv"),
            "docs": spec(
                path="pydocs/pydocs.en-es-fr-ja-ko-tr-zh.tsv.gz",
                language="tr",
                source="en",
                target="tr",
                limit=50,
            ),
            "news": spec("ntrex", folder="ntrex"),
        },
        FOLDER,
    )
    counts = {source.name: sum(1 for _ in source.pairs()) for source in found}
    assert counts == {"docs": 50, "news": 1997, "tatoeba": 1377}


def test_a_text_is_held_out_in_all_languages_or_in_none():
    def english(language, part):
        described = spec("sample", language=language, part=part, held_out=0.3)
        [source] = open_sources({"it": described})
        return {pair[0] for pair in source.pairs()}

    for part in ("train", "held_out"):
        assert english("de", part) == english("zh", part)
    assert not english("de", "train") & english("de", "held_out")
    assert len(english("de", "train") | english("de", "held_out")) == 120
    assert 20 <= len(english("de", "held_out")) <= 52
    with pytest.raises(ValueError, match="must have a part"):
        english("de", None)
