"""What a word is: a rule about characters, the same whatever tokenizer reads the text."""

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np

_SPACE, _RUN, _SINGLE, _EXTEND = range(4)
HAN = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x40000))
_ZERO_WIDTH_SPACE = 0x200B


def word_spans(text: str) -> np.ndarray:
    """Where the words of a text begin and end, in characters.

    The rule, for all languages:

    * White space ends a word, and so does the zero-width space, with which Khmer and Thai may
      mark words.
    * A punctuation mark (and each of ``$+<=>^`|~``) is a word of its own, and so is a Han
      character: Chinese has no spaces, and BERT splits it like that.
    * Everything else between them is one word. Thai, Lao, Khmer and kana have no spaces either,
      and characters alone do not tell where their words end, so a run of them is one word.
    * What cannot stand alone belongs to the character before it: combining marks, variation
      selectors, joiners (ZWJ, ZWNJ), soft hyphens, other invisible characters.

    >>> from mmkd_jax.data import word_spans
    >>> text = "Don't eat 猫!"
    >>> [text[start:end] for start, end in word_spans(text)]
    ['Don', "'", 't', 'eat', '猫', '!']

    Returns:
      ``[W, 2]``, start and end of each word.
    """
    numbers, _, offsets = number_words([text])
    starts, ends = spans_of_numbers(numbers, int(offsets[-1]))
    return np.stack([starts, ends], axis=1).astype(np.int32)


def number_words(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers the words of all texts, laid end to end with a line feed between two.

    Returns:
      The number of the word of each character, -1 for spaces; where each text begins;
      how many words lie before each text, and altogether.
    """
    codes = _codes(texts)
    text_starts = starts_of(texts)
    starts = _word_starts(_classes()[codes])
    counts = np.concatenate([[0], np.cumsum(starts)])
    numbers = np.where(_is_space(codes), -1, counts[1:] - 1)
    offsets = np.append(counts[text_starts], counts[-1])
    return numbers, text_starts, offsets


def own_characters(texts: Sequence[str], places: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Pieces of the texts, laid end to end, without the spaces at their ends, and with their marks.

    Args:
      texts: joined by line feeds, in which places count.
      places: ``[n, 2]``, begin and end of each piece, in the order of the texts.
      blank: ``[n]``, pieces of which is known that they stand for no character.

    Returns:
      ``[n, 2]``; begin and end are the same where nothing is left.
    """
    classes = _classes()[_codes(texts)]
    count = len(classes)
    here = np.arange(count)
    text, bare = classes != _SPACE, classes != _EXTEND
    following = np.minimum.accumulate(np.where(text, here, count)[::-1])[::-1]
    preceding = np.maximum.accumulate(np.where(text, here, -1))
    next_bare = np.append(np.minimum.accumulate(np.where(bare, here, count)[::-1])[::-1], count)
    begins, ends = places.T
    some = (ends > begins) & ~blank
    inside = np.where(some, begins, 0), np.where(some, ends - 1, 0)
    begins = np.where(some, following[inside[0]], begins) if count else begins
    ends = np.where(some, preceding[inside[1]] + 1, begins) if count else begins
    some &= ends > begins
    ends = np.maximum(begins, ends)
    # Marks that no piece claims belong to what stands before them.
    nexts = np.append(np.minimum.accumulate(np.where(some, begins, count)[::-1])[::-1][1:], count)
    longer = np.minimum(next_bare[ends], np.maximum(nexts, ends))
    return np.stack([begins, np.where(some, longer, begins)], axis=1)


def starts_of(texts: Sequence[str]) -> np.ndarray:
    """Where each text begins once they are joined by single characters."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return np.cumsum(lengths + 1) - (lengths + 1)


def spans_of_numbers(numbers: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """First character of each word, and the one after its last."""
    places = np.flatnonzero(numbers >= 0)
    starts, ends = np.zeros(count, np.int64), np.zeros(count, np.int64)
    ends[numbers[places]] = places + 1  # of several assignments the last one stays
    starts[numbers[places[::-1]]] = places[::-1]
    return starts, ends


def _codes(texts: Sequence[str]) -> np.ndarray:
    """The code points of all texts, laid end to end with a line feed between two."""
    joined = "\n".join(texts)
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def _word_starts(classes: np.ndarray) -> np.ndarray:
    extends = classes == _EXTEND
    places = np.where(extends, -1, np.arange(len(classes)))
    base = np.maximum.accumulate(places) if len(places) else places
    base_class = np.where(base < 0, _SPACE, classes[base])
    # A mark that has nothing to lean on begins a word, which others then continue.
    classes_of_bases = np.where(extends & (base_class == _SPACE), _RUN, base_class)
    before = np.concatenate([[_SPACE], classes_of_bases[:-1]])
    begins_run = (classes_of_bases == _RUN) & (before != _RUN)
    return begins_run | (classes == _SINGLE)


def _is_space(codes: np.ndarray) -> np.ndarray:
    return _classes()[codes] == _SPACE


@functools.cache
def _classes() -> np.ndarray:
    """The class of every code point."""
    classes = np.full(0x110000, _RUN, np.uint8)
    # Planes 2 and 3 are Han, 4 to 13 are empty, 15 and 16 private.
    for code in [*range(0x20000), *range(0xE0000, 0xE1000)]:
        classes[code] = _class_of(chr(code))
    for first, last in HAN:
        classes[first:last] = _SINGLE
    return classes


def _class_of(character: str) -> int:
    category = unicodedata.category(character)
    if character.isspace() or ord(character) == _ZERO_WIDTH_SPACE:
        return _SPACE
    if category[0] == "M" or category in ("Cc", "Cf"):
        return _EXTEND
    if category[0] == "P" or (category[0] == "S" and character.isascii()):
        return _SINGLE
    return _RUN
