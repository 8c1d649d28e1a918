"""Preparation as a Beam pipeline, on this machine. Skips where Beam is not installed."""

import importlib.util
import sys

import pytest

from mmkd_jax.data import Source, load_pairs, open_sources, prepare_pairs, prepare_pairs_with_beam
from tests.data.corpora import pairs, student, teacher

with_beam = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None, reason="an extra: mmkd_jax[beam]"
)
# Beam has warnings of its own.
pytestmark = pytest.mark.filterwarnings("default")
SPECS = {
    "first": {"reader": "tsv", "language": "de", "path": "first.tsv"},
    "second": {"reader": "tsv", "language": "fr", "path": "second.tsv", "limit": 20},
    "small": {"reader": "tsv", "language": "zh", "path": "small.tsv"},
}


@pytest.fixture
def sources(tmp_path):
    for seed, (name, count) in enumerate({"first": 40, "second": 30, "small": 2}.items()):
        lines = "".join(f"{en}\t{other}\n" for en, other in pairs(count, seed))
        (tmp_path / f"{name}.tsv").write_text(lines, encoding="utf-8")
    return open_sources(SPECS, tmp_path)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def prepare(folder, sources, shards=3, tokenizer=None):
    return prepare_pairs_with_beam(folder, sources, tokenizer or teacher(), student(), 64, shards)


@with_beam
def test_it_writes_the_very_same_files(sources, tmp_path):
    manifest = prepare(tmp_path / "beam", sources)
    assert manifest == str(tmp_path / "beam" / "manifest.json")
    prepare_pairs(tmp_path / "here", sources, teacher(), student(), 64, 3)
    assert contents(tmp_path / "beam") == contents(tmp_path / "here")
    assert len(load_pairs(tmp_path / "beam", teacher(), student())) == 62


@with_beam
def test_finished_shards_are_kept_and_empty_ones_written(sources, tmp_path):
    prepare_pairs(tmp_path / "here", sources[2:], teacher(), student(), 64, 4)
    # Begun here, finished there.
    prepare_pairs(tmp_path / "both", sources[2:], teacher(), student(), 64, 4, shard=1)
    path = tmp_path / "both" / "pairs-00001-of-00004.json"
    before = path.stat().st_mtime_ns
    prepare(tmp_path / "both", sources[2:], shards=4)
    assert path.stat().st_mtime_ns == before
    assert contents(tmp_path / "both") == contents(tmp_path / "here")


@with_beam
def test_other_settings_are_refused(sources, tmp_path):
    prepare_pairs(tmp_path / "x", sources, teacher(), student(), 64, 3, shard=0)
    with pytest.raises(ValueError, match=r"prepared in another way: the teacher's tokenizer was"):
        prepare(tmp_path / "x", sources, tokenizer=student())


@with_beam
def test_an_error_of_a_reader_names_its_line(sources, tmp_path):
    (tmp_path / "first.tsv").write_text("a\tb\nc\n", encoding="utf-8")
    with pytest.raises(Exception, match="first.tsv:2: wrong number of columns"):
        prepare(tmp_path / "x", sources)
    assert not (tmp_path / "x" / "manifest.json").exists()


def test_without_beam_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(ImportError, match=r"apache-beam: pip install 'mmkd_jax\[beam\]'"):
        prepare(tmp_path, [Source("a", "de", [("a", "b")])])
