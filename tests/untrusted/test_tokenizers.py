"""Tokenizers from anywhere, and how their subwords map to words."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers import models as backends

from mmkd_jax import data
from tests.untrusted.damage import damaged
from tests.untrusted.own_errors import only_own_errors
from tests.untrusted.test_checkpoints import ABSURD, JSON

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TEXTS = st.lists(st.text(max_size=12), max_size=4)
# Normalizers that lengthen, shorten, reorder and drop what they are given.
NORMALIZERS = [
    *(normalizers.NFKD(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.NFKC()),
    *(normalizers.Replace("a", ""), normalizers.Replace("b", "xyz"), normalizers.Prepend("▁")),
    *(normalizers.Replace(" ", "▁"), normalizers.BertNormalizer(), normalizers.Strip()),
]
PRE_TOKENIZERS = [
    *(pre_tokenizers.BertPreTokenizer(), pre_tokenizers.ByteLevel(), pre_tokenizers.Metaspace()),
    *(pre_tokenizers.Whitespace(), pre_tokenizers.UnicodeScripts(), pre_tokenizers.Digits(True)),
]


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    data.save_vocabulary(
        data.train_vocabulary(["low lower lowest", "newer wider"], size=30), folder
    )
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def use(files: dict[str, bytes], texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_bytes(content)
        check(data.SubwordTokenizer(data.load_tokenizer(folder)), texts)


def check(tokenizer: data.SubwordTokenizer, texts: list[str]) -> None:
    """Maps between words and subwords say the same in both directions."""
    found = tokenizer.encode(texts)
    assert ((found.ids >= 0) & (found.ids < tokenizer.vocabulary_size)).all()
    assert len(found.token_offsets) == len(found.word_offsets) == len(texts) + 1
    for number, text in enumerate(texts):
        one = found.text(number)
        assert len(one.first) == len(data.word_spans(text))
        for word, (first, count) in enumerate(zip(one.first, one.count, strict=True)):
            owned = np.flatnonzero(one.word_of == word)
            expected = np.arange(first, first + count) if first >= 0 else []
            np.testing.assert_array_equal(owned, expected)


@given(texts=TEXTS, drawn=st.data())
def test_maps_of_any_tokenizer(texts, drawn):
    letters = sorted({*"abcdefgxyz▁Ġ", *"".join(texts)})
    names = [*SPECIALS, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {name: index for index, name in enumerate(dict.fromkeys(names))}
    backend = Tokenizer(backends.WordPiece(vocabulary, unk_token="[UNK]"))
    chosen = drawn.draw(st.lists(st.sampled_from(NORMALIZERS), max_size=3))
    backend.normalizer = normalizers.Sequence(chosen)
    backend.pre_tokenizer = drawn.draw(st.sampled_from(PRE_TOKENIZERS))
    check(data.SubwordTokenizer(backend), texts)


@given(texts=TEXTS, drawn=st.data())
def test_bytes_of_a_tokenizer(sound, texts, drawn):
    name = drawn.draw(st.sampled_from(sorted(sound)))
    with only_own_errors():
        use(sound | {name: drawn.draw(damaged(sound[name]))}, texts)


@given(texts=TEXTS, drawn=st.data())
def test_fields_of_a_tokenizer(sound, texts, drawn):
    name = drawn.draw(st.sampled_from(sorted(sound)))
    content = json.loads(sound[name])
    place = content["model"] if name == "tokenizer.json" and drawn.draw(st.booleans()) else content
    place |= drawn.draw(
        st.dictionaries(st.sampled_from(sorted(place)), ABSURD | JSON, min_size=1, max_size=2)
    )
    with only_own_errors():
        use(sound | {name: json.dumps(content).encode()}, texts)


def test_a_tokenizer_whose_unknown_token_is_missing(sound):
    content = json.loads(sound["tokenizer.json"])
    content["model"]["unk_token"] = "[NONE]"
    content["model"]["end_of_word_suffix"] = "</w>"
    damaged_files = sound | {"tokenizer.json": json.dumps(content).encode()}
    with pytest.raises(ValueError, match="cannot split a text into subwords: .*NONE"):
        use(damaged_files, ["0"])


def test_code_beside_a_tokenizer_is_not_run(sound, tmp_path):
    config = json.loads(sound["tokenizer_config.json"])
    for auto_map in ({"AutoTokenizer": [None, "own.Own"]}, ["own.Own", "own.Own"]):
        config["auto_map"], config["tokenizer_class"] = auto_map, "Own"
        (tmp_path / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own: pass\n")
        for name, content in (
            sound | {"tokenizer_config.json": json.dumps(config).encode()}
        ).items():
            (tmp_path / name).write_bytes(content)
        with only_own_errors():
            data.load_tokenizer(tmp_path)
        assert not (tmp_path / "ran").exists()


def test_code_of_a_data_set_is_never_run():
    pytest.importorskip("datasets")
    with pytest.raises(ValueError, match="trust_remote_code must not be given"):
        next(data.hugging_face_rows("someone/something", split="train", trust_remote_code=True))
