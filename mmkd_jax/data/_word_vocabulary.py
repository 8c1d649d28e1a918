"""Words and characters as numbers, for taggers that read no subwords."""

import dataclasses
import functools
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mmkd_jax._json import described_by, read_json

PAD, UNKNOWN = 0, 1
_FIRST = 2  # the number of the first entry
_FILE = "words.json"


@dataclasses.dataclass(frozen=True)
class WordVocabulary:
    """The words and the characters of a corpus, both numbered from 2; 0 is padding, 1 unknown.

    A pure function of the corpus, in any order.

    >>> from mmkd_jax.data import WordVocabulary
    >>> vocabulary = WordVocabulary.of_words("the cat and the dog".split(), min_count=2)
    >>> vocabulary.words, vocabulary.encode_words(["the", "cow"]).tolist()
    (('the',), [2, 1])
    >>> vocabulary.encode_characters(["the", "cow"]).tolist()
    [[2, 6, 5], [1, 1, 1]]

    Attributes:
      words: The most frequent first, without padding and unknown.
      characters: Likewise.
      lowercase: Whether words are looked up without their capitals. Characters keep theirs.
      longest: So many characters of a word are read at most: of longer words the first and the
        last, half and half.
    """

    words: tuple[str, ...]
    characters: tuple[str, ...]
    lowercase: bool = False
    longest: int = 20

    def __post_init__(self):
        if self.longest < 2:
            raise ValueError(f"longest must be at least 2, got {self.longest}")

    @classmethod
    def of_words(
        cls,
        words: Iterable[str],
        min_count: int = 2,
        lowercase: bool = False,
        limit: int | None = None,
        character_limit: int | None = None,
        longest: int = 20,
    ) -> "WordVocabulary":
        """The vocabulary of a corpus.

        Args:
          words: All of its words, in any order, as often as they come.
          min_count: What comes less often is unknown: with 1, a tagger never meets an unknown word
            while it learns.
          lowercase: As in `WordVocabulary`.
          limit: So many words at most, the most frequent ones; None for all.
          character_limit: Likewise of characters.
          longest: As in `WordVocabulary`.
        """
        if min_count < 1:
            raise ValueError(f"min_count must be at least 1, got {min_count}")
        counts = Counter(words)
        characters: Counter[str] = Counter()
        for word, count in counts.items():
            for character in word:
                characters[character] += count
        if lowercase:
            lowered: Counter[str] = Counter()
            for word, count in counts.items():
                lowered[word.lower()] += count
            counts = lowered
        return cls(
            _frequent(counts, min_count)[:limit],
            _frequent(characters, min_count)[:character_limit],
            lowercase,
            longest,
        )

    @property
    def word_count(self) -> int:
        """Rows of a word table, padding and unknown included."""
        return len(self.words) + _FIRST

    @property
    def character_count(self) -> int:
        """Rows of a character table, padding and unknown included."""
        return len(self.characters) + _FIRST

    def encode_words(self, words: Sequence[str]) -> np.ndarray:
        """``[W]`` int32, the number of each word."""
        known = self._word_numbers
        if self.lowercase:
            words = [word.lower() for word in words]
        return np.array([known.get(word, UNKNOWN) for word in words], np.int32)

    def encode_characters(self, words: Sequence[str]) -> np.ndarray:
        """``[W, C]`` int32, the numbers of each word's characters, C those of the longest word."""
        known, half = self._character_numbers, self.longest // 2
        rows = [
            word if len(word) <= self.longest else word[: self.longest - half] + word[-half:]
            for word in words
        ]
        found = np.zeros((len(rows), max(map(len, rows), default=0)), np.int32)
        for row, word in zip(found, rows, strict=True):
            row[: len(word)] = [known.get(character, UNKNOWN) for character in word]
        return found

    def save(self, folder: str | Path) -> None:
        """Writes ``words.json`` into a folder: all of it or nothing."""
        text = json.dumps(dataclasses.asdict(self), ensure_ascii=False)
        half = Path(folder) / f".{_FILE}-{uuid.uuid4().hex}"
        half.write_text(text + "\n", encoding="utf-8")
        half.replace(Path(folder) / _FILE)

    @classmethod
    def load(cls, folder: str | Path) -> "WordVocabulary":
        """Reads what `save` wrote."""
        path = Path(folder) / _FILE
        found = read_json(path)
        with described_by(path):
            return cls(**found | {name: tuple(found[name]) for name in ("words", "characters")})

    @functools.cached_property
    def _word_numbers(self) -> dict[str, int]:
        return {word: number for number, word in enumerate(self.words, _FIRST)}

    @functools.cached_property
    def _character_numbers(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.characters, _FIRST)}


def _frequent(counts: Counter[str], min_count: int) -> tuple[str, ...]:
    """Where two come equally often, the order is theirs."""
    ordered = sorted(counts, key=lambda entry: (-counts[entry], entry))
    return tuple(entry for entry in ordered if counts[entry] >= min_count)
