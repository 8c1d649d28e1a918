"""Parallel text: line-aligned files, tables, JSON lines, translation memories."""

import gzip
import json
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import (
    Pair,
    ReadError,
    Report,
    read_jsonl,
    read_moses,
    read_ntrex,
    read_tatoeba,
    read_tmx,
    read_tsv,
)


def sides(pairs):
    return [tuple(pair[:2]) for pair in pairs]


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str | bytes):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# Line-aligned files


def test_line_aligned_files(write):
    en = write("c.en", "Good morning.\r\nThank \u2028 you.\r\n")
    de = write("c.de.gz", gzip.compress("\ufeffGuten Morgen.\nDanke.".encode()))
    assert list(read_moses(en, de, source_language="en", target_language="de")) == [
        Pair("Good morning.", "Guten Morgen.", "en", "de"),
        Pair("Thank \u2028 you.", "Danke.", "en", "de"),
    ]


def test_blank_sides_keep_the_alignment(write):
    report = Report()
    pairs = read_moses(write("a", "1\n\n3\n\n5\n"), write("b", "1\n2\n \u00a0\n\n5"), report=report)
    assert sides(pairs) == [("1", "1"), ("5", "5")]
    assert report.left_out == {"blank side": 3}


@pytest.mark.parametrize("longer", [0, 1])
def test_sides_of_different_length(write, longer):
    files = [write("short", "1\n2\n"), write("long", "1\n2\n\n4\n5\n")]
    if not longer:
        files.reverse()
    message = "long:4: no line on the other side: .*short ends after line 2"
    with pytest.raises(ReadError, match=message):
        list(read_moses(*files))
    report = Report()
    assert len(list(read_moses(*files, on_error="skip", report=report))) == 2
    assert report.left_out == {"no line on the other side": 2}


def test_blank_lines_at_the_end_of_one_side_are_no_difference(write):
    assert sides(read_moses(write("a", "1\n\n\n"), write("b", "1"))) == [("1", "1")]


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_bad_line_of_either_side_takes_its_pair_with_it(write, wrong):
    files = [write("right", "1\n2\n3\n"), write("wrong", b"1\n\xe4\n3\n")]
    if not wrong:
        files.reverse()
    with pytest.raises(ReadError, match="wrong:2: invalid UTF-8"):
        list(read_moses(*files))
    report = Report()
    assert sides(read_moses(*files, on_error="skip", report=report)) == [("1", "1"), ("3", "3")]
    assert report.left_out == {"invalid UTF-8": 1}


def test_retrieval_sets_by_the_names_of_their_files(write, tmp_path):
    write("tatoeba.deu-eng.eng", "Yes.\n")
    write("tatoeba.deu-eng.deu", "Ja.\n")
    write("newstest2019-src.eng.txt", "Yes.\r\n")
    write("newstest2019-ref.deu.txt", "Ja.\r\n")
    write("newstest2019-ref.zho-CN.txt", "是。\r\n")
    assert list(read_tatoeba(tmp_path, "deu")) == [Pair("Yes.", "Ja.", "eng", "deu")]
    assert list(read_ntrex(tmp_path, "deu")) == [Pair("Yes.", "Ja.", "eng", "deu")]
    assert list(read_ntrex(tmp_path, "zho-CN", "deu")) == [Pair("Ja.", "是。", "deu", "zho-CN")]
    assert list(read_ntrex(tmp_path, "eng", "deu")) == [Pair("Ja.", "Yes.", "deu", "eng")]


# Tables


def test_columns_by_number_and_by_name(write):
    path = write("t", 'id\ten\tfr\n1\t"Yes\tOui"\n2\tNo\t\n')
    report = Report()
    assert sides(read_tsv(path, "en", "fr", report=report)) == [('"Yes', 'Oui"')]
    assert report.left_out == {"blank side": 1}
    assert sides(read_tsv(path, 2, 1, header=True, report=report)) == [('Oui"', '"Yes')]
    assert sides(read_tsv(path, 0, 1)) == [("id", "en"), ("1", '"Yes'), ("2", "No")]
    assert sides(read_tsv(path, 2, "en", report=report)) == [('Oui"', '"Yes')]


def test_wrong_columns(write):
    path = write("t", "a\tb\n\nc\nd\te\tf\ng\th\n")
    with pytest.raises(ReadError, match="t:3: wrong number of columns: 1 instead of 2"):
        list(read_tsv(path))
    report = Report()
    assert sides(read_tsv(path, on_error="skip", report=report)) == [("a", "b"), ("g", "h")]
    assert report.left_out == {"wrong number of columns": 2}


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_column_that_is_not_there_is_an_error_always(write, on_error):
    path = write("t", "en\tfr\na\tb\n")
    with pytest.raises(ReadError, match="t:1: no column 'de' among en, fr"):
        list(read_tsv(path, "en", "de", on_error=on_error))
    with pytest.raises(ReadError, match="t:1: no column 2 among 0, 1"):
        list(read_tsv(path, 0, 2, on_error=on_error))


# JSON lines


def test_json_lines(write):
    rows = [
        {"source": "a\nb", "target": "c"},
        {"source": "d", "target": None},
        {"source": "e", "target": " "},
    ]
    path = write("j", "\ufeff" + "\r\n\r\n".join(json.dumps(row) for row in rows))
    report = Report()
    assert list(read_jsonl(path, target_language="fr", report=report)) == [
        Pair("a\nb", "c", "", "fr")
    ]
    assert report.left_out == {"blank side": 2}


def test_fields_within_fields(write):
    path = write("j", '{"translation": {"en": "a", "fr": "b"}}\n{"translation": {"en": "c"}}\n')
    report = Report()
    pairs = read_jsonl(path, "translation.en", "translation.fr", report=report)
    assert sides(pairs) == [("a", "b")]
    assert (report.read, report.left_out) == (1, {"blank side": 1})
    dotted = write("d", '{"text.en": "a", "text.fr": "b"}')
    assert sides(read_jsonl(dotted, "text.en", "text.fr")) == [("a", "b")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"source": "a"', "broken JSON"),
        ('["a", "b"]', "no JSON object"),
        ('{"source": "a"}', "no field: 'target' among source"),
        ('{"source": "a", "target": 1}', "a field of another type: 'target' is int"),
    ],
)
def test_wrong_json_lines(write, line, reason):
    path = write("j", f'{{"source": "a", "target": "b"}}\n{line}\n')
    with pytest.raises(ReadError, match=f"j:2: {reason}"):
        list(read_jsonl(path))
    report = Report()
    assert sides(read_jsonl(path, on_error="skip", report=report)) == [("a", "b")]
    assert report.left_out == {reason.partition(":")[0]: 1}


# Translation memories


def memory(*units: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n'
        '<tmx version="1.4"><header srclang="en"/>\n<body>\n'
        + "\n".join(units)
        + "\n</body></tmx>\n"
    )


def unit(*variants: tuple[str, str]) -> str:
    inner = "".join(
        f'<tuv xml:lang="{language}"><seg>{text}</seg></tuv>' for language, text in variants
    )
    return f"<tu><note>n</note>{inner}</tu>"


def test_languages_with_and_without_regions(write):
    path = write(
        "m.tmx",
        memory(
            unit(("en-US", "Colour"), ("pt-br", "Cor"), ("fr", "Couleur")),
            unit(("EN", "Yes"), ("en-GB", "Yep"), ("PT_pt", "Sim"), ("pt-BR", "É")),
            unit(("en", "No"), ("fr", "Non")),
        ),
    )
    report = Report()
    assert list(read_tmx(path, "en", "pt", report=report)) == [
        Pair("Colour", "Cor", "en", "pt"),
        Pair("Yes", "Sim", "en", "pt"),
        Pair("Yes", "É", "en", "pt"),
    ]
    assert report.left_out == {"a unit that lacks one of the languages": 1}
    assert sides(read_tmx(path, "en", "pt_BR", report=report)) == [("Colour", "Cor"), ("Yes", "É")]
    assert sides(read_tmx(path, "en", "p", report=report)) == []


def test_formatting_within_segments(write):
    text = 'Press <bpt i="1">&lt;b&gt;</bpt><hi>OK</hi><ept i="1">&lt;/b&gt;</ept> &amp; <ph/>go.'
    path = write("m.tmx", memory(unit(("en", text), ("de", " \n"), ("de", "Los!"))))
    report = Report()
    assert sides(read_tmx(path, "en", "de", report=report)) == [("Press OK & go.", "Los!")]
    assert report.left_out == {"blank side": 1}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_memories_in_other_encodings_and_compressed(write, encoding):
    content = memory(unit(("en", "Yes"), ("el", "Ναι"))).replace(
        "UTF-8", encoding.removesuffix("-sig")
    )
    path = write("m.tmx.gz", gzip.compress(content.encode(encoding)))
    assert sides(read_tmx(path, "en", "el")) == [("Yes", "Ναι")]


def test_broken_memories(write):
    good = unit(("en", "Yes"), ("de", "Ja"))
    path = write("m.tmx", memory(good, "<tu><tuv><seg>x</seg></tuv></tu>", good)[:-10])
    with pytest.raises(ReadError, match="m.tmx:6: a variant without a language or a segment"):
        list(read_tmx(path, "en", "de"))
    report = Report()
    pairs = read_tmx(path, "en", "de", on_error="skip", report=report)
    assert sides(pairs) == 2 * [("Yes", "Ja")]
    assert report.left_out == {
        "a variant without a language or a segment": 1,
        "broken XML, the rest of the file is lost": 1,
    }


def test_a_large_memory_streams(write):
    path = write("m.tmx", memory(*5000 * [unit(("en", "Yes " * 20), ("de", "Ja " * 20))])[:-10])
    pairs = read_tmx(path, "en", "de")
    assert next(pairs).source == "Yes " * 20  # the end, which is broken, has not been read
    with pytest.raises(ReadError, match="broken XML"):
        list(pairs)


# XML cannot hold most control characters at all.
segments = st.text(
    st.characters(blacklist_categories=["Cc", "Cs"], blacklist_characters="\ufffe\uffff"),
    min_size=1,
).filter(str.strip)


@given(st.lists(st.tuples(segments, segments), max_size=5))
def test_memories_come_back_as_written(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("memories") / "m.tmx"
    units = [unit(("en", escape(en)), ("de", escape(de))) for en, de in rows]
    path.write_bytes(memory(*units).encode())
    assert sides(read_tmx(path, "en", "de")) == rows
