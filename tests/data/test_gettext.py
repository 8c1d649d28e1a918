"""Gettext catalogues, as text and compiled."""

import importlib.util
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import (
    Catalogue,
    Pair,
    ReadError,
    Report,
    find_catalogues,
    read_catalogue,
    read_catalogues,
)

GERMANIC = "nplurals=2; plural=(n != 1);"
RUSSIAN = (
    "nplurals=4; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<12 || n%100>14)"
    " ? 1 : n%10==0 || (n%10>=5 && n%10<=9) || (n%100>=11 && n%100<=14)? 2 : 3);"
)
ARABIC = (
    "nplurals=6; plural=n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n%100>=3 && n%100<=10 ? 3 : "
    "n%100>=11 && n%100<=99 ? 4 : 5;"
)
LATVIAN = "nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n != 0 ? 1 : 2);"


def sides(pairs):
    return [tuple(pair[:2]) for pair in pairs]


def header(plurals: str = GERMANIC, charset: str = "UTF-8") -> str:
    return (
        '#, fuzzy\nmsgid ""\nmsgstr ""\n"Language: xx\\n"\n'
        f'"Content-Type: text/plain; charset={charset}\\n"\n"Plural-Forms: {plurals}\\n"\n\n'
    )


def compiled(entries: dict[str, str], order: str = "<") -> bytes:
    """A catalogue as msgfmt writes it."""
    rows = [(source.encode(), target.encode()) for source, target in sorted(entries.items())]
    start = 28 + 16 * len(rows)
    tables, strings = ([], []), b""
    for side in (0, 1):
        for row in rows:
            tables[side].append(struct.pack(f"{order}2I", len(row[side]), start + len(strings)))
            strings += row[side] + b"\0"
    head = struct.pack(f"{order}7I", 0x950412DE, 0, len(rows), 28, 28 + 8 * len(rows), 0, 0)
    return head + b"".join(tables[0]) + b"".join(tables[1]) + strings


@pytest.fixture
def po(tmp_path):
    def write(content: str | bytes):
        path = tmp_path / "app.po"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_entries_as_they_are_written(po):
    path = po(
        "\ufeff# A comment\n" + header() + '#. note\n#: app.py:1\n#, python-format\n#| msgid "Hi"\n'
        'msgctxt "greeting"\nmsgid "Hello, %(name)s!"\nmsgstr "Hallo, %(name)s!"\n'
        'msgid ""\n"Two\\n"\n  "lines\\t\\"quoted\\" \\\\ \\x41\\101"\n'
        'msgstr "Zwei\\n"\n"Zeilen"\n\n\n'
        'msgctxt "month"\nmsgid "May"\nmsgstr "Mai"\n'
        'msgctxt "verb"\nmsgid "May"\nmsgstr "Dürfen"'
    )
    report = Report()
    assert list(read_catalogue(path, target_language="de", report=report)) == [
        Pair("Hello, %(name)s!", "Hallo, %(name)s!", "en", "de"),
        Pair('Two\nlines\t"quoted" \\ AA', "Zwei\nZeilen", "en", "de"),
        Pair("May", "Mai", "en", "de"),
        Pair("May", "Dürfen", "en", "de"),
    ]
    assert (report.read, report.left_out_total) == (4, 0)


def test_what_is_not_translated_is_counted(po):
    path = po(
        header() + '#, c-format, fuzzy\n#| msgid "Open"\nmsgid "Close"\nmsgstr "Öffnen"\n\n'
        'msgid "Empty"\nmsgstr ""\n\nmsgid "Yes"\nmsgstr "Ja"\n#~ msgid "Old"\n#~ msgstr "Alt"\n'
        '#~| msgid "Older"\n#~ msgid ""\n#~ "Other"\n#~ msgstr "Anderes"\n\n'
        'msgid "Blank"\nmsgstr " "\nmsgid "No"\nmsgstr "Nein"\n'
    )
    report = Report()
    assert sides(read_catalogue(path, report=report)) == [("Yes", "Ja"), ("No", "Nein")]
    assert report.left_out == {"fuzzy": 1, "untranslated": 1, "obsolete": 2, "blank side": 1}


@pytest.mark.parametrize(
    ("rule", "forms", "expected"),
    [
        (GERMANIC, "ab", [("day", "a"), ("days", "b")]),
        ("nplurals=2; plural=(n > 1);", "ab", [("day", "a"), ("days", "b")]),
        ("nplurals=1; plural=0;", "a", [("days", "a")]),
        (RUSSIAN, "abcd", [("day", "a"), ("days", "c")]),
        (ARABIC, "abcdef", [("day", "b"), ("days", "e")]),
        (LATVIAN, "abc", [("day", "a"), ("days", "b")]),
    ],
)
def test_plural_forms_by_the_rule_of_the_language(po, rule, forms, expected):
    entry = "".join(f'msgstr[{i}] "{form}"\n' for i, form in enumerate(forms))
    path = po(header(rule) + 'msgid "day"\nmsgid_plural "days"\n' + entry)
    assert sides(read_catalogue(path)) == expected
    mo = path.with_suffix(".mo")
    rules = {"": f"Plural-Forms: {rule}\n", "day\0days": "\0".join(forms)}
    mo.write_bytes(compiled(rules))
    assert sides(read_catalogue(mo)) == expected


def test_a_plural_form_that_is_missing_is_counted(po):
    path = po(header() + 'msgid "day"\nmsgid_plural "days"\nmsgstr[0] "Tag"\nmsgstr[1] ""\n')
    report = Report()
    assert sides(read_catalogue(path, report=report)) == [("day", "Tag")]
    assert report.left_out == {"a plural form that is missing": 1}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("nplurals=2; plural=import os;", "a rule for plurals that cannot be read"),
        ("plural=0;", "a rule for plurals that cannot be read"),
        ("nplurals=1; plural=n != 1;", "a rule for plurals that asks for forms there are not"),
    ],
)
def test_a_wrong_rule(po, rule, reason):
    path = po(header(rule) + 'msgid "Yes"\nmsgstr "Ja"\n')
    with pytest.raises(ReadError, match=f"app.po:2: {reason}"):
        list(read_catalogue(path))
    report = Report()
    assert sides(read_catalogue(path, on_error="skip", report=report)) == [("Yes", "Ja")]
    assert report.left_out == {reason: 1}


@pytest.mark.parametrize(
    ("lines", "line", "reason"),
    [
        (b'msgid "B"\nmsgstr "\xff"', 11, "invalid UTF-8"),
        (b'msgid "B"\nmsgstr "b" x', 11, "neither a keyword nor a quoted string"),
        (b'msgid "B"\nmsgstr "b\\q"', 11, "an unknown escape"),
        (b'msgid "B"\nmsgstr "b\\xe4"', 11, "an unknown escape"),
        (b'msgid "B"\nmsgid "B"\nmsgstr "b"', 11, "an entry out of order"),
        (b'msgid "B\nmsgstr "b"', 10, "neither a keyword nor a quoted string"),
        (b'mgsid "B"\nmsgstr "b"', 10, "neither a keyword nor a quoted string"),
    ],
)
def test_wrong_entries(po, lines, line, reason):
    before, after = b'msgid "A"\nmsgstr "a"\n', b'\n\nmsgid "C"\nmsgstr "c"\n'
    path = po(header().encode() + before + lines + after)
    with pytest.raises(ReadError, match=f"app.po:{line}: {reason}"):
        list(read_catalogue(path))
    report = Report()
    pairs = sides(read_catalogue(path, on_error="skip", report=report))
    # What is at fault may be what would have ended the entry before it.
    assert pairs[-1] == ("C", "c")
    assert report.left_out == {reason: 1}
    assert lines.startswith(b"mgsid") or pairs == [("A", "a"), ("C", "c")]


def test_other_character_sets(po):
    content = header(charset="ISO-8859-1") + 'msgid "Over"\nmsgstr "Über"\n'
    assert sides(read_catalogue(po(content.encode("latin-1")))) == [("Over", "Über")]
    content = header(charset="CHARSET") + 'msgid "Over"\nmsgstr "Über"\n'
    assert sides(read_catalogue(po(content))) == [("Over", "Über")]


@pytest.mark.parametrize("order", "<>")
def test_compiled_catalogues_in_either_order_of_bytes(tmp_path, order):
    path = tmp_path / "app.mo"
    entries = {
        "": f"Content-Type: text/plain; charset=UTF-8\nPlural-Forms: {GERMANIC}\n",
        "month\x04May": "Mai",
        "%d day\0%d days": "%d Tag\0%d Tage",
        "Yes": "Ja",
        "Empty": "",
    }
    path.write_bytes(compiled(entries, order))
    report = Report()
    assert sides(read_catalogue(path, report=report)) == [
        ("%d day", "%d Tag"),
        ("%d days", "%d Tage"),
        ("Yes", "Ja"),
        ("May", "Mai"),
    ]
    assert report.left_out == {"untranslated": 1}


def test_broken_compiled_catalogues(tmp_path):
    path = tmp_path / "app.mo"
    whole = compiled({"": "Content-Type: text/plain; charset=UTF-8\n", "A": "a", "B": "b"})
    for content, reason in [
        (b"", "app.mo:1: no catalogue in the .mo format: it is too short"),
        (b"rubbish", "app.mo:1: .*it does not begin as one"),
        (whole[:8], "app.mo:1: .*it is too short"),
        (whole[:40], "app.mo:1: .*3 entries do not fit into it"),
        (whole[:4] + b"\0\0\2\0" + whole[8:], "app.mo:1: .*of the unknown revision 2"),
        (whole[:-2], "app.mo:3: an entry that lies beyond the end of the file"),
        (whole.replace(b"a\0", b"\xff\0"), "app.mo:2: invalid UTF-8: byte 0xff"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ReadError, match=reason):
            list(read_catalogue(path))
        report = Report()
        list(read_catalogue(path, on_error="skip", report=report))
        assert report.left_out_total == 1


texts = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\x04"), min_size=1
)
messages = st.dictionaries(texts, texts.filter(str.strip), max_size=5).map(
    lambda found: {source: target for source, target in found.items() if source.strip()}
)


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return '"' + escaped.replace("\r", "\\r") + '"'


@given(messages)
def test_catalogues_come_back_as_written(tmp_path_factory, entries):
    folder = tmp_path_factory.mktemp("catalogues")
    body = "".join(f"msgid {quoted(s)}\nmsgstr {quoted(t)}\n" for s, t in entries.items())
    (folder / "a.po").write_bytes((header() + body).encode())
    assert sides(read_catalogue(folder / "a.po")) == list(entries.items())
    (folder / "a.mo").write_bytes(compiled(entries))
    assert sides(read_catalogue(folder / "a.mo")) == sorted(entries.items())


# Finding them


def test_catalogues_below_a_folder(tmp_path):
    for name in ("de/LC_MESSAGES/app.po", "de/LC_MESSAGES/app.mo", "pt_BR/LC_MESSAGES/app.mo"):
        path = tmp_path / "deep" / "locale" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(
            compiled({"Yes": "Sim"}) if path.suffix == ".mo" else b'msgid "Yes"\nmsgstr "Ja"\n'
        )
    (tmp_path / "deep" / "stray.po").write_bytes(b"")
    locale = tmp_path / "deep" / "locale"
    found = find_catalogues(tmp_path)
    assert found == [
        Catalogue(locale / "de/LC_MESSAGES/app.po", "de", "app"),
        Catalogue(locale / "pt_BR/LC_MESSAGES/app.mo", "pt-BR", "app"),
    ]
    assert find_catalogues(tmp_path, languages=["pt_BR"]) == found[1:]
    report = Report()
    assert list(read_catalogues(found, report=report)) == [
        Pair("Yes", "Ja", "en", "de"),
        Pair("Yes", "Sim", "en", "pt-BR"),
    ]
    assert report.read == 2


def test_catalogues_are_asked_for_in_one_way():
    with pytest.raises(ValueError, match="either a folder or a package"):
        find_catalogues()
    with pytest.raises(ValueError, match="either a folder or a package"):
        find_catalogues("here", package="there")
    with pytest.raises(ModuleNotFoundError, match="no installed package is named 'no_such_thing'"):
        find_catalogues(package="no_such_thing")


@pytest.mark.skipif(not importlib.util.find_spec("django"), reason="Django is not installed")
def test_the_catalogues_of_django():
    found = find_catalogues(package="django")
    assert len({each.language for each in found}) > 80
    assert {"de", "zh-Hans", "pt-BR", "sr-Latn"} <= {each.language for each in found}
    some = [each for each in found if each.language in ("de", "ja", "ar", "sr-Latn")]
    texts, binaries = (
        set(read_catalogues([each._replace(path=each.path.with_suffix(end)) for each in some]))
        for end in (".po", ".mo")
    )
    assert texts == binaries
    assert len(texts) > 2000
    assert any("%(" in pair.source and "%(" in pair.target for pair in texts)
