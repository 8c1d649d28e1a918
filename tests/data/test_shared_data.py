"""Every shared set read as a whole, and counted."""

import gzip
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from mmkd_jax import data
from mmkd_jax.tags import TagSet, may_follow
from tests.data.vocabularies import bert
from tests.shared_data import FOLDER, counts, needs_shared_data

pytestmark = needs_shared_data

SAMPLES = FOLDER / "layout_samples"


def sizes(sentences) -> dict[str, int]:
    sentences = list(sentences)
    assert all(len(each.words) == len(each.tags) for each in sentences)
    return {"sentences": len(sentences), "words": sum(len(each.words) for each in sentences)}


def test_tatoeba_pairs():
    for path, count in counts("tatoeba_pairs").items():
        report = data.Report()
        assert sum(1 for _ in data.read_tsv(path, report=report)) == count["lines"]
        assert (report.read, report.left_out_total) == (count["lines"], 0)


def test_pydocs():
    ((path, count),) = counts("pydocs").items()
    for language in ("es", "fr", "ja", "ko", "tr", "zh"):
        report = data.Report()
        pairs = list(data.read_tsv(path, "en", language, report=report))
        assert len(pairs) == report.read == count["lines"] - 1 - report.left_out["blank side"]
        assert report.left_out_total == report.left_out["blank side"]
        assert language not in ("es", "fr", "zh") or report.left_out_total == 0
        assert all(pair.target.strip() for pair in pairs)


def test_ntrex():
    for path, count in counts("ntrex").items():
        if match := re.fullmatch(r"newstest2019-ref\.(.+)\.txt", path.name):
            pairs = list(data.read_ntrex(path.parent, match[1]))
            assert len(pairs) == count["lines"]
            assert not any(side.endswith("\r") for pair in pairs for side in pair[:2])
            across = list(data.read_ntrex(path.parent, match[1], "deu"))
            assert [pair.target for pair in across] == [pair.target for pair in pairs]


def test_tatoeba_test():
    found = counts("tatoeba_test")
    languages = {path.name.split(".")[1][:3] for path in found}
    assert len(languages) == 8
    for language in languages:
        path = FOLDER / "tatoeba_test" / f"tatoeba.{language}-eng.{language}"
        assert len(list(data.read_tatoeba(path.parent, language))) == found[path]["lines"]


def check_legal_neighbours(sequences):
    """What `check_legal` checks, for a whole file at once."""
    pairs = {pair for tags in sequences for pair in pairwise((None, *tags, None))}
    assert all(may_follow(before, after, "BIO") for before, after in pairs)


def test_uner():
    for path, count in counts("uner").items():
        report = data.Report()
        tags = TagSet.of_types(["PER", "ORG", "LOC"])
        sentences = list(data.read_uner(path, tags=tags, repair=True, report=report))
        assert sizes(sentences) == count
        assert all(each.id for each in sentences)
        check_legal_neighbours(each.tags for each in sentences)
        assert report.left_out_total == 0
        # Seven sentences in two of the files begin a span with I.
        illegal = {"da_ddt-ud-test.iob2": 1, "da_ddt-ud-train.iob2": 6}
        assert report.changed.total() == illegal.get(path.name, 0)
        if report.changed:
            with pytest.raises(data.ReadError, match="illegal tag sequence in BIO"):
                list(data.read_uner(path))
            report = data.Report()
            assert len(list(data.read_uner(path, on_error="skip", report=report))) == report.read
            assert report.read + report.left_out_total == count["sentences"]


def test_ud_pos():
    for path, count in counts("ud_pos").items():
        if "2col" in path.name:
            found = data.read_conll(
                path, columns=2, spaces=True, scheme=None, to=None, tags=data.UPOS
            )
        else:
            found = data.read_conllu(path)
        assert sizes(found) == count, path.name


def test_words_with_spaces():
    sentences = data.read_conllu(FOLDER / "ud_pos" / "vi_vtb-ud-dev.conllu")
    assert sum(" " in word for each in sentences for word in each.words) == 5497


def test_absa_mams():
    overlapping = "a term left out because it overlaps a longer one"
    for path, count in counts("absa_mams").items():
        report = data.Report()
        sentences = list(data.read_aspects(path, report=report))
        check_legal_neighbours(each.tags for each in sentences)
        terms = sum(tag[0] == "B" for each in sentences for tag in each.tags)
        assert len(sentences) == count["sentences"]
        assert terms + report.changed[overlapping] == count["terms"]
        assert report.changed.total() <= 18
    path = FOLDER / "absa_mams" / "val.xml"
    sentences = data.read_aspects(path, polarity=True, report=data.Report())
    polarities = {tag[2:] for each in sentences for tag in each.tags}
    assert polarities == {"", "positive", "negative", "neutral"}


def test_xquad():
    ids = set()
    for path, count in counts("xquad").items():
        questions = list(data.read_squad(path))
        assert len({each.context for each in questions}) == count["paragraphs"]
        assert len(questions) == count["questions"]
        assert all(each.answers for each in questions)
        ids.add(tuple(each.id for each in questions))
    assert len(ids) == 1  # the same questions in the same order in all languages


def test_pawsx():
    ((path, count),) = counts("pawsx").items()
    report = data.Report()
    pairs = list(data.read_pawsx(path, "de", report=report))
    assert report.left_out == {"a sentence that was not translated, NS": 68}
    assert len(pairs) + 68 == count["lines"] - 1
    assert len(list(data.read_pawsx(path, "de", placeholders=True))) == count["lines"] - 1
    assert any(pair.first.count('"') % 2 for pair in pairs)


def test_bert_vocab():
    for path, count in counts("bert_vocab").items():
        name = path.name.removeprefix("bert-base-").removesuffix(".vocab.txt")
        assert bert(name).vocabulary_size == count["lines"]


def test_nothing_that_is_counted_is_left_unread():
    names = (FOLDER / "COUNTS.tsv").read_text(encoding="utf-8").split("\n")
    folders = {name.partition("/")[0] for name in names if name}
    streams = {"europeana_ner"}  # below, under names of what is wrong with them
    assert folders - streams == {
        name.removeprefix("test_") for name in globals() if name.removeprefix("test_") in folders
    }


# europeana_ner: streams of words, broken in many ways


def test_a_broken_stream_is_read_sentence_by_sentence():
    path = FOLDER / "europeana_ner" / "enp_DE.sbb.bio"
    options = {"comments": True, "ends": ".!?", "tags": TagSet.of_types(["PER", "LOC", "ORG"])}
    with pytest.raises(data.ReadError, match=r"enp_DE.sbb.bio:129: wrong number of columns: 1 in"):
        list(data.read_conll(path, **options))
    report = data.Report()
    sentences = list(data.read_conll(path, **options, on_error="skip", report=report))
    assert len(sentences) == report.read > 3000
    assert sum(len(each.words) for each in sentences) > 44_000
    assert set(report.left_out) == {
        "wrong number of columns",
        "an illegal tag sequence in BIO",
        "a tag outside the set",
    }
    assert 100 < report.left_out_total < 200
    assert "enp_DE.sbb.bio:1509: wrong number of columns: 3 instead of 2" in str(report)
    # "# O" is a word, "# file: ..." a comment. There are four; two stand in sentences that are left
    # out because another word of theirs has a space.
    assert sum(each.words.count("#") for each in sentences) == 2
    assert not any("file:" in each.words for each in sentences)


def test_words_with_spaces_are_a_reading_of_it_too():
    path = FOLDER / "europeana_ner" / "enp_DE.sbb.bio"
    report = data.Report()
    options = {"columns": 2, "spaces": True, "comments": True, "ends": ".!?", "repair": True}
    words = [
        word
        for each in data.read_conll(path, **options, on_error="skip", report=report)
        for word in each.words
    ]
    assert "Deutsche Bank" in words
    assert report.changed


def test_a_stream_of_inside_tags_only():
    path = FOLDER / "europeana_ner" / "enp_FR.bnf.bio"
    count = counts("europeana_ner")[path]
    tags = [line.split()[1] for line in path.read_text(encoding="utf-8").splitlines()]
    sentences = list(data.read_conll(path, ends=".!?"))
    assert sum(len(each.words) for each in sentences) == count["lines"]
    assert len(sentences) > 12_000
    # IO is found out and written as BIO, and no span is torn.
    begun = sum(tag != "O" and tag != before for before, tag in pairwise(("O", *tags)))
    assert sum(tag[0] == "B" for each in sentences for tag in each.tags) == begun > 5000


# The original layouts


def files(folder: str, pattern: str) -> list[Path]:
    found = sorted(SAMPLES.joinpath(folder).rglob(pattern))
    assert found
    return found


def test_layout_of_xnli():
    for path in files("xnli/XNLI-1.0", "*.tsv"):
        records = list(data.read_xnli(path))
        assert len(records) == len({each.language for each in records}) == 15
        assert list(data.read_xnli(path, "sw")) == [r for r in records if r.language == "sw"]
    for path in files("xnli", "*.jsonl"):
        assert len(list(data.read_xnli(path))) == 5
    for path in files("xnli/XNLI-MT-1.0", "multinli.train.*.tsv"):
        records = list(data.read_xnli(path, path.suffixes[1][1:]))
        assert [each.label for each in records][1:] == 3 * ["entailment"]
    first, *_ = data.read_xnli(SAMPLES / "xnli/XNLI-MT-1.0/XNLI-MT-1.0/xnli/xnli.dev.en.tsv")
    assert (first.hypothesis[:20], first.label) == ("He called his mother", "neutral")


def test_layout_of_multinli():
    for path in files("multi_nli", "*.txt"):
        if path.name != "README.txt":
            records = list(data.read_multinli(path))
            twins = list(data.read_multinli(path.with_suffix(".jsonl")))
            assert records == twins[: len(records)]
            assert len(records) == 4


def test_layout_of_pawsx():
    for path in files("paws-x", "*.tsv"):
        records = list(data.read_pawsx(path, path.parent.name))
        assert len(records) == 4
        assert {each.label for each in records} <= {0, 1}


def test_layout_of_wikiann():
    for path in files("wikiann", "*"):
        if path.is_file():
            sentences = list(data.read_wikiann(path, repair=True))
            lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line]
            assert sizes(sentences)["words"] == len(lines)
            assert {each.language for each in sentences} == {path.parent.name}


def test_layout_of_conll2002():
    for path in files("conll2002", "*"):
        lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        words = sum(not line.startswith("-DOCSTART-") for line in lines)
        assert sizes(data.read_conll(path))["words"] == words


def test_layout_of_universal_dependencies():
    for path in files("universal_dependencies", "*.conllu"):
        lines = path.read_bytes().split(b"\r\n")
        words = sum(line[:1].isdigit() for line in lines)
        sentences = list(data.read_conllu(path))
        assert sizes(sentences) == {"sentences": int(words > 0), "words": words}


def test_layout_of_opus100():
    for path in files("opus100", "*.en"):
        other = next(each for each in path.parent.glob(f"{path.stem}.*") if each != path)
        pairs = list(data.read_moses(path, other))
        assert len(pairs) == 2


def test_gzipped_or_not(tmp_path):
    path = FOLDER / "tatoeba_pairs" / "dev.en-vi.tsv"
    packed = tmp_path / "packed"
    with open(path, "rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    assert list(data.read_tsv(packed)) == list(data.read_tsv(path))
