"""The ordered tags that a tagger knows."""

import dataclasses
import difflib
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import SupportsIndex

import numpy as np

from mmkd_jax.tags._schemes import (
    LETTERS,
    OUTSIDE,
    detect_scheme,
    may_follow,
    scheme_name,
    split,
)

_DETECT = "detect"


@dataclasses.dataclass(frozen=True)
class TagSet:
    """Tags in the order of their indices: frozen and hashable, so it may be a static argument.

    >>> from mmkd_jax.tags import TagSet
    >>> tags = TagSet(["O", "B-PER", "I-PER"])
    >>> len(tags), tags.scheme, tags.types
    (3, 'BIO', ('PER',))
    >>> tags.encode(["O", "B-PER"])
    array([0, 1], dtype=int32)
    >>> tags.allowed_transitions()  # rows: from; columns: to
    array([[ True,  True, False],
           [ True,  True,  True],
           [ True,  True,  True]])

    Attributes:
      names: the tags, a tuple whatever sequence is given.
      scheme: "IO", "IOB1", "BIO" or "BIOES", or None for tags that spell no spans, such as parts of
        speech. By default it is found from the names, which cannot tell IOB1 from BIO: that is
        BIO unless given.
    """

    names: Sequence[str]
    scheme: str | None = _DETECT

    def __post_init__(self):
        names = tuple(self.names)
        if isinstance(self.names, str) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"names must be a sequence of strings, got {self.names!r}")
        if not names:
            raise ValueError("a tag set needs at least one tag")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"these tags occur more than once: {', '.join(twice)}")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "scheme", _scheme_of(names, self.scheme))

    @classmethod
    def of_types(cls, types: Iterable[str], scheme: str = "BIO") -> "TagSet":
        """The whole tag set of a scheme: O, then the tags of each type.

        >>> from mmkd_jax.tags import TagSet
        >>> TagSet.of_types(["PER", "LOC"], "BIO").names
        ('O', 'B-PER', 'I-PER', 'B-LOC', 'I-LOC')
        """
        if isinstance(types, str):
            raise ValueError(f"types must be several strings, got the one {types!r}")
        scheme = scheme_name(scheme)
        names = [f"{letter}-{kind}" for kind in types for letter in LETTERS[scheme]]
        return cls((OUTSIDE, *names), scheme)

    @classmethod
    def of_data(cls, sequences: Iterable[Sequence[str]]) -> "TagSet":
        """The tag set of labelled data, the same whatever the order of the data.

        Chunk tags: all tags of the scheme that the data follow, for each type that occurs, sorted.
        Other tags: those that occur, sorted.

        >>> from mmkd_jax.tags import TagSet
        >>> TagSet.of_data([["O", "B-PER"], ["B-LOC", "I-LOC"]]).names
        ('O', 'B-LOC', 'I-LOC', 'B-PER', 'I-PER')
        >>> TagSet.of_data([["NOUN", "VERB"], ["DET", "NOUN"]]).names
        ('DET', 'NOUN', 'VERB')
        """
        sequences = [tuple(tags) for tags in sequences]
        seen = sorted({tag for tags in sequences for tag in tags})
        if _scheme_of(seen, _DETECT) is None:
            return cls(seen, None)
        types = sorted({split(tag)[1] for tag in seen} - {""})
        return cls.of_types(types, detect_scheme(sequences))

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._indices

    def __getitem__(self, index: SupportsIndex) -> str:
        return self.names[index]

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {name: index for index, name in enumerate(self.names)}

    @property
    def types(self) -> tuple[str, ...]:
        """The types of the spans, in the order of their first tags; none without a scheme."""
        if self.scheme is None:
            return ()
        return tuple(dict.fromkeys(split(name)[1] for name in self.names if name != OUTSIDE))

    def index(self, name: str) -> int:
        """The index of a tag; ValueError, with the tags spelled alike, if there is none.

        >>> from mmkd_jax.tags import TagSet
        >>> TagSet(["O", "B-PER", "I-PER"]).index("B-PRE")
        Traceback (most recent call last):
        ValueError: 'B-PRE' is not in the tag set; did you mean 'B-PER', 'I-PER'?
        """
        try:
            return self._indices[name]
        except (KeyError, TypeError):
            raise ValueError(f"{name!r} is not in the tag set; {self._instead_of(name)}") from None

    def encode(self, tags: Sequence[str]) -> np.ndarray:
        """The indices of a sequence of tags, ``[T]`` int32."""
        indices = np.empty(len(tags), np.int32)
        for position, tag in enumerate(tags):
            try:
                indices[position] = self.index(tag)
            except ValueError as error:
                raise ValueError(f"tag {position}: {error}") from None
        return indices

    def decode(self, indices: Sequence[int] | np.ndarray) -> list[str]:
        """The tags of a sequence of indices; the padding behind it, of -1, is left out."""
        indices = np.asarray(indices)
        if indices.ndim != 1 or (len(indices) and not np.issubdtype(indices.dtype, np.integer)):
            raise ValueError(
                f"indices must be integers [T], got shape {indices.shape}, dtype {indices.dtype}"
            )
        used = len(indices)
        while used and indices[used - 1] == -1:
            used -= 1
        for position, index in enumerate(indices[:used]):
            if not 0 <= index < len(self):
                raise ValueError(f"index {index} at {position} is outside 0..{len(self) - 1}")
        return [self.names[index] for index in indices[:used]]

    def allowed_transitions(self) -> np.ndarray:
        """``[N, N]`` booleans: whether the tag of the column may follow that of the row."""
        return np.array([[self._may_follow(a, b) for b in self.names] for a in self.names])

    def allowed_starts(self) -> np.ndarray:
        """``[N]`` booleans: whether a sequence may begin with the tag."""
        return np.array([self._may_follow(None, name) for name in self.names])

    def allowed_ends(self) -> np.ndarray:
        """``[N]`` booleans: whether a sequence may end with the tag."""
        return np.array([self._may_follow(name, None) for name in self.names])

    def _may_follow(self, before: str | None, after: str | None) -> bool:
        return self.scheme is None or may_follow(before, after, self.scheme)

    def _instead_of(self, name: object) -> str:
        lower = {known.lower(): known for known in self.names}
        near = difflib.get_close_matches(str(name).lower(), lower, n=3)
        if near:
            return f"did you mean {', '.join(repr(lower[known]) for known in near)}?"
        shown = [*self.names[:8], "..."] if len(self) > 8 else self.names
        return f"it holds {', '.join(shown)}"


def _scheme_of(names: Sequence[str], scheme: str | None) -> str | None:
    """The scheme, checked against the names, or found from them."""
    if scheme is None:
        return None
    letters = {name: _letter(name) for name in names}
    if scheme == _DETECT:
        marked = {letter for letter in letters.values() if letter} - {OUTSIDE}
        if not marked:
            return None
        # BIO before IO: a set with B- and I- may follow either of two schemes, BIO or IOB1.
        scheme = next(s for s in ("IO", "BIO", "BIOES") if marked <= set(LETTERS[s]))
    scheme = scheme_name(scheme)
    allowed = {OUTSIDE, *LETTERS[scheme]}
    if wrong := [name for name, letter in letters.items() if letter not in allowed]:
        raise ValueError(
            f"these are no tags of {scheme}: {', '.join(wrong)}; leave them out, or pass "
            "scheme=None for tags that spell no spans"
        )
    return scheme


def _letter(name: str) -> str:
    """B, I, E, S or O; empty for what is no chunk tag."""
    try:
        return split(name)[0]
    except ValueError:
        return ""
