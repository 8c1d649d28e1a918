"""What the project promises of files that are not to be trusted, and of its own code."""

import ast
import logging
from pathlib import Path

import numpy as np
import pytest

import mmkd_jax
from mmkd_jax import _program, data
from mmkd_jax._text import shown

SOURCES = sorted(Path(mmkd_jax.__file__).parent.rglob("*.py"))
# Modules that run code out of files, or write where an archive says; functions that run texts.
FORBIDDEN_MODULES = {"pickle", "dill", "joblib", "shelve", "marshal", "tarfile", "torch"}
FORBIDDEN_CALLS = {"eval", "exec", "extractall", "unpack_archive"}


def test_no_code_of_ours_unpickles_or_unpacks_or_trusts():
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            bad = {name.partition(".")[0] for name in names} & FORBIDDEN_MODULES
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                bad |= {called} & FORBIDDEN_CALLS
                for keyword in node.keywords:
                    if keyword.arg in ("trust_remote_code", "allow_pickle"):
                        value = getattr(keyword.value, "value", None)
                        bad |= {keyword.arg} if value is not False else set()
                if called == "from_pretrained":
                    given = {keyword.arg for keyword in node.keywords}
                    bad |= {"from_pretrained"} if "trust_remote_code" not in given else set()
            found += [f"{path}:{node.lineno}: {name}" for name in bad]
    assert not found


class Bomb:
    def __reduce__(self):
        return exec, ("raise AssertionError('code of a file was run')",)


def test_a_pickle_among_prepared_pairs_is_refused(tmp_path):
    texts = ["low lower", "newer wider"]
    tokenizer = data.SubwordTokenizer(data.train_vocabulary(texts, size=25))
    sources = [data.Source("a", "de", [tuple(texts)])]
    data.prepare_pairs(tmp_path, sources, tokenizer, tokenizer, shards=1)
    (lengths,) = tmp_path.glob("*.npy")
    np.save(lengths, np.array([Bomb()], object))
    with pytest.raises(ValueError, match=r"npy is damaged: Object arrays cannot be loaded"):
        data.load_pairs(tmp_path)


@pytest.mark.parametrize("ending", ["npy", "json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[1]", b"\x93NUMPY\x01\x00"])
def test_damaged_files_of_prepared_pairs_are_named(tmp_path, ending, content):
    texts = ["low lower", "newer wider"]
    tokenizer = data.SubwordTokenizer(data.train_vocabulary(texts, size=25))
    sources = [data.Source("a", "de", [tuple(texts)])]
    data.prepare_pairs(tmp_path, sources, tokenizer, tokenizer, shards=1)
    for path in tmp_path.glob(f"*.{ending}"):
        path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"\.{ending} (is damaged|is no JSON|must hold)"):
        data.load_pairs(tmp_path)
        data.prepare_pairs(tmp_path, sources, tokenizer, tokenizer, shards=1)


def test_what_programs_print_does_not_steer_the_terminal(capsys):
    nasty = "a\x1b[2Jb\rc\u202ed\nnext line"
    with pytest.raises(SystemExit) as exited, _program.messages("train"):
        raise OSError(nasty)
    assert exited.value.code == "train: a\\x1b[2Jb\\rc\\u202ed\nnext line"
    formatter = _program._Formatter("%(message)s")
    record = logging.LogRecord("a", logging.INFO, "", 0, nasty, None, None)
    assert formatter.format(record) == "a\\x1b[2Jb\\rc\\u202ed\nnext line"
    assert shown("Übung 語\n") == "Übung 語\\n"
