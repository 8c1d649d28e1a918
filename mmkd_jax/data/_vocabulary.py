"""Small vocabularies of one's own, for experiments without downloads."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPECIALS = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
_LETTERS = 0.5  # of a vocabulary, so much at most is single characters


def train_vocabulary(texts: Iterable[str], size: int, lowercase: bool = False) -> "Tokenizer":
    """Byte pairs of some texts, among BERT's special tokens and by its rules for words.

    A pure function of the texts, in any order. (WordPiece as `tokenizers` trains it is not: it
    numbers the characters within words in the order of a hash table, which differs between
    processes.) Of many characters, as in Chinese, the most frequent ones stay, so that they make
    up half of the vocabulary at most; others are unknown.

    >>> from mmkd_jax.data import SubwordTokenizer, train_vocabulary
    >>> tokenizer = train_vocabulary(["low lower lowest", "newer wider new"], size=25)
    >>> tokenizer.encode("newest low").tokens
    ['[CLS]', 'new', 'es', 't', 'low', '[SEP]']
    >>> SubwordTokenizer(tokenizer).specials.pad
    0

    Args:
      texts: what to learn from.
      size: tokens at most, special ones included.
      lowercase: whether to lower the case and drop accents first, as uncased BERT does.

    Returns:
      A tokenizer that `SubwordTokenizer` takes and `save_vocabulary` saves.
    """
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    if size < 2 * len(_SPECIALS):
        raise ValueError(f"size must be at least {2 * len(_SPECIALS)}, got {size}")
    tokenizer = Tokenizer(models.BPE(unk_token=_SPECIALS["unk"]))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    texts = list(texts)
    letters = _most_frequent_letters(tokenizer, texts, int(_LETTERS * size))
    if not letters:
        raise ValueError("texts must hold at least one word")
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(_SPECIALS.values()),
        initial_alphabet=letters,
        limit_alphabet=len(letters),  # just these
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    cls, sep = _SPECIALS["cls"], _SPECIALS["sep"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=f"{cls} $A {sep} $B:1 {sep}:1",
        special_tokens=[(name, tokenizer.token_to_id(name)) for name in (cls, sep)],
    )
    return tokenizer


def save_vocabulary(tokenizer: "Tokenizer", folder: str | Path) -> None:
    """Writes a folder that transformers reads: ``AutoTokenizer.from_pretrained(folder)``.

    Args:
      tokenizer: with the special tokens that `train_vocabulary` gives it.
      folder: is made if it is not there.
    """
    if missing := [name for name in _SPECIALS.values() if tokenizer.token_to_id(name) is None]:
        raise ValueError(f"tokenizer must have all of BERT's special tokens, it lacks {missing}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"tokenizer_class": "PreTrainedTokenizerFast"}
    config |= {f"{role}_token": name for role, name in _SPECIALS.items()}
    config["model_input_names"] = ["input_ids", "token_type_ids", "attention_mask"]
    text = json.dumps(config, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")


def _most_frequent_letters(tokenizer: "Tokenizer", texts: list[str], most: int) -> list[str]:
    """The characters of all words; where two come equally often, the order is theirs."""
    counts: Counter[str] = Counter()
    for text in texts:
        normal = tokenizer.normalizer.normalize_str(text)
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal):
            counts.update(word)
    return sorted(counts, key=lambda letter: (-counts[letter], letter))[:most]
