"""Whatever a file of a corpus holds, readers say where it is wrong, or leave it out."""

import json
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax import data
from tests.untrusted.damage import damaged

_TMX = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE tmx [<!ENTITY x "y">]><tmx><body>
<tu><tuv xml:lang="en"><seg>One <b>two</b>&x;</seg></tuv>
<tuv xml:lang="de"><seg>Eins</seg></tuv></tu></body></tmx>"""
_ASPECTS = """<sentences><sentence id="1"><text>The menu was good.</text><aspectTerms>
<aspectTerm term="menu" polarity="positive" from="4" to="8"/></aspectTerms></sentence>
</sentences>"""
_PO = r"""msgid ""
msgstr "Language: de\nContent-Type: text/plain; charset=UTF-8\n"
"Plural-Forms: nplurals=2; plural=n!=1;\n"

#, c-format
msgid "one"
msgid_plural "%d more"
msgstr[0] "eins"
msgstr[1] "mehr\x41\101"
"""
_SQUAD = {
    "data": [
        {
            "title": "t",
            "paragraphs": [
                {
                    "context": "In 1905.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "When?",
                            "answers": [{"text": "1905", "answer_start": 3}],
                        }
                    ],
                }
            ],
        }
    ]
}


def _mo() -> bytes:
    pairs = [(b"", b"Content-Type: text/plain; charset=utf-8\n"), (b"one\0ones", b"eins\0mehr")]
    at, tables, text = 28 + 16 * len(pairs), [b"", b""], b""
    for pair in pairs:
        for side, piece in enumerate(pair):
            tables[side] += struct.pack("<2I", len(piece), at + len(text))
            text += piece + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return head + tables[0] + tables[1] + text


def _rows(*names: str) -> bytes:
    return "".join(json.dumps(dict.fromkeys(names, "entailment")) + "\n" for _ in range(3)).encode()


# Name -> reader of a file, the file's ending, a sound file.
READERS = {
    "moses": (lambda path, **more: data.read_moses(path, path, **more), "txt", b"one\ntwo\n"),
    "tsv": (data.read_tsv, "tsv", b"one\teins\ntwo\tzwei\n"),
    "tsv with names": (
        lambda path, **more: data.read_tsv(path, "en", "de", **more),
        "tsv",
        b"en\tde\none\teins\n",
    ),
    "tmx": (
        lambda path, **more: data.read_tmx(path, "en", "de", **more),
        "tmx",
        _TMX.encode(),
    ),
    "aspects": (data.read_aspects, "xml", _ASPECTS.encode()),
    "po": (data.read_catalogue, "po", _PO.encode()),
    "mo": (data.read_catalogue, "mo", _mo()),
    "jsonl": (
        lambda path, **more: data.read_jsonl(path, "a.b", "c", **more),
        "jsonl",
        b'{"a": {"b": "one"}, "c": "eins"}\n{"a": {"b": "two"}, "c": "zwei"}\n',
    ),
    "conll": (data.read_conll, "txt", b"Ana NP I-PER\nMaria NP B-PER\n\nlee V O\n"),
    "wikiann": (data.read_wikiann, "txt", b"de:Ana\tB-PER\nde:Maria\tI-PER\n\nde:lee\tO\n"),
    "uner": (data.read_uner, "txt", b"# id = 1\n1\tAna\tB-PER\t-\t-\n2\tlee\tO\t-\t-\n"),
    "conllu": (
        data.read_conllu,
        "conllu",
        b"# sent_id = 1\n1\tGeh\t_\tVERB\t_\t_\t_\t_\t_\t_\n2\tzu\t_\tADP\t_\t_\t_\t_\t_\t_\n",
    ),
    "xnli": (data.read_xnli, "jsonl", _rows("sentence1", "sentence2", "gold_label", "pairID")),
    "multinli": (
        data.read_multinli,
        "jsonl",
        _rows("sentence1", "sentence2", "gold_label", "pairID"),
    ),
    "xnli in columns": (data.read_xnli, "tsv", b"premise\thypo\tlabel\na\tb\tentailment\n"),
    "pawsx": (data.read_pawsx, "tsv", b"id\tsentence1\tsentence2\tlabel\n1\ta\tb\t0\n"),
    "squad": (data.read_squad, "json", json.dumps(_SQUAD).encode()),
}


def texts_in(record) -> list[str]:
    parts = [record] if isinstance(record, str) else record
    return [
        text
        for part in parts
        if isinstance(part, str | tuple)
        for text in ([part] if isinstance(part, str) else texts_in(part))
    ]


def read_all(name: str, content: bytes, on_error: str) -> list:
    reader, ending, _ = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"file.{ending}")
        path.write_bytes(content)
        return list(reader(path, on_error=on_error))


@pytest.mark.parametrize("name", READERS)
def test_the_sound_files_are_sound(name):
    assert read_all(name, READERS[name][2], "raise")


@pytest.mark.parametrize("name", READERS)
@given(contents=st.data())
def test_only_read_errors_come_out(name, contents):
    content = contents.draw(damaged(READERS[name][2]))
    for on_error in ("raise", "skip"):
        try:
            records = read_all(name, content, on_error)
        except data.ReadError as error:
            assert str(error).isprintable()
            # In a table that lacks one there is no line to be skipped.
            assert on_error == "raise" or "no column" in error.reason
        else:
            for text in texts_in(records):
                text.encode()  # a tokenizer takes Unicode, and nothing else


def tmx(segment: str, entities: str = "") -> bytes:
    variants = "".join(
        f'<tuv xml:lang="{language}"><seg>{segment}</seg></tuv>' for language in ("en", "de")
    )
    return f"<!DOCTYPE tmx [{entities}]><tmx><tu>{variants}</tu></tmx>".encode()


def test_elements_may_be_nested_as_deeply_as_they_like():
    (pair,) = read_all("tmx", tmx("<b>" * 20_000 + "deep" + "</b>" * 20_000), "raise")
    assert pair.source == "deep"


def test_entities_that_grow_without_end_are_refused():
    entities = '<!ENTITY a0 "aaaaaaaaaa">' + "".join(
        f'<!ENTITY a{i + 1} "{f"&a{i};" * 10}">' for i in range(12)
    )
    with pytest.raises(data.ReadError, match="broken XML.*amplification"):
        read_all("tmx", tmx("&a12;", entities), "raise")


def test_entities_from_elsewhere_are_not_fetched(tmp_path):
    (tmp_path / "secret").write_text("secret")
    entities = f'<!ENTITY out SYSTEM "file://{tmp_path}/secret">'
    found = read_all("tmx", tmx("a&out;b", entities), "skip")
    assert "secret" not in "".join(texts_in(found))


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_json_that_is_nested_too_deeply_is_refused(deep):
    for name in ("jsonl", "squad"):
        with pytest.raises(data.ReadError, match="broken JSON: nested too deeply"):
            read_all(name, deep.encode(), "raise")


def test_half_a_character_is_refused():
    line = rb'{"a": {"b": "\ud83d"}, "c": "x"}'
    with pytest.raises(data.ReadError, match="broken JSON: half a character"):
        read_all("jsonl", line, "raise")
    whole = line.replace(rb"\ud83d", rb"\ud83d\ude00")
    assert read_all("jsonl", whole, "raise")[0].source == "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    "charset", ["zip", "utf-7", "unicode_escape", "idna", "utf-16", "undefined"]
)
def test_charsets_that_are_none_of_texts_are_not_followed(charset):
    text = f'msgid ""\nmsgstr "charset={charset}\\n"\n\nmsgid "one+AGE-"\nmsgstr "über"\n'
    (pair,) = read_all("po", text.encode(), "raise")
    assert pair[:2] == ("one+AGE-", "über")


def test_what_a_file_holds_does_not_steer_the_terminal(caplog):
    table = b"\x1b]0;title\x07\t\x1b[2J\n"
    with pytest.raises(
        data.ReadError, match=r"no column 'en' among \\x1b\]0;title\\x07, \\x1b\[2J"
    ):
        read_all("tsv with names", table, "raise")
    read_all("po", b'msgid "a"\nmsgstr\x1b[31m "b"\n', "skip")
    assert "\\x1b[31m" in caplog.text
    assert "\x1b" not in caplog.text
