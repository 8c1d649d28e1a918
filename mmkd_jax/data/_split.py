"""Raw text as the words that taggers tag."""

import unicodedata

from mmkd_jax.data._words import HAN, word_spans

_JOIN_DIGITS = frozenset(".,:/")
_JOIN_LETTERS = frozenset("'’-‐‑.·_@&")
# Written without spaces.
_UNSPACED = (
    *((first, last - 1) for first, last in HAN),
    (0x0E00, 0x0EFF),  # Thai and Lao
    (0x0F00, 0x0FFF),  # Tibetan
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),
    (0xFF66, 0xFF9F),
)
_UNSPACED_FROM = min(first for first, _ in _UNSPACED)


def split_text(text: str) -> list[tuple[int, int]]:
    """Where the words of a raw text begin and end, in characters.

    The rule, for all languages:

    * White space ends a word, and so does the zero-width space.
    * A punctuation mark is a word of its own, unless it stands within one: one of ``. , : /``
      between digits, one of ``' ’ - . · _ @ &`` between letters or digits.
    * Scripts without spaces: each Chinese character is a word, each kana, and each character of
      Thai, Lao, Khmer, Burmese and Tibetan, with the marks on it. A tagger for such a language
      learns best from corpora that are split likewise.
    * Everything else is one word, with the marks on it.

    Corpora have rules of their own, which differ (is "don't" one word?): where they matter, give a
    tagger words instead of a text.

    >>> from mmkd_jax.data import split_text
    >>> text = "Ana's e-mail: 3,5 km (猫カ)."
    >>> [text[start:end] for start, end in split_text(text)]
    ["Ana's", 'e-mail', ':', '3,5', 'km', '(', '猫', 'カ', ')', '.']
    """
    found: list[tuple[int, int]] = []
    joining = False
    places = [
        place for start, end in word_spans(text).tolist() for place in _by_script(text, start, end)
    ]
    for number, (start, end) in enumerate(places):
        touches = bool(found) and found[-1][1] == start
        if joining and touches:
            found[-1] = (found[-1][0], end)
            joining = False
            continue
        after = places[number + 1] if number + 1 < len(places) else (-1, -1)
        joining = touches and end == after[0] and _joins(text, start, end)
        if joining:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def words_of(text: str) -> tuple[str, ...]:
    """The words of a raw text, as `split_text` finds them."""
    return tuple(text[start:end] for start, end in split_text(text))


def _by_script(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The pieces of a run: cut before and behind each character of a script without spaces."""
    if not any(_is_unspaced(text[i]) for i in range(start, end)):
        return [(start, end)]
    cuts = [start]
    for i in range(start + 1, end):
        before = text[cuts[-1]]
        if not _is_mark(text[i]) and (_is_unspaced(text[i]) or _is_unspaced(before)):
            cuts.append(i)
    return list(zip(cuts, [*cuts[1:], end], strict=True))


def _joins(text: str, start: int, end: int) -> bool:
    """Whether this mark holds together what stands before and behind it."""
    if end != start + 1:
        return False
    mark, before, after = text[start], text[start - 1], text[end]
    if _is_unspaced(before) or _is_unspaced(after):
        return False
    digits = before.isdigit() and after.isdigit()
    return (mark in _JOIN_DIGITS and digits) or (
        mark in _JOIN_LETTERS and _is_letter(before) and _is_letter(after)
    )


def _is_letter(character: str) -> bool:
    return character.isalnum() or _is_mark(character)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Mc", "Me", "Cf")


def _is_unspaced(character: str) -> bool:
    code = ord(character)
    return code >= _UNSPACED_FROM and any(first <= code <= last for first, last in _UNSPACED)
