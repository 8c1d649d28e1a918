"""Tagged text: CoNLL columns and CoNLL-U."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import (
    ReadError,
    Report,
    TaggedSentence,
    read_conll,
    read_conllu,
    read_uner,
    read_wikiann,
)
from mmkd_jax.tags import TagSet, convert, tags_of_spans
from tests.data.corpora import tagged

CONLL2003 = "-DOCSTART- -X- O O\n\nEva NNP I-NP I-PER\nlives VBZ I-VP O\n\nRome NNP I-NP I-LOC\n"


# Columns


@pytest.mark.parametrize(
    "content",
    [
        CONLL2003,
        CONLL2003.replace("\n", "\r\n"),
        "\ufeff" + CONLL2003.removesuffix("\n"),
        CONLL2003.replace("\n\n", "\n\n \t\n\n\n") + "\n\n",
        CONLL2003.replace(" ", "\t"),
        CONLL2003.replace("Eva ", "  Eva   ").replace("O\n", "O  \n"),
        CONLL2003.replace("O O\n\n", "O O\n"),
    ],
)
def test_columns_and_their_troubles(file, content):
    assert tagged(read_conll(file(content))) == ["Eva/B-PER lives/O", "Rome/B-LOC"]


LATIN = {
    "ned": "-DOCSTART- -DOCSTART- O\nCafé N B-LOC\nDurant N I-LOC\n\nBelgië N B-LOC\n",
    "esp": "Café B-LOC\nDurant I-LOC\n\nBelgië B-LOC\n",
    "deu": "-DOCSTART- -X- -X- -X- O\n\nCafé Café NN I-NC I-LOC\nDurant ? NE I-NC I-LOC\n\n"
    "België Belgien NE I-NC I-LOC\n\n",
}


@pytest.mark.parametrize("name", LATIN)
def test_the_shared_tasks_files_are_in_latin_1(file, name):
    path = file(LATIN[name].encode("latin-1"))
    found = ["Café/B-LOC Durant/I-LOC", "België/B-LOC"]
    assert tagged(read_conll(path, encoding="latin-1")) == found
    with pytest.raises(ReadError, match="invalid UTF-8: byte 0xe9 at 4"):
        list(read_conll(path))
    with pytest.raises(ReadError, match="invalid ASCII"):
        list(read_conll(path, encoding="ascii"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "rot13", "latin1000", "cp500"])
def test_encodings_that_lines_cannot_be_told_in_are_refused(file, encoding):
    with pytest.raises(ValueError, match=f"such as utf-8 or latin-1, got '{encoding}'"):
        list(read_conll(file(CONLL2003), encoding=encoding))


def test_any_column(file):
    path = file(CONLL2003)
    (first, _) = read_conll(path, tag=1, scheme=None, to=None, language="en")
    assert first == TaggedSentence(("Eva", "lives"), ("NNP", "VBZ"), "en")
    assert tagged(read_conll(path, word=-1, tag=0, scheme=None))[1] == "I-LOC/Rome"


def test_tokens_of_other_space_characters_stay_whole(file):
    path = file("10\u00a0000 O\na\u2028b O\n\u3000x\tO")
    with pytest.raises(ReadError, match="file:3: wrong number of columns: 1 instead of 2"):
        list(read_conll(path))
    assert tagged(read_conll(file("10\u00a0000 O\na\u2028b O\n"))) == ["10\u00a0000/O a\u2028b/O"]


@pytest.mark.parametrize("scheme", ["IO", "IOB1", "BIO", "BIOES"])
def test_schemes_are_told_apart_and_converted(file, scheme):
    spans = [(0, 2, "X"), (2, 3, "X"), (4, 5, "Y")]
    written = tags_of_spans(spans, 6, scheme)
    path = file("".join(f"w {tag}\n" for tag in written))
    for to in ("IO", "IOB1", "BIO", "BIOES"):
        (sentence,) = read_conll(path, to=to)
        assert list(sentence.tags) == convert(written, to)
    (sentence,) = read_conll(path, to=None)
    assert list(sentence.tags) == written
    (sentence,) = read_conll(path, scheme=scheme)
    assert list(sentence.tags) == convert(written, "BIO")


def test_the_scheme_of_a_file_is_that_of_most_of_it(file):
    path = file("a B-X\nb I-X\n\n" * 5 + "c I-X\n\n" + "d B-X\n")
    with pytest.raises(ReadError, match="file:16: an illegal tag sequence in BIO: tag 0, 'I-X'"):
        list(read_conll(path))
    report = Report()
    sentences = list(read_conll(path, on_error="skip", report=report))
    assert (len(sentences), report.read) == (6, 6)
    assert report.left_out == {"an illegal tag sequence in BIO": 1}


def test_illegal_sequences_can_be_read(file):
    path = file("a O\nb I-X\nc I-X\n\nd B-X\n")
    report = Report()
    found = tagged(read_conll(path, scheme="IOB2", repair=True, report=report))
    assert found == ["a/O b/B-X c/I-X", "d/B-X"]
    assert (report.changed.total(), report.left_out_total) == (1, 0)
    assert "file:1: illegal tags read as the CoNLL evaluation script does: tag 1" in str(report)
    # What is no tag at all cannot be repaired.
    with pytest.raises(ReadError, match="file:2: an illegal tag sequence in BIO: tag 1: 'B.X' is"):
        list(read_conll(file("a O\nb B.X\n"), scheme="BIO", repair=True))


def test_tags_outside_the_set(file):
    path = file("a O\nb B-PEr\n\nc B-PER\n")
    tags = TagSet.of_types(["PER"])
    with pytest.raises(ReadError, match="file:2: a tag outside the set: 'B-PEr'"):
        list(read_conll(path, tags=tags))
    report = Report()
    assert tagged(read_conll(path, tags=tags, on_error="skip", report=report)) == ["c/B-PER"]
    assert report.left_out == {"a tag outside the set": 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"b", "wrong number of columns: 1 instead of 2"),
        (b"b c O", "wrong number of columns: 3 instead of 2"),
        (b"b\xff O", "invalid UTF-8"),
        (b"b O\x80", "invalid UTF-8"),
    ],
)
def test_a_bad_line_takes_its_sentence_with_it(file, line, reason):
    path = file(b"x O\n\na O\n" + line + b"\n" + line + b"\nc O\n\ny O\n")
    with pytest.raises(ReadError, match=f"file:4: {reason}"):
        list(read_conll(path))
    report = Report()
    assert tagged(read_conll(path, on_error="skip", report=report)) == ["x/O", "y/O"]
    assert report.left_out == {reason.partition(":")[0]: 1}


def test_empty_words_and_too_few_columns(file):
    with pytest.raises(ReadError, match="file:2: an empty word or tag"):
        list(read_conll(file("a\tO\n\tO\n")))
    with pytest.raises(ReadError, match="file:1: wrong number of columns: only 2"):
        list(read_conll(file("a\tO\n"), tag=2))


def test_words_with_spaces_split_at_the_last_one(file):
    options = {"columns": 2, "spaces": True, "scheme": None, "to": None}
    path = file("7 929 434 NUM\n% SYM\n\nl' DET\n")
    assert tagged(read_conll(path, **options)) == ["7 929 434/NUM %/SYM", "l'/DET"]
    with pytest.raises(ReadError, match="file:1: wrong number of columns: 1 instead of 2"):
        list(read_conll(file("word\n"), **options))
    with pytest.raises(ValueError, match="spaces=True needs columns"):
        next(read_conll(path, spaces=True))


def test_comments_are_told_from_words(file):
    path = file("# sent_id = 7\n# text = a b\nA O\n# O\n# new file: x\nB O\n\n# sent_id = 8\nC O")
    assert list(read_conll(path, comments=True)) == [
        TaggedSentence(("A", "#"), ("O", "O"), "", "7"),
        TaggedSentence(("B",), ("O",)),
        TaggedSentence(("C",), ("O",), "", "8"),
    ]
    with pytest.raises(ReadError, match="file:2: wrong number of columns: 5 instead of 4"):
        list(read_conll(path))
    spaces = read_conll(path, comments=True, columns=2, spaces=True)
    assert tagged(spaces) == ["A/O #/O", "B/O", "C/O"]


def test_streams_without_blank_lines(file):
    path = file("A O\n. O\nB B-X\n. I-X\nC O\n! O\n.! O\nD O\n")
    assert tagged(read_conll(path, ends=".!")) == ["A/O ./O", "B/B-X ./I-X C/O !/O", ".!/O D/O"]


def test_wikiann(file):
    content = "de:Berlin\tB-LOC\nde::\tO\n\nbe-x-old:x:y\tO\n\n"
    assert list(read_wikiann(file(content))) == [
        TaggedSentence(("Berlin", ":"), ("B-LOC", "O"), "de"),
        TaggedSentence(("x:y",), ("O",), "be-x-old"),
    ]
    with pytest.raises(ReadError, match="file:1: no language before the word: 'Berlin'"):
        list(read_wikiann(file("Berlin\tB-LOC\n")))
    with pytest.raises(ReadError, match="file:1: an illegal tag sequence in BIO"):
        list(read_wikiann(file("th:a\tI-LOC\n")))
    repaired = read_wikiann(file("th:a\tI-LOC\n"), to="BIOES", repair=True, report=Report())
    assert tagged(repaired) == ["a/S-LOC"]


@pytest.mark.parametrize("notes", ["", "\t-\tme"])
def test_universal_ner(file, notes):
    lines = ["# sent_id = dev-1", "# text = x", f"1\tNew York\tB-LOC{notes}", f"2\t#\tO{notes}"]
    (sentence,) = read_uner(file("\n".join(lines) + "\n\n"), language="en")
    assert sentence == TaggedSentence(("New York", "#"), ("B-LOC", "O"), "en", "dev-1")


tokens = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\n\r\t "), min_size=1
).filter(lambda word: word.strip() and word[0] not in "\ufeff" and word != "-DOCSTART-")
sentence_lists = st.lists(
    st.lists(st.tuples(tokens, st.sampled_from(["O", "B-X", "B-Y"])), min_size=1), max_size=4
)


@given(sentence_lists, st.sampled_from("\t "), st.sampled_from(["\n", "\r\n"]))
def test_columns_come_back_as_written(tmp_path_factory, sentences, separator, end):
    path = tmp_path_factory.mktemp("columns") / "file"
    blocks = [end.join(separator.join(row) for row in each) + end for each in sentences]
    path.write_bytes(end.join(blocks).encode())
    found = [list(zip(each.words, each.tags, strict=True)) for each in read_conll(path)]
    assert found == sentences


# CoNLL-U


def conllu(*rows: str) -> str:
    """Lines of ten columns, of ``ID FORM UPOS`` with _ for a space in the form."""
    lines = []
    for row in rows:
        fields = row.split(" ")
        if len(fields) == 3:
            number, form, tag = fields
            row = "\t".join([number, form.replace("_", " "), "lemma", tag, f"x{tag}", *"_____"])
        lines.append(row)
    return "\n".join(lines) + "\n"


TREE = conllu(
    "# sent_id = a-1",
    "# text = Vas-y du 1 000",
    "1-2 vas-y _",
    "1 va VERB",
    "2 y PRON",
    "2.1 est AUX",
    "3-4 du _",
    "3 de ADP",
    "4 le DET",
    "5 1_000 NUM",
    "",
    "",
    "# newpar",
    "0.1 il PRON",
    "1 # SYM",
)


@pytest.mark.parametrize("content", [TREE, TREE.replace("\n", "\r\n"), "\ufeff" + TREE[:-1]])
def test_ranges_empty_nodes_and_spaces(file, content):
    report = Report()
    assert list(read_conllu(file(content), language="fr", report=report)) == [
        TaggedSentence(
            ("va", "y", "de", "le", "1 000"), ("VERB", "PRON", "ADP", "DET", "NUM"), "fr", "a-1"
        ),
        TaggedSentence(("#",), ("SYM",), "fr"),
    ]
    assert (report.read, report.left_out_total) == (2, 0)


def test_other_columns(file):
    assert tagged(read_conllu(file(TREE), "xpos"))[1] == "#/xSYM"
    assert tagged(read_conllu(file(TREE), "deprel"))[1] == "#/_"
    with pytest.raises(ValueError, match="tag must be one of upos, xpos, deprel, got 'feats'"):
        next(read_conllu(file(TREE), "feats"))


@pytest.mark.parametrize(
    ("rows", "line", "reason"),
    [
        (["1 a NOUN", "2 b NAME"], 2, "a tag outside the set: 'NAME'"),
        (["1 a _"], 1, "a tag outside the set: '_'"),
        (["1 a NOUN", "3 b NOUN"], 2, "words are not numbered one by one: 3 for 2"),
        (["1 a NOUN", "1 b NOUN"], 2, "words are not numbered one by one: 1 for 2"),
        (["1 a NOUN", "2\tb\tc"], 2, "wrong number of columns: 3 instead of 10"),
        (["1 _ NOUN"], 1, "an empty word or tag"),
    ],
)
def test_wrong_trees(file, rows, line, reason):
    path = file(conllu(*rows, "", "1 fine ADJ"))
    with pytest.raises(ReadError, match=f"file:{line}: {reason}"):
        list(read_conllu(path))
    report = Report()
    assert tagged(read_conllu(path, on_error="skip", report=report)) == ["fine/ADJ"]
    assert report.left_out == {reason.partition(":")[0]: 1}


def test_a_file_of_comments_holds_no_sentence(file):
    assert list(read_conllu(file("# sent_id = 1\r\n# text = cut off here"))) == []
