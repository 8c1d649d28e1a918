"""Vocabularies trained on a few texts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmkd_jax.data import SubwordTokenizer, sample, save_vocabulary, train_vocabulary

ROOT = Path(__file__).resolve().parents[2]
LANGUAGES = ("de", "zh", "hi", "ru")


def texts():
    return [text for code in LANGUAGES for pair in sample.pairs(code, "train") for text in pair]


def trained(size=400, lowercase=False):
    return train_vocabulary(texts(), size, lowercase)


def test_it_has_the_size_and_special_tokens_of_bert():
    tokenizer = trained()
    assert tokenizer.get_vocab_size() == 400
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert [tokenizer.token_to_id(name) for name in names] == [0, 1, 2, 3, 4]
    ids = tokenizer.encode("Wo?", "Da!")
    assert (ids.tokens[0], ids.tokens[-1], ids.tokens.count("[SEP]")) == ("[CLS]", "[SEP]", 2)
    assert ids.type_ids[0] == 0
    assert ids.type_ids[-1] == 1


def test_many_characters_leave_room_for_words():
    tokenizer = trained(300)
    letters = [token for token in tokenizer.get_vocab() if len(token) == 1]
    assert len(letters) == 150
    assert any(len(token) > 3 for token in tokenizer.get_vocab() if token[0] != "[")
    assert "[UNK]" in tokenizer.encode("渡轮九点出发").tokens


def test_common_words_are_short():
    tokens = SubwordTokenizer(trained(2000)).encode(texts())
    assert len(tokens.ids) < 0.4 * sum(map(len, texts()))
    assert (tokens.first >= 0).all()  # every word has subwords of its own


def test_lowercase_drops_accents_too():
    tokenizer = trained(lowercase=True)
    assert tokenizer.encode("Fähre").ids == tokenizer.encode("fahre").ids
    cased = trained()
    assert cased.encode("Fähre").ids != cased.encode("fahre").ids


PROGRAM = """
import sys
from mmkd_jax.data import save_vocabulary
from tests.data.test_vocabulary import trained
save_vocabulary(trained(), sys.argv[1])
"""


def test_it_is_a_pure_function_of_the_corpus(tmp_path):
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(tmp_path / seed)],
            env=os.environ | {"PYTHONPATH": path, "PYTHONHASHSEED": seed},
            check=True,
            timeout=120,
        )
    save_vocabulary(train_vocabulary(iter(texts()[::-1]), 400), tmp_path / "reversed")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        found = {(tmp_path / folder / name).read_bytes() for folder in ("1", "2", "reversed")}
        assert len(found) == 1


@pytest.mark.parametrize("loader", ["PreTrainedTokenizerFast", "AutoTokenizer"])
def test_transformers_reads_it_back(tmp_path, loader):
    import transformers

    tokenizer = trained()
    save_vocabulary(tokenizer, tmp_path / "new" / "folder")
    loaded = getattr(transformers, loader).from_pretrained(tmp_path / "new" / "folder")
    assert (loaded.pad_token_id, loaded.mask_token, loaded.unk_token) == (0, "[MASK]", "[UNK]")
    for text in texts()[::40]:
        assert loaded(text)["input_ids"] == tokenizer.encode(text).ids
    both = loaded("Wo?", "Da!", padding="max_length", max_length=20)
    expected = tokenizer.encode("Wo?", "Da!")
    assert both["token_type_ids"][: len(expected.ids)] == expected.type_ids
    ours, theirs = SubwordTokenizer(tokenizer), SubwordTokenizer(loaded)
    assert ours.hash == theirs.hash
    assert ours.specials == theirs.specials
    assert ours.specials[:5] == (2, 3, 0, 4, 1)
    assert not set(ours.specials.all) & set(ours.ordinary.tolist())


def test_errors(tmp_path):
    with pytest.raises(ValueError, match="size must be at least 10, got 9"):
        train_vocabulary(["a"], 9)
    for nothing in ([], [" ", ""]):
        with pytest.raises(ValueError, match="texts must hold at least one word"):
            train_vocabulary(nothing, 100)
    from tokenizers import Tokenizer, models

    with pytest.raises(ValueError, match=r"it lacks \['\[PAD\]', '\[UNK\]'"):
        save_vocabulary(Tokenizer(models.BPE()), tmp_path)
