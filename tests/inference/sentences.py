"""A small vocabulary, tokenizers of every kind over it, and sentences."""

import functools

import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

SPECIALS = {
    "bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "xlm-roberta": ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
}
WORDS = ("a", "small", "house", "by", "the", "river", "was", "sold", "##s", "last", "week", ".")
SENTENCES = [
    "the river",
    "",
    "a small house by the river was sold last week .",
    "a " * 100,
    "the houses by the rivers",
    "something else",
    "small house . " * 7,
    "week",
    "the river",
]


def names(family: str) -> tuple[str, str, str, str, str]:
    """Those of padding, unknown, first, last and mask, in this order."""
    if family == "bert":
        return SPECIALS["bert"]
    cls, pad, sep, unk, mask = SPECIALS["xlm-roberta"]
    return pad, unk, cls, sep, mask


def vocabulary(family: str = "bert") -> dict[str, int]:
    return {word: number for number, word in enumerate((*SPECIALS[family], *WORDS))}


def bare(family: str = "bert") -> Tokenizer:
    """It adds no special tokens."""
    tokenizer = Tokenizer(models.WordPiece(vocabulary(family), unk_token=names(family)[1]))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def with_template(family: str = "bert") -> Tokenizer:
    tokenizer = bare(family)
    _, _, cls, sep, _ = names(family)
    ids = [(name, vocabulary(family)[name]) for name in (cls, sep)]
    tokenizer.post_processor = processors.TemplateProcessing(f"{cls} $A {sep}", special_tokens=ids)
    return tokenizer


@functools.cache
def fast(family: str = "bert") -> transformers.PreTrainedTokenizerFast:
    pad, unk, cls, sep, mask = names(family)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=with_template(family),
        pad_token=pad,
        unk_token=unk,
        cls_token=cls,
        sep_token=sep,
        mask_token=mask,
        model_max_length=40,
    )
