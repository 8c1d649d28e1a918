"""Chunk schemes: how tags spell out spans, which sequences are legal, and how to rewrite them."""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

OUTSIDE = "O"

# The letters of each scheme, in the order in which a tag set lists them.
LETTERS = {"IO": "I", "IOB1": "BI", "BIO": "BI", "BIOES": "BIES"}
_ALIASES = {"IOB2": "BIO", "IOBES": "BIOES"}
_CHUNK_TAG = re.compile("([BIES])-(.+)", flags=re.DOTALL)


class Span(NamedTuple):
    """A typed stretch of tokens, ``tokens[start:end]``."""

    start: int
    end: int
    type: str


class IllegalTagsError(ValueError):
    """A tag sequence that its scheme does not allow.

    Attributes:
      position: of the tag that cannot stand where it does, counted from 0.
    """

    __module__ = "mmkd_jax.tags"  # where users find it, in tracebacks too

    def __init__(self, message: str, position: int):
        super().__init__(message)
        self.position = position

    def __reduce__(self):
        # Readers that run in other processes send their errors home.
        return type(self), (*self.args, self.position)


def scheme_name(scheme: str) -> str:
    """The one spelling of a scheme's name; ValueError for what is none.

    >>> from mmkd_jax.tags import scheme_name
    >>> scheme_name("IOB2"), scheme_name("bioes")
    ('BIO', 'BIOES')
    """
    name = _ALIASES.get(scheme.upper(), scheme.upper())
    if name not in LETTERS:
        known = ", ".join([*LETTERS, *_ALIASES])
        raise ValueError(f"scheme must be one of {known}, got {scheme!r}")
    return name


def split(tag: str) -> tuple[str, str]:
    """The letter and the type of a chunk tag; ValueError for what is none.

    >>> from mmkd_jax.tags import split
    >>> split("B-PER"), split("O")
    (('B', 'PER'), ('O', ''))
    """
    if tag == OUTSIDE:
        return OUTSIDE, ""
    if match := _CHUNK_TAG.fullmatch(tag):
        return match[1], match[2]
    raise ValueError(f"{tag!r} is neither {OUTSIDE} nor one of B-, I-, E-, S- and a type")


def may_follow(before: str | None, after: str | None, scheme: str) -> bool:
    """Whether a tag may come right after another; None stands for the edge of the sequence.

    >>> from mmkd_jax.tags import may_follow
    >>> may_follow("O", "I-PER", "IOB1"), may_follow("O", "I-PER", "BIO")
    (True, False)
    >>> may_follow("B-PER", None, "BIOES")  # nothing has ended the span
    False
    """
    scheme = scheme_name(scheme)
    letter, kind = split(OUTSIDE if before is None else before)
    next_letter, next_kind = split(OUTSIDE if after is None else after)
    inside = letter in "BI" and kind == next_kind
    if scheme == "IO":
        return True
    if scheme == "IOB1":
        return next_letter != "B" or inside
    if scheme == "BIO":
        return next_letter != "I" or inside
    return inside and next_letter in "IE" if letter in "BI" else next_letter not in "IE"


def check_legal(tags: Sequence[str], scheme: str) -> None:
    """Raises `IllegalTagsError`, which names the position, unless the scheme allows the tags.

    >>> from mmkd_jax.tags import check_legal
    >>> check_legal(["B-PER", "I-PER", "O"], "BIO")
    >>> check_legal(["O", "I-PER", "O"], "BIO")
    Traceback (most recent call last):
    mmkd_jax.tags.IllegalTagsError: tag 1, 'I-PER', may not follow 'O' in BIO
    """
    scheme = scheme_name(scheme)
    before = None
    for position, tag in enumerate(tags):
        letter, _ = _split_at(tag, position)
        if letter != OUTSIDE and letter not in LETTERS[scheme]:
            raise IllegalTagsError(f"tag {position}, {tag!r}, is no tag of {scheme}", position)
        if not may_follow(before, tag, scheme):
            where = "stand first" if before is None else f"follow {before!r}"
            raise IllegalTagsError(
                f"tag {position}, {tag!r}, may not {where} in {scheme}", position
            )
        before = tag
    if before is not None and not may_follow(before, None, scheme):
        last = len(tags) - 1
        raise IllegalTagsError(f"tag {last}, {before!r}, may not stand last in {scheme}", last)


def spans(tags: Sequence[str], scheme: str | None = None) -> list[Span]:
    """The spans that tags spell out, in order.

    Without a scheme anything is read, by the rules of the CoNLL evaluation script: B and S open a
    span, and so does an I or E that continues none of its type; O, or what opens another span,
    closes one. Sequences that are legal in *any* scheme are read right by this, and illegal ones,
    such as a tagger may produce, as everybody counts them.

    >>> from mmkd_jax.tags import spans
    >>> spans(["B-PER", "I-PER", "O", "I-LOC"])
    [Span(start=0, end=2, type='PER'), Span(start=3, end=4, type='LOC')]

    Args:
      tags: one string a token.
      scheme: None, or the scheme that the tags must be legal in.

    Raises:
      IllegalTagsError: the scheme does not allow the tags, or one is no chunk tag at all.
    """
    if scheme is not None:
        check_legal(tags, scheme)
    found = []
    letter, kind, start = OUTSIDE, "", 0
    for position, tag in enumerate([*tags, OUTSIDE]):
        next_letter, next_kind = _split_at(tag, position)
        continues = letter in "BI" and next_letter in "IE" and kind == next_kind
        if not continues:
            if letter != OUTSIDE:
                found.append(Span(start, position, kind))
            start = position
        letter, kind = next_letter, next_kind
    return found


def tags_of_spans(spans: Iterable[tuple[int, int, str]], length: int, scheme: str) -> list[str]:
    """The tags that spell out the spans, which may come in any order but not overlap.

    In IO, neighbouring spans of one type become one: the scheme cannot tell them apart.

    >>> from mmkd_jax.tags import tags_of_spans
    >>> tags_of_spans([(0, 2, "PER"), (3, 4, "LOC")], 4, "BIOES")
    ['B-PER', 'E-PER', 'O', 'S-LOC']
    """
    scheme = scheme_name(scheme)
    tags = [OUTSIDE] * length
    end_before, kind_before = 0, None
    for start, end, kind in sorted(spans):
        span = Span(start, end, kind)
        if not 0 <= start < end <= length:
            raise ValueError(f"{span} does not lie within {length} tokens")
        if start < end_before:
            raise ValueError(f"{span} overlaps the span before it, which ends at {end_before}")
        touches = start == end_before and kind == kind_before
        tags[start:end] = [f"{letter}-{kind}" for letter in _letters(end - start, scheme, touches)]
        end_before, kind_before = end, kind
    return tags


def convert(tags: Sequence[str], to: str, scheme: str | None = None) -> list[str]:
    """The same spans in another scheme.

    >>> from mmkd_jax.tags import convert
    >>> convert(["I-PER", "I-PER", "B-PER", "O"], "BIOES", scheme="IOB1")
    ['B-PER', 'E-PER', 'S-PER', 'O']

    Args:
      tags: one string a token.
      to: the scheme to write.
      scheme: the scheme they must be legal in, or None to read them whatever they are, as `spans`
        does.
    """
    return tags_of_spans(spans(tags, scheme), len(tags), to)


def detect_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """The scheme in which all the sequences are legal.

    Nothing but O is BIO; nothing but I- and O is IO, of which IOB1 without neighbouring spans
    cannot be told apart, and need not be.

    >>> from mmkd_jax.tags import detect_scheme
    >>> detect_scheme([["I-PER", "B-PER", "O"], ["O", "I-LOC"]])
    'IOB1'

    Raises:
      ValueError: none will do; the message says what each stumbles over first.
    """
    stumbles: dict[str, str] = {}
    candidates = ["BIO", "IO", "IOB1", "BIOES"]
    for number, tags in enumerate(sequences):
        for scheme in [name for name in candidates if name not in stumbles]:
            try:
                check_legal(tags, scheme)
            except IllegalTagsError as error:
                stumbles[scheme] = f"sequence {number}: {error}"
        if len(stumbles) == len(candidates):
            raise ValueError("the tags follow no scheme:\n" + "\n".join(stumbles.values()))
    return next(name for name in candidates if name not in stumbles)


def _letters(length: int, scheme: str, touches: bool) -> str:
    """The letters of a span; `touches`: it begins where one of its type has just ended."""
    if scheme == "BIOES":
        return "S" if length == 1 else "B" + "I" * (length - 2) + "E"
    first = "B" if scheme == "BIO" or (scheme == "IOB1" and touches) else "I"
    return first + "I" * (length - 1)


def _split_at(tag: str, position: int) -> tuple[str, str]:
    try:
        return split(tag)
    except ValueError as error:
        raise IllegalTagsError(f"tag {position}: {error}", position) from None
