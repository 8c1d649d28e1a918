"""Tags of sentences, with what can be said of them, by a tagger in memory."""

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from mmkd_jax import crf, data, models, tags
from mmkd_jax.crf import LinearChain
from mmkd_jax.inference._spans import span_probabilities
from mmkd_jax.inference._tagging import Guess, Tagging, tagging_of, words_in
from mmkd_jax.inference._windows import best_window, windows
from mmkd_jax.methods import Structured, StructuredSettings

_SHORTEST = 8
_SPECIALS = 2
_SLOTS = 2**15  # for words or subwords of sentences that are read at once
_PAIRS = 2**22  # pair marginals that are held at once


@dataclasses.dataclass(eq=False)
class SentenceTagger:
    """Tags sentences.

    ``params`` may be set anew, to those of a later training step say: nothing is compiled again.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import data, inference, models, tags
      >>> vocabulary = data.WordVocabulary.of_words(["Eva", "sees", "Rome"], min_count=1)
      >>> config = models.TaggerConfig(
      ...     tags=tags.TagSet.of_types(["PER", "LOC"]),
      ...     recurrent=models.RecurrentConfig(words=vocabulary.word_count, word_width=4, width=3))
      >>> words = jnp.ones((1, 3), int)
      >>> params = models.Tagger(config).init(jax.random.key(0), words > 0, words=words)["params"]
      >>> tagger = inference.SentenceTagger(config, params, vocabulary=vocabulary)
      >>> [found] = tagger(["Eva sees Rome."])
      >>> found.words, len(found.tags), len(found.probabilities)
      (('Eva', 'sees', 'Rome', '.'), 4, 4)

    Attributes:
      config: What it is made of.
      params: Of `models.Tagger`. None if they are to be set later.
      tokenizer: The transformer's, if there is one: a fast one of transformers, one of
        `tokenizers`, or a `data.SubwordTokenizer`.
      vocabulary: Of words and characters, if the tagger reads any.
      max_length: Subwords that the transformer reads at once, special tokens included. Longer
        sentences are read in windows, half of each new, every word in the one in which it has
        most around it; the best tags are those of the whole sentence even so. A tagger without a
        transformer reads a sentence of any length.
      languages: What it was trained on, as far as that is known.
      split: How texts become words: "text", by `data.split_text`, or "aspects", by
        `data.split_words`, as in corpora of aspect terms.
    """

    config: models.TaggerConfig
    params: Mapping | None
    tokenizer: Any = None
    vocabulary: data.WordVocabulary | None = None
    max_length: int = 128
    languages: tuple[str, ...] = ()
    split: str = "text"

    def __post_init__(self):
        recurrent = self.config.recurrent
        if (self.config.encoder is None) != (self.tokenizer is None):
            raise ValueError("tokenizer must be given for a tagger with an encoder, and only then")
        if recurrent and (recurrent.words or recurrent.characters) and self.vocabulary is None:
            raise ValueError("vocabulary must be given: the tagger reads words or characters")
        if self.split not in data.SPLITS:
            raise ValueError(f"split must be one of {', '.join(data.SPLITS)}, got {self.split!r}")
        if self.config.encoder is not None and not 3 <= self.max_length <= (
            self.config.encoder.longest
        ):
            raise ValueError(
                f"max_length must lie in 3..{self.config.encoder.longest}, which is how many "
                f"positions there are, got {self.max_length}"
            )

    def __call__(
        self,
        sentences: Sequence[str | Sequence[str]],
        k_best: int = 0,
        batch_size: int = 64,
    ) -> list[Tagging]:
        """Tags, spans and their probabilities.

        Args:
          sentences: Texts, which are split into words as `split` says, or lists of words.
          k_best: How many of the best tag sequences to give.
          batch_size: Sentences that are read at once; fewer where they are very long.
        """
        if k_best < 0:
            raise ValueError(f"k_best must be at least 0, got {k_best}")
        given = [words_in(sentence, self.split) for sentence in _listed(sentences)]
        found: list[Tagging | None] = [None] * len(given)
        for numbers, chain in self._chains([words for words, *_ in given], batch_size):
            for number, one in zip(numbers, self._read(chain, k_best), strict=False):
                found[number] = tagging_of(*given[number], one)
        return [tagging for tagging in found if tagging is not None]

    def tag(
        self, sentences: Sequence[Sequence[str]], batch_size: int = 64
    ) -> list[tuple[str, ...]]:
        """The best tags alone, one a word, which takes less time.

        Args:
          sentences: Lists of words.
          batch_size: Sentences that are read at once.
        """
        if any(isinstance(sentence, str) for sentence in _listed(sentences)):
            raise ValueError(
                "sentences must be lists of words here, got a text: split it by data.words_of, or "
                "call the tagger itself, which does"
            )
        found: list[tuple[str, ...]] = [()] * len(sentences)
        for numbers, chain in self._chains(list(sentences), batch_size):
            best, _ = crf.viterbi(chain)
            for number, row in zip(numbers, np.asarray(best), strict=False):
                found[number] = tuple(self.config.tags.decode(row))
        return found

    # --- From words to chains -------------------------------------------------------------------

    @functools.cached_property
    def _subwords(self) -> data.SubwordTokenizer | None:
        if self.tokenizer is None or isinstance(self.tokenizer, data.SubwordTokenizer):
            return self.tokenizer
        return data.SubwordTokenizer(self.tokenizer)

    def _chains(
        self, sentences: list[Sequence[str]], batch_size: int
    ) -> Iterator[tuple[np.ndarray, LinearChain]]:
        """Numbers of sentences, and the chain over the tags of each; long sentences first."""
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if self.params is None:
            raise ValueError("params must be set before the first sentence is tagged")
        if not sentences:
            return
        emissions, scores = self.emissions(sentences, batch_size)
        count = len(self.config.tags)
        lengths = np.array([len(each) for each in emissions])
        order = np.argsort(-lengths, kind="stable")
        begin = 0
        while begin < len(order):
            width = _width(int(lengths[order[begin]]))
            rows = _rows(batch_size, _PAIRS // (width * count**2))
            numbers = order[begin : begin + rows]
            padded = np.zeros((rows, width, count), np.float32)
            for row, number in zip(padded, numbers, strict=False):
                row[: lengths[number]] = emissions[number]
            of_rows = np.zeros(rows, np.int32)
            of_rows[: len(numbers)] = lengths[numbers]
            yield numbers, LinearChain(padded, **scores, lengths=of_rows)
            begin += rows

    def emissions(
        self, sentences: list[Sequence[str]], batch_size: int = 64
    ) -> tuple[list[np.ndarray], dict[str, Any]]:
        """What the chains are made of, for students of this tagger.

        Args:
          sentences: Lists of words.
          batch_size: Sentences that are read at once.

        Returns:
          ``[W, N]`` of each sentence; and what all chains have in common, "transitions" ``[N, N]``,
          "start" and "end" ``[N]`` (None for a softmax tagger).
        """
        pieces, places = self._pieces(sentences)
        numbered = data.tokenize_tagged(
            {"": pieces}, self.config.tags, self._subwords, self._longest(pieces), self.vocabulary
        )
        lengths = numbered.lengths
        order = np.argsort(-lengths[:, 1], kind="stable")
        found: list[np.ndarray] = [np.zeros((0, 0))] * len(pieces)
        scores: dict[str, Any] = {}
        begin = 0
        while begin < len(order):
            rows = _rows(batch_size, _SLOTS // _width(int(lengths[order[begin], 1])))
            example = np.full(rows, -1)
            chosen = order[begin : begin + rows]
            begin += rows
            example[: len(chosen)] = chosen
            words, width = (_width(int(n)) for n in lengths[chosen].max(axis=0))
            if self.config.encoder is not None:
                width = min(width, self.max_length)
            batch = data.tagged_batch(numbered, example, words, width, self._subwords)
            chain = _chain(self.config, self.params, batch)
            scores = {name: getattr(chain, name) for name in ("transitions", "start", "end")}
            for number, of_words in zip(chosen, np.asarray(chain.emissions), strict=False):
                found[number] = of_words[: lengths[number, 0]]
        return [_put_together(found, place) for place in places], scores

    def _longest(self, pieces: list[data.TaggedSentence]) -> int:
        if self.config.encoder is not None:
            return self.max_length
        return max(max(len(piece.words) for piece in pieces), 1)

    def _pieces(
        self, sentences: list[Sequence[str]]
    ) -> tuple[list[data.TaggedSentence], list["_Place"]]:
        """What is read at once, and what of it makes up each sentence."""
        whole = [tuple(sentence) for sentence in sentences]
        if self._subwords is None:
            pieces = [data.TaggedSentence(words, ()) for words in whole]
            return pieces, [
                _Place(number, np.zeros(len(words), int), np.arange(len(words)))
                for number, words in enumerate(whole)
            ]
        room = self.max_length - _SPECIALS
        whole = [self._shortened(words, room) for words in whole]
        encoded = self._subwords.encode_words(whole)
        pieces, places = [], []
        for number, words in enumerate(whole):
            counts = encoded.count[slice(*encoded.word_offsets[number : number + 2])]
            found = windows(counts, room) if len(words) else []
            taken = best_window(found, counts) if len(words) else np.zeros(0, int)
            begins = np.array([window.begin for window in found], int)
            places.append(_Place(len(pieces), taken, np.arange(len(words)) - begins[taken]))
            parts = found or [(0, 0)]
            pieces += [data.TaggedSentence(words[begin:end], ()) for begin, end in parts]
        return pieces, places

    def _shortened(self, words: tuple[str, ...], room: int) -> tuple[str, ...]:
        """Words that alone have more subwords than fit lose their end."""
        # A character has four bytes at most, and a byte one subword.
        if all(4 * len(word) <= room for word in words):
            return words
        counts = self._subwords.encode_words([words]).count
        return tuple(
            word if count <= room else word[: max(room // 4, 1)]
            for word, count in zip(words, counts, strict=True)
        )

    # --- From chains to answers -----------------------------------------------------------------

    def _read(self, chain: LinearChain, k_best: int) -> Iterator[dict[str, Any]]:
        """What there is to say of each sentence, as numbers."""
        best, marginals, score, total = jax.device_get(_best(chain))
        names = self.config.tags
        read = [names.decode(row) for row in best]
        spelled = [tags.spans(row) if names.scheme is not None else [] for row in read]
        sure = np.zeros((len(read), 0))
        if any(spelled):
            sure = np.asarray(span_probabilities(chain, names, _as_array(spelled, names)))
        paths, scores = ([()] * len(read),) * 2
        if k_best:
            paths, scores = jax.device_get(crf.k_best(chain, k_best))
        for row, found in enumerate(read):
            there = np.arange(len(found))
            yield {
                "tags": tuple(found),
                "probabilities": tuple(marginals[row][there, best[row][there]].tolist()),
                "spans": list(zip(spelled[row], sure[row].tolist(), strict=False)),
                "probability": float(np.exp(score[row] - total[row])),
                "marginals": marginals[row][: len(found)],
                "guesses": tuple(
                    Guess(tuple(names.decode(path)), float(np.exp(value - total[row])))
                    for path, value in zip(paths[row], scores[row], strict=True)
                    if value > -np.inf
                ),
            }


@functools.partial(jax.jit, static_argnums=0)
def _chain(config: models.TaggerConfig, params: Mapping, batch: data.TaggedBatch) -> LinearChain:
    return Structured(StructuredSettings(), config).chain(params, batch)


@jax.jit
def _best(chain: LinearChain) -> tuple[Array, Array, Array, Array]:
    best, score = crf.viterbi(chain)
    return best, crf.marginals(chain), score, crf.log_partition(chain)


def _as_array(spelled: list[list[tags.Span]], names: tags.TagSet) -> np.ndarray:
    """[B, S, 3], with room for a power of two, so that few shapes are compiled."""
    most = max(map(len, spelled))
    found = np.full((len(spelled), 1 << (most - 1).bit_length(), 3), -1, np.int32)
    for row, some in zip(found, spelled, strict=True):
        for place, (begin, end, kind) in enumerate(some):
            row[place] = begin, end, names.types.index(kind)
    return found


def _width(longest: int) -> int:
    """8, 16, 32, ...: room for so many."""
    return max(_SHORTEST, 1 << (longest - 1).bit_length()) if longest else _SHORTEST


def _rows(most: int, fits: int) -> int:
    """As many as fit: a power of two where that is fewer, so that few shapes are compiled."""
    return min(most, 1 << (max(fits, 1).bit_length() - 1))


class _Place(NamedTuple):
    """Where a sentence's words are among the pieces.

    Attributes:
      first: The number of its first piece.
      piece: ``[W]``, which of its pieces each word is taken from.
      word: ``[W]``, its place there.
    """

    first: int
    piece: np.ndarray
    word: np.ndarray


def _put_together(found: list[np.ndarray], place: _Place) -> np.ndarray:
    first, pieces, words = place
    if not pieces.any():
        return found[first][: len(words)]
    return np.stack([found[first + p][w] for p, w in zip(pieces, words, strict=True)])


def _listed(sentences: Sequence) -> Sequence:
    if isinstance(sentences, str):
        raise ValueError("sentences must be a list, got a text: put it into a list")
    return sentences
