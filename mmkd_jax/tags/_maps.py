"""Between tag sets: maps of single tags, and the rewriting of BIO as BIOES."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from mmkd_jax.tags._schemes import OUTSIDE, split
from mmkd_jax.tags._tag_set import TagSet

# The coarser of two schemes has fewer letters; each row says what the finer one's become.
_COARSER = {
    ("BIOES", "BIO"): {"B": "B", "I": "I", "E": "I", "S": "B"},
    ("BIOES", "IO"): dict.fromkeys("BIES", "I"),
    ("BIO", "IO"): dict.fromkeys("BI", "I"),
    ("IOB1", "IO"): dict.fromkeys("BI", "I"),
}


@dataclasses.dataclass(frozen=True)
class TagMap:
    """A map that gives each tag of one set (the teacher's, say) a tag of another (the student's).

    Many tags may share one, so it can rename types, merge them, drop them (into O), and make a
    scheme coarser. It is frozen and hashable.

    >>> from mmkd_jax.tags import TagMap, TagSet
    >>> teacher = TagSet.of_types(["PER", "LOC", "MISC"])
    >>> student = TagSet.of_types(["LOC", "PER"])
    >>> tag_map = TagMap.of_types(teacher, student, {"MISC": None})
    >>> tag_map.index
    array([0, 3, 4, 1, 2, 0, 0], dtype=int32)
    >>> tag_map(teacher.encode(["B-PER", "O", "B-MISC"]))
    array([3, 0, 0], dtype=int32)

    A probability of the student's tag is the sum over the teacher's tags that map to it:
    ``marginals @ tag_map.matrix()``, and ``matrix.T @ pairs @ matrix`` of pairs of tags. Where it
    is the *student* that tells more apart, map its tags to the teacher's, and compare there.

    Attributes:
      source: the tags that are mapped.
      target: the tags that they are mapped to.
      indices: for each tag of the source, in order, its index in the target; a tuple.
    """

    source: TagSet
    target: TagSet
    indices: Sequence[int]

    def __post_init__(self):
        indices = tuple(int(index) for index in self.indices)
        if len(indices) != len(self.source):
            raise ValueError(
                f"indices must be one a tag of the source, {len(self.source)}, got {len(indices)}"
            )
        if wrong := [index for index in indices if not 0 <= index < len(self.target)]:
            raise ValueError(f"indices must lie in 0..{len(self.target) - 1}, got {wrong}")
        object.__setattr__(self, "indices", indices)

    @classmethod
    def of_names(
        cls, source: TagSet, target: TagSet, names: Mapping[str, str] | None = None
    ) -> "TagMap":
        """Maps tag by tag; tags that are not mentioned keep their names.

        >>> from mmkd_jax.tags import TagMap, TagSet
        >>> source, target = TagSet(["NOUN", "PROPN", "VERB"]), TagSet(["NOUN", "VERB"])
        >>> TagMap.of_names(source, target, {"PROPN": "NOUN"}).indices
        (0, 0, 1)
        """
        names = dict(names or {})
        for name in names:
            source.index(name)  # raises where it is misspelled
        return cls(source, target, [_find(target, names.get(name, name), name) for name in source])

    @classmethod
    def of_types(
        cls,
        source: TagSet,
        target: TagSet,
        types: Mapping[str, str | None] | None = None,
        otherwise: str | None = None,
    ) -> "TagMap":
        """Maps by the types of spans, from a scheme to the same or to a coarser one.

        Legal sequences stay legal, and in BIO and BIOES the spans stay what they were, but for
        their types. (IO and IOB1 join neighbours whose types become one.)

        >>> from mmkd_jax.tags import TagMap, TagSet
        >>> source = TagSet.of_types(["person", "event"], "BIOES")
        >>> target = TagSet.of_types(["PER"], "BIO")
        >>> TagMap.of_types(source, target, {"person": "PER"}, otherwise="O").indices
        (0, 1, 2, 2, 1, 0, 0, 0, 0)

        Args:
          source: the tags to map.
          target: the tags to map to.
          types: what becomes of each type: another type, or None for O. Those that are not
            mentioned keep their names.
          otherwise: "O" to map what the target lacks to O. By default that is an error.
        """
        types = dict(types or {})
        if otherwise not in (None, OUTSIDE):
            raise ValueError(f"otherwise must be None or {OUTSIDE!r}, got {otherwise!r}")
        if strangers := sorted(set(types) - set(source.types)):
            raise ValueError(
                f"types {strangers} are not in the source, which has {list(source.types)}"
            )
        letters = _letter_map(source, target)

        def becomes(name: str) -> str:
            letter, kind = split(name)
            new = types.get(kind, kind) if kind else None
            lacking = new not in target.types and kind not in types
            return OUTSIDE if new is None or (lacking and otherwise) else f"{letters[letter]}-{new}"

        return cls(source, target, [_find(target, becomes(name), name) for name in source])

    @cached_property
    def index(self) -> np.ndarray:
        """``[N_source]`` int32: the target's index of each tag of the source."""
        index = np.array(self.indices, np.int32)
        index.setflags(write=False)
        return index

    def matrix(self, dtype: np.typing.DTypeLike = bool) -> np.ndarray:
        """``[N_source, N_target]``, 1 where a tag is mapped to that of the column, 0 elsewhere."""
        return (self.index[:, None] == np.arange(len(self.target))).astype(dtype)

    @property
    def reached(self) -> np.ndarray:
        """``[N_target]`` booleans: whether any tag is mapped to this one."""
        return self.matrix().any(axis=0)

    def __call__(self, tags: np.ndarray) -> np.ndarray:
        """The indices mapped, in any shape; -1, the padding, stays."""
        tags = np.asarray(tags)
        if tags.size and not -1 <= tags.min() <= tags.max() < len(self.source):
            raise ValueError(f"tags must lie in -1..{len(self.source) - 1}")
        return np.append(self.index, np.int32(-1))[tags]

    def then(self, other: "TagMap") -> "TagMap":
        """This map and then the other, as one."""
        if self.target != other.source:
            raise ValueError(
                "the second map must begin where the first ends, got "
                f"{self.target} and {other.source}"
            )
        return TagMap(self.source, other.target, [other.indices[index] for index in self.indices])


def shared(first: TagSet, second: TagSet) -> tuple[TagMap, TagMap]:
    """Maps of two tag sets into what both can say: the types of both, in the coarser scheme.

    For a teacher and a student each of which lacks some types. A type that only one of them knows
    becomes O, because to the other it is O.

    >>> from mmkd_jax.tags import TagSet, shared
    >>> teacher = TagSet.of_types(["PER", "LOC"], "BIOES")
    >>> student = TagSet.of_types(["LOC", "ORG"], "BIO")
    >>> of_teacher, of_student = shared(teacher, student)
    >>> of_teacher.target.names, of_student.indices
    (('O', 'B-LOC', 'I-LOC'), (0, 1, 2, 0, 0))
    """
    for one, other in ((first, second), (second, first)):
        pair = (one.scheme, other.scheme)
        if pair in _COARSER or (one.scheme is not None and one.scheme == other.scheme):
            types = [kind for kind in first.types if kind in second.types]
            target = TagSet.of_types(types, other.scheme)
            return tuple(
                TagMap.of_types(each, target, otherwise=OUTSIDE) for each in (first, second)
            )
    raise ValueError(f"{first.scheme} and {second.scheme} have no coarser scheme in common")


class BioesRewrite:
    """What it takes to rewrite BIO as BIOES: E and S depend on the *next* tag too.

    (BIOES to BIO depends on nothing else: that is a `TagMap`.) With the marginals of a BIO chain,
    P(a at t) and P(a at t, b at t+1), the probability of the BIOES tag j is

    * at the last token n, ``may_end[j]`` · P(``bio_of[j]`` at n),
    * before it, Σ_b ``next_allowed[j, b]`` · P(``bio_of[j]`` at t, b at t+1),

    for example P(S-X at t) = Σ_{b ≠ I-X} P(B-X at t, b at t+1). For each BIO tag and each next
    tag (or the end) there is just one j, so the sum over all j is 1, also for chains that allow
    illegal sequences.

    >>> from mmkd_jax.tags import BioesRewrite, TagSet
    >>> bio, bioes = TagSet.of_types(["X"], "BIO"), TagSet.of_types(["X"], "BIOES")
    >>> rewrite = BioesRewrite(bio, bioes)
    >>> print(*zip(bioes.names, rewrite.bio_of.tolist(), rewrite.may_end.tolist()))
    ('O', 0, True) ('B-X', 1, False) ('I-X', 2, False) ('E-X', 2, True) ('S-X', 1, True)
    >>> bioes.decode(rewrite(bio.encode(["B-X", "I-X", "B-X", "O"])))
    ['B-X', 'E-X', 'S-X', 'O']

    Attributes:
      bio: the tag set to rewrite, of N tags.
      bioes: the tag set to write, of M tags.
      bio_of: ``[M]`` int32, the BIO tag of each BIOES tag.
      next_allowed: ``[M, N]`` booleans, which BIO tags come next where a BIO tag is this BIOES tag.
      may_end: ``[M]`` booleans, whether that is so where nothing comes next.
      table: ``[N, N + 1]`` int32, the BIOES tag by BIO tag and next BIO tag, the last column where
        nothing comes next. An index of -1, the padding, finds that column.
    """

    def __init__(self, bio: TagSet, bioes: TagSet):
        if (bio.scheme, bioes.scheme) != ("BIO", "BIOES"):
            raise ValueError(
                f"bio and bioes must follow BIO and BIOES, got {bio.scheme} and {bioes.scheme}"
            )
        self.bio, self.bioes = bio, bioes
        self.bio_of = TagMap.of_types(bioes, bio).index
        going_on = np.array([split(name)[0] in "BI" for name in bioes])
        continues = np.array([[split(b) == ("I", split(name)[1]) for b in bio] for name in bioes])
        outside = np.array([name == OUTSIDE for name in bioes])
        self.next_allowed = outside[:, None] | (continues == going_on[:, None])
        self.may_end = ~going_on
        self.table = self._table()
        for array in (self.next_allowed, self.may_end, self.table):
            array.setflags(write=False)

    def __call__(self, tags: np.ndarray) -> np.ndarray:
        """BIO indices ``[..., T]`` as BIOES indices; the padding, of -1, stays."""
        tags = np.asarray(tags)
        if tags.size and not -1 <= tags.min() <= tags.max() < len(self.bio):
            raise ValueError(f"tags must lie in -1..{len(self.bio) - 1}")
        after = np.concatenate([tags[..., 1:], np.full_like(tags[..., :1], -1)], axis=-1)
        return np.where(tags == -1, np.int32(-1), self.table[tags, after])

    def _table(self) -> np.ndarray:
        follows = np.concatenate([self.next_allowed, self.may_end[:, None]], axis=1)
        fits = (self.bio_of[:, None, None] == np.arange(len(self.bio))[:, None]) & follows[:, None]
        lacking = np.argwhere(fits.sum(axis=0) != 1)
        if len(lacking):
            tag = self.bio[lacking[0, 0]]
            raise ValueError(f"bioes lacks a tag that {tag!r} of bio may become")
        return fits.argmax(axis=0).astype(np.int32)


def _letter_map(source: TagSet, target: TagSet) -> dict[str, str]:
    """What becomes of the letters from one scheme to the other."""
    if None in (source.scheme, target.scheme):
        raise ValueError("tags without a scheme have no types: map their names, with of_names")
    if source.scheme == target.scheme:
        return {letter: letter for letter in "OBIES"}
    if (source.scheme, target.scheme) not in _COARSER:
        raise ValueError(
            f"{source.scheme} to {target.scheme} is no map of single tags"
            + ("; see BioesRewrite" if target.scheme == "BIOES" else "")
        )
    return _COARSER[source.scheme, target.scheme] | {OUTSIDE: OUTSIDE}


def _find(target: TagSet, name: str, of: str) -> int:
    try:
        return target.index(name)
    except ValueError as error:
        raise ValueError(f"cannot map {of!r}: {error}; say what it becomes") from None
