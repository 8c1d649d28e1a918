"""Tokenizers for tests: the real vocabularies of BERT, and small ones trained on a few lines."""

import functools
import os
from pathlib import Path

import pytest

from mmkd_jax.data import SubwordTokenizer

SHARED = Path(os.environ.get("MMKD_SHARED_DATA", "../shared/data"))
SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# In the order of English, German, Chinese, Thai, Arabic, Amharic.
TEXTS = [
    "The ferry leaves at nine, but nobody told the captain's daughter.",
    "Die Fähre fährt um neun ab, aber der Tochter des Kapitäns hat es niemand gesagt.",
    "渡轮九点出发，可是没有人告诉船长的女儿。",
    "เรือข้ามฟากออกเก้าโมง แต่ไม่มีใครบอกลูกสาวของกัปตัน",
    "تغادر العبّارة في التاسعة، لكن لم يخبر أحد ابنة القبطان.",
    "ጀልባው በሦስት ሰዓት ይነሳል፤ ነገር ግን ለካፒቴኑ ልጅ ማንም አልነገራትም።",
]


@functools.cache
def bert(name: str) -> SubwordTokenizer:
    """A real vocabulary: "uncased", "cased" or "multilingual-cased"."""
    from tokenizers.implementations import BertWordPieceTokenizer

    path = SHARED / "bert_vocab" / f"bert-base-{name}.vocab.txt"
    if not path.exists():
        pytest.skip(f"needs {path}; set MMKD_SHARED_DATA")
    lower = name == "uncased"
    whole = BertWordPieceTokenizer(str(path), lowercase=lower, strip_accents=lower)
    return SubwordTokenizer(whole._tokenizer)


@functools.cache
def words_of_letters(*texts: str) -> SubwordTokenizer:
    """A WordPiece vocabulary of the letters of some texts, and of pairs of letters within words."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    words = " ".join(texts or TEXTS).split()
    letters = sorted({letter for word in words for letter in word})
    pairs = sorted({word[i : i + 2] for word in words for i in range(len(word) - 1)})
    pieces = [*letters, *(f"##{letter}" for letter in letters), *pairs]
    vocabulary = {name: index for index, name in enumerate([*SPECIALS, *dict.fromkeys(pieces)])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return SubwordTokenizer(tokenizer)


@functools.cache
def unigram() -> SubwordTokenizer:
    """As XLM-R: SentencePiece's Unigram, with ▁ for a space."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=260, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    return SubwordTokenizer(tokenizer)


@functools.cache
def byte_level() -> SubwordTokenizer:
    """As RoBERTa: BPE over bytes, whose tokens hold the space before them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return SubwordTokenizer(tokenizer)
