"""From words to subwords, under any fast tokenizer, by character offsets."""

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax.data._tokenizers import failures_as_messages
from mmkd_jax.data._words import number_words, own_characters, starts_of

# What BERT and what RoBERTa, XLM-R and SentencePiece call their special tokens.
_NAMES = {
    "cls": ("[CLS]", "<s>"),
    "sep": ("[SEP]", "</s>"),
    "pad": ("[PAD]", "<pad>"),
    "mask": ("[MASK]", "<mask>"),
    "unk": ("[UNK]", "<unk>"),
}


class Subwords(NamedTuple):
    """The subwords of many texts, laid end to end. `text(i)` has those of one.

    Attributes:
      ids: ``[tokens]``, vocabulary indices, without special tokens.
      word_of: ``[tokens]``, the number of each subword's word within its text, -1 for none.
      first: ``[words]``, each word's first subword, counted within its text; -1 if the tokenizer
        drops the word or merges it with another.
      count: ``[words]``, how many subwords it has, one after the other.
      token_offsets: ``[texts + 1]``, where the subwords of each text begin.
      word_offsets: ``[texts + 1]``, where the words of each text begin.
    """

    ids: np.ndarray
    word_of: np.ndarray
    first: np.ndarray
    count: np.ndarray
    token_offsets: np.ndarray
    word_offsets: np.ndarray

    def text(self, index: int) -> "Subwords":
        """Only one of the texts."""
        tokens = slice(*self.token_offsets[index : index + 2])
        words = slice(*self.word_offsets[index : index + 2])
        return Subwords(
            self.ids[tokens],
            self.word_of[tokens],
            self.first[words],
            self.count[words],
            np.array([0, tokens.stop - tokens.start]),
            np.array([0, words.stop - words.start]),
        )

    def truncated(self, most: int) -> "Subwords":
        """Keeps at most so many subwords of each text; a word that is cut counts as dropped."""
        if most < 0:
            raise ValueError(f"most must be at least 0, got {most}")
        lengths = np.diff(self.token_offsets)
        kept = np.minimum(lengths, most)
        place = np.arange(len(self.ids)) - np.repeat(self.token_offsets[:-1], lengths)
        inside = place < most
        whole = (self.first >= 0) & (self.first + self.count <= most)
        words_before = np.repeat(self.word_offsets[:-1], lengths)[inside]
        word_of = self.word_of[inside]
        # Index -1, of subwords without a word, is that of the False at the end.
        word = np.where(word_of >= 0, words_before + word_of, -1)
        return Subwords(
            self.ids[inside],
            np.where(np.append(whole, False)[word], word_of, -1).astype(np.int32),
            np.where(whole, self.first, -1).astype(np.int32),
            np.where(whole, self.count, 0).astype(np.int32),
            np.concatenate([[0], np.cumsum(kept)]),
            self.word_offsets,
        )


class Specials(NamedTuple):
    """The special tokens of a vocabulary, and how a row is put together with them.

    Attributes:
      cls: begins each row.
      sep: ends each text.
      pad: fills a row up.
      mask: stands for a masked token; -1 where the vocabulary has none.
      unk: stands for what the vocabulary cannot spell; -1 where it has none.
      separators: how many `sep` stand between two texts, 1 (BERT) or 2 (RoBERTa, XLM-R).
      all: every special token; none of them is ever masked.
    """

    cls: int
    sep: int
    pad: int
    mask: int
    unk: int
    separators: int
    all: tuple[int, ...]


class SubwordTokenizer:
    """A fast tokenizer, from `tokenizers` or from `transformers`, that knows words.

    What looks like a special token in a text is text, padding and truncation are off, and no
    special tokens are added.

    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> from mmkd_jax.data import SubwordTokenizer
    >>> names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "an", "##ew", "cat"]
    >>> vocabulary = {name: index for index, name in enumerate(names)}
    >>> bare = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    >>> bare.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    >>> encoded = SubwordTokenizer(bare).encode(["anew cat", "dog"])
    >>> encoded.ids, encoded.word_of
    (array([5, 6, 7, 1], dtype=int32), array([0, 0, 1, 0], dtype=int32))

    Args:
      tokenizer: a `tokenizers.Tokenizer`, or a `transformers.PreTrainedTokenizerFast`. It is
        copied, not changed.

    Attributes:
      specials: the special tokens.
      vocabulary_size: the number of ids.
      ordinary: ``[n]``, all ids but special and unused ones: what random tokens are drawn from.
    """

    specials: Specials
    vocabulary_size: int
    ordinary: np.ndarray

    def __init__(self, tokenizer: Any):
        from tokenizers import Tokenizer

        backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
        if not isinstance(backend, Tokenizer):
            raise ValueError(
                f"tokenizer must be a fast one, from tokenizers or transformers, got {tokenizer!r}"
            )
        self._tokenizer = Tokenizer.from_str(backend.to_str())
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True
        vocabulary = self._tokenizer.get_vocab()
        self.vocabulary_size = 1 + max(vocabulary.values())
        self.specials = _find_specials(self._tokenizer, tokenizer)
        unused = [index for name, index in vocabulary.items() if name.startswith("[unused")]
        taken = np.array([*self.specials.all, *unused], np.int64)
        self.ordinary = np.setdiff1d(np.array(sorted(vocabulary.values())), taken).astype(np.int32)
        # SentencePiece and byte-level vocabularies have a token for a space alone, whose offsets
        # may claim the character behind it.
        self._is_blank = np.zeros(self.vocabulary_size, bool)
        blanks = [index for name, index in vocabulary.items() if not name.strip("▁Ġ ")]
        self._is_blank[blanks] = True

    @functools.cached_property
    def hash(self) -> str:
        """Says whether two tokenizers are the same: vocabulary, rules and special tokens."""
        content = json.loads(self._tokenizer.to_str())
        text = json.dumps([content, self.specials], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def encode(self, texts: Sequence[str]) -> Subwords:
        """The subwords of texts, whose words `word_spans` finds."""
        texts = list(texts)
        numbers, text_starts, word_offsets = number_words(texts)
        return self._encode(texts, numbers, text_starts, word_offsets)

    def encode_without_words(self, texts: Sequence[str]) -> Subwords:
        """The subwords of texts of which no words are asked for: quicker."""
        texts = list(texts)
        codes = self._codes(texts, places=False)
        lists = [code.ids for code in codes]
        offsets = _offsets(np.fromiter(map(len, lists), np.int64, len(lists)))
        ids = _flat(lists, int(offsets[-1])).astype(np.int32)
        nothing = np.zeros(0, np.int32)
        no_word = np.full(len(ids), -1, np.int32)
        return Subwords(ids, no_word, nothing, nothing, offsets, np.zeros_like(offsets))

    def encode_with_places(self, texts: Sequence[str]) -> tuple[Subwords, np.ndarray]:
        """As `encode_without_words`, with the characters that each subword stands for.

        Spaces belong to no subword. What a tokenizer drops and what cannot stand alone, such as
        vowel signs of Hindi or Thai, belongs to the subword before it.

        >>> from mmkd_jax.data import SubwordTokenizer, train_vocabulary
        >>> tokenizer = SubwordTokenizer(train_vocabulary(["low lower"], size=12))
        >>> found, places = tokenizer.encode_with_places([" low  lower"])
        >>> [" low  lower"[begin:end] for begin, end in places]
        ['low', 'low', 'e', 'r']

        Returns:
          The subwords, and ``[tokens, 2]``: first character of each within its text, and the one
          after its last. A subword of spaces alone stands for none: both are the same.
        """
        texts = list(texts)
        codes = self._codes(texts)
        lengths = np.fromiter(map(len, codes), np.int64, len(codes))
        offsets = _offsets(lengths)
        total = int(offsets[-1])
        ids = _flat((code.ids for code in codes), total).astype(np.int32)
        pairs = chain.from_iterable(code.offsets for code in codes)
        before = np.repeat(starts_of(texts), lengths)[:, None]
        places = _flat(pairs, 2 * total).reshape(-1, 2) + before
        places = own_characters(texts, places, self._is_blank[ids]) - before
        nothing, no_word = np.zeros(0, np.int32), np.full(total, -1, np.int32)
        found = Subwords(ids, no_word, nothing, nothing, offsets, np.zeros_like(offsets))
        return found, places.astype(np.int32)

    def encode_words(self, sentences: Sequence[Sequence[str]]) -> Subwords:
        """The subwords of sentences that are split into words already.

        Every word has subwords: one that the tokenizer drops becomes the unknown token. A word
        may hold spaces.

        >>> from tokenizers import Tokenizer, models, pre_tokenizers
        >>> from mmkd_jax.data import SubwordTokenizer
        >>> vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "an": 4, "##ew": 5}
        >>> bare = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
        >>> bare.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        >>> SubwordTokenizer(bare).encode_words([["anew", "", "an"]]).first
        array([0, 2, 3], dtype=int32)
        """
        texts = [" ".join(words) for words in sentences]
        counts = np.array([len(words) for words in sentences], np.int64)
        word_offsets = np.concatenate([[0], np.cumsum(counts)])
        numbers = _numbers_of_words(sentences)
        encoded = self._encode(texts, numbers, starts_of(texts), word_offsets)
        lost = np.concatenate([[0], np.cumsum(encoded.first < 0)])[word_offsets]
        if not lost[-1:].any():
            return encoded
        wrong = np.diff(lost) > 0
        return _joined(
            self._word_by_word(words) if wrong[i] else encoded.text(i)
            for i, words in enumerate(sentences)
        )

    def _word_by_word(self, words: Sequence[str]) -> Subwords:
        """For the rare sentences in which spaces do not keep words apart, or words vanish."""
        found = [code.ids or [self.specials.unk] for code in self._codes(list(words))]
        count = np.array([len(ids) for ids in found], np.int32)
        ends = np.cumsum(count)
        return Subwords(
            np.array(list(chain.from_iterable(found)), np.int32),
            np.repeat(np.arange(len(words), dtype=np.int32), count),
            (ends - count).astype(np.int32),
            count,
            np.array([0, ends[-1]]),
            np.array([0, len(words)]),
        )

    def _codes(self, texts: list[str], places: bool = True) -> list[Any]:
        """What the tokenizer makes of texts; quicker without their subwords' places."""
        # Some tokenizers can be read, but cannot spell: an unknown token may be missing.
        with failures_as_messages("the tokenizer cannot split a text into subwords"):
            encode = self._tokenizer.encode_batch if places else self._tokenizer.encode_batch_fast
            return encode(texts, add_special_tokens=False)

    def _encode(
        self,
        texts: list[str],
        numbers: np.ndarray,
        text_starts: np.ndarray,
        word_offsets: np.ndarray,
    ) -> Subwords:
        codes = self._codes(texts)
        lengths = np.fromiter(map(len, codes), np.int64, len(codes))
        token_offsets = _offsets(lengths)
        total = int(token_offsets[-1])
        ids = _flat((code.ids for code in codes), total)
        pairs = chain.from_iterable(code.offsets for code in codes)
        places = _flat(pairs, 2 * total).reshape(-1, 2)
        places = places + np.repeat(text_starts, lengths)[:, None]
        word_of = _words_of_tokens(numbers, places, self._is_blank[ids])
        word_of, first, count = _by_word(word_of, int(word_offsets[-1]))
        # From here on words and tokens are numbered within their texts.
        before = np.repeat(token_offsets[:-1], np.diff(word_offsets))
        first = np.where(first >= 0, first - before, -1)
        word_of = np.where(word_of >= 0, word_of - np.repeat(word_offsets[:-1], lengths), -1)
        return Subwords(
            ids.astype(np.int32),
            word_of.astype(np.int32),
            first.astype(np.int32),
            count.astype(np.int32),
            token_offsets,
            word_offsets,
        )


def paired_words(one: Subwords, other: Subwords) -> np.ndarray:
    """Which words of the same texts have subwords of their own under both of two tokenizers.

    A word that one of them drops (a lone accent, say) or merges with its neighbour is left out.

    Returns:
      ``[words]`` booleans. The words that stay are numbered alike on both sides.
    """
    if not np.array_equal(one.word_offsets, other.word_offsets):
        raise ValueError(
            "one and other must be of the same texts, got "
            f"{np.diff(one.word_offsets).tolist()[:8]} and "
            f"{np.diff(other.word_offsets).tolist()[:8]}... words"
        )
    return (one.first >= 0) & (other.first >= 0)


def _words_of_tokens(numbers: np.ndarray, places: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """The word of each token: the one that all its characters but spaces belong to, or -1."""
    here = np.arange(len(numbers))
    in_word = numbers >= 0
    following = np.minimum.accumulate(np.where(in_word, here, len(here))[::-1])[::-1]
    preceding = np.maximum.accumulate(np.where(in_word, here, -1))
    starts, ends = places.T
    with_text = (ends > starts) & ~blank
    firsts = np.full(len(places), -1)
    lasts = np.full(len(places), -1)
    firsts[with_text] = following[starts[with_text]]
    lasts[with_text] = preceding[ends[with_text] - 1]
    with_text &= lasts >= firsts
    first_word = np.where(with_text, numbers[np.where(with_text, firsts, 0)], -1)
    last_word = np.where(with_text, numbers[np.where(with_text, lasts, 0)], -1)
    # A token of several words takes all of them away: none has a subword of its own.
    merging = first_word < last_word
    change = np.zeros(numbers.max(initial=-1) + 3, np.int64)
    np.add.at(change, first_word[merging], 1)
    np.add.at(change, last_word[merging] + 1, -1)
    merged = np.cumsum(change) > 0
    return np.where(merged[first_word] & (first_word >= 0), -1, first_word)


def _by_word(word_of: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """First token and number of tokens of each word, where they stand one after the other."""
    tokens = np.flatnonzero(word_of >= 0)
    owners = word_of[tokens]
    first, last = np.full(words, -1), np.full(words, -1)
    last[owners] = tokens  # of several assignments the last one stays
    first[owners[::-1]] = tokens[::-1]
    count = np.bincount(owners, minlength=words)
    torn = (first >= 0) & (last - first + 1 != count)
    if torn.any():
        first, count = np.where(torn, -1, first), np.where(torn, 0, count)
        word_of = np.where((word_of >= 0) & torn[word_of], -1, word_of)
    return word_of, first, count


def _numbers_of_words(sentences: Sequence[Sequence[str]]) -> np.ndarray:
    """The word of each character of the sentences, joined by spaces, and those by line feeds."""
    words = list(chain.from_iterable([*sentence, None] for sentence in sentences))
    joins = np.array([word is None for word in words], bool)
    lengths = np.array([0 if word is None else len(word) for word in words], np.int64)
    numbers = np.repeat(np.where(joins, -1, np.cumsum(~joins) - 1), lengths)
    # A separator stands behind each word, and the one of the last word is the line feed. A
    # sentence without words has a line feed too.
    empty = np.array([len(sentence) == 0 for sentence in sentences], bool)
    behind = np.where(joins, 0, 1)
    behind[joins] = empty
    slots = np.cumsum(lengths + behind) - behind
    laid = np.full(int((lengths + behind).sum()), -1, np.int64)
    is_text = np.ones(len(laid), bool)
    is_text[slots[behind > 0]] = False
    laid[is_text] = numbers
    return laid[:-1]


def _joined(parts: Iterable[Subwords]) -> Subwords:
    parts = list(parts)
    tokens = np.cumsum([0] + [len(part.ids) for part in parts])
    words = np.cumsum([0] + [len(part.first) for part in parts])
    columns = (np.concatenate(column) for column in list(zip(*parts, strict=True))[:4])
    return Subwords(*columns, tokens, words)


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


def _flat(lists: Iterable[Iterable[int]], count: int) -> np.ndarray:
    return np.fromiter(chain.from_iterable(lists), np.int64, count)


def _find_specials(backend: Any, tokenizer: Any) -> Specials:
    found = {}
    for role, names in _NAMES.items():
        index = getattr(tokenizer, f"{role}_token_id", None)
        known = [backend.token_to_id(name) for name in names]
        found[role] = next((i for i in [index, *known] if i is not None), -1)
    if missing := [role for role in ("cls", "sep", "pad") if found[role] < 0]:
        raise ValueError(
            f"tokenizer must have a token for each of cls, sep and pad, but lacks {missing}; "
            f"names tried: {[_NAMES[role] for role in missing]}"
        )
    added = backend.get_added_tokens_decoder()
    special = {index for index, token in added.items() if token.special}
    special |= {index for index in found.values() if index >= 0}
    # 3 in `[CLS] a [SEP] b [SEP]`; a tokenizer without a template says 0.
    separators = 2 if backend.num_special_tokens_to_add(True) == 4 else 1
    return Specials(**found, separators=separators, all=tuple(sorted(special)))
