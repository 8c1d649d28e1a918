"""What all readers share: lines, errors with places, reports of what was left out."""

import gzip
import logging
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax import data
from mmkd_jax.data import Pair, ReadError, Report, read_moses, read_tsv

# Every character that str.splitlines takes for the end of a line, but for \n and \r.
NO_ENDS = "\v\f\x1c\x1d\x1e\x85\u2028\u2029"


def sides(pairs):
    return [tuple(pair[:2]) for pair in pairs]


@pytest.fixture
def table(tmp_path):
    def write(content: bytes):
        path = tmp_path / "table.tsv"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize(
    "content",
    [
        b"a\tb\nc\td\n",
        b"a\tb\nc\td",
        b"a\tb\r\nc\td\r\n",
        b"a\tb\r\nc\td",
        b"\xef\xbb\xbfa\tb\nc\td\n",
        b"\n\na\tb\n\n\n \nc\td\n\n\n",
        gzip.compress(b"\xef\xbb\xbfa\tb\r\nc\td", mtime=0),
    ],
)
def test_ends_of_lines_marks_blanks_and_compression(table, content):
    assert sides(read_tsv(table(content))) == [("a", "b"), ("c", "d")]


def test_an_empty_file_has_no_records(table):
    assert list(read_tsv(table(b""))) == list(read_tsv(table(b"\xef\xbb\xbf\n"))) == []


def test_only_line_feeds_end_lines(table):
    content = "".join(f"a{end}b\tc\n" for end in NO_ENDS)
    assert sides(read_tsv(table(content.encode()))) == [(f"a{end}b", "c") for end in NO_ENDS]


def test_a_mark_within_a_file_is_text(table):
    assert sides(read_tsv(table(b"a\tb\n\xef\xbb\xbfc\td"))) == [("a", "b"), ("\ufeffc", "d")]


def test_what_is_not_utf8_has_a_place(table):
    path = table(b"a\tb\nc\td\xe4\n")
    with pytest.raises(ReadError) as caught:
        list(read_tsv(path))
    error = caught.value
    assert (error.file, error.line) == (str(path), 2)
    assert str(error) == f"{path}:2: invalid UTF-8: byte 0xe4 at 4"
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.file, copy.line, copy.reason) == (
        str(error),
        error.file,
        error.line,
        error.reason,
    )


def test_what_is_skipped_is_counted(table):
    path = table(b"a\tb\n" + b"c\xff\td\n" * 5 + b"e\n" + b"f\tg\n")
    report = Report()
    assert sides(read_tsv(path, on_error="skip", report=report)) == [("a", "b"), ("f", "g")]
    assert report.left_out == {"invalid UTF-8": 5, "wrong number of columns": 1}
    assert (report.read, report.left_out_total) == (2, 6)
    assert str(report) == "\n".join(
        [
            "2 read",
            "left out 5: invalid UTF-8",
            *(f"  {path}:{line}: invalid UTF-8: byte 0xff at 2" for line in (2, 3, 4)),
            "left out 1: wrong number of columns",
            f"  {path}:7: wrong number of columns: 1 instead of 2",
        ]
    )


def test_one_report_serves_several_readers(table):
    report, path = Report(), table(b"a\tb\n\tc\n")
    for _ in range(2):
        list(read_tsv(path, report=report))
    assert (report.read, report.left_out) == (2, {"blank side": 2})


def test_without_a_report_it_is_logged(table, caplog):
    with caplog.at_level(logging.INFO, "mmkd_jax.data"):
        list(read_tsv(table(b"a\tb\n")))
        assert not caplog.records
        list(read_tsv(table(b"a\tb\n\tc\n")))
    (record,) = caplog.records
    assert "left out 1: blank side" in record.getMessage()


def test_a_reader_that_is_not_read_to_its_end_is_logged_too(table, caplog):
    with caplog.at_level(logging.INFO, "mmkd_jax.data"):
        pairs = read_tsv(table(b"\tc\na\tb\nc\td\n"))
        assert next(pairs) == Pair("a", "b")
        pairs.close()
    assert "left out 1: blank side" in caplog.text


def test_faults_that_are_skipped_are_a_warning(table, caplog):
    list(read_tsv(table(b"a\tb\nc\n"), on_error="skip"))
    assert "left out 1: wrong number of columns" in caplog.text


def test_nothing_is_raised_when_everything_is_skipped(table):
    report = Report()
    whole = gzip.compress(bytes(range(256)) * 2000, mtime=0)
    for content in (whole[:200], whole[:-4], b"\x1f\x8brubbish", bytes(range(256))):
        path = table(content)
        list(read_moses(path, path, on_error="skip", report=report))
    assert report.left_out["broken compression, the rest of the file is lost"] == 6
    assert report.left_out["invalid UTF-8"] > 0


def test_broken_compression_is_an_error_with_a_place(table):
    packed = gzip.compress(b"a\tb\n" * 100_000, mtime=0)
    reading = read_tsv(table(packed[: len(packed) // 2]))
    with pytest.raises(ReadError, match="table.tsv:[0-9]{2,}: broken compression, the rest of"):
        list(reading)


def test_a_missing_file_and_a_misspelled_option(tmp_path):
    with pytest.raises(FileNotFoundError):
        next(read_tsv(tmp_path / "none"))
    with pytest.raises(ValueError, match="on_error must be 'raise' or 'skip', got 'ignore'"):
        next(read_tsv(tmp_path / "none", on_error="ignore"))


def test_large_files_stream(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"x" * 999 + b"\n" + b"y\n" * 1000)
    target.write_bytes(b"z\n" * 1000 + b"\xff\n")
    pairs = read_moses(source, target)
    assert next(pairs).target == "z"  # and the error far behind is not met yet
    with pytest.raises(ReadError, match="target:1001: invalid UTF-8"):
        list(pairs)


words = st.text(
    st.characters(blacklist_characters="\r\n\t", blacklist_categories=["Cs"]), min_size=1
)
cells = words.filter(str.strip).filter(lambda text: not text.startswith("\ufeff"))


@given(st.lists(st.tuples(cells, cells)), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_tables_come_back_as_written(tmp_path_factory, rows, end, final):
    path = tmp_path_factory.mktemp("tables") / "table"
    content = end.join("\t".join(row) for row in rows) + (end if final else "")
    path.write_bytes(content.encode())
    assert sides(read_tsv(path)) == rows


@given(st.lists(st.tuples(cells, cells)))
def test_line_aligned_files_come_back_as_written(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("files")
    for side in (0, 1):
        content = "".join(f"{row[side]}\n" for row in rows)
        (folder / str(side)).write_bytes(content.encode())
    assert sides(read_moses(folder / "0", folder / "1")) == rows


def test_importing_the_readers_is_light():
    code = (
        "import sys; import mmkd_jax.data;"
        "heavy = {'jax', 'tensorflow_datasets', 'datasets', 'transformers', 'grain', 'tensorflow'};"
        "print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_exist():
    assert all(hasattr(data, name) for name in data.__all__)
