"""Teachers with tags of their own, as one student sees them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from mmkd_jax.tags import BioesRewrite, TagMap, TagSet, shared

_ABSENT = -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teacher:
    """What a student must know of a teacher before it has seen any of its scores.

    Attributes:
      tags: The teacher's.
      weight: What it counts among the teachers of the same sentence.
      renamed: What becomes of its types (of its tags, if these spell no spans): the student's
        names, or None for what the student has as O. The others keep their names.
      partial: It was never told of some of the student's types, and says O there; or it has types
        that the student lacks. Both are compared in what both can say.
    """

    tags: TagSet
    weight: float = 1.0
    renamed: tuple[tuple[str, str | None], ...] = ()
    partial: bool = False

    def __post_init__(self):
        if not self.weight > 0:
            raise ValueError(f"weight must be above 0, got {self.weight}")

    def check_fits(self, student: TagSet) -> None:
        """ValueError where a student of these tags cannot learn from it."""
        view(self, student)


class Scores(NamedTuple):
    """The scores of a teacher that are the same in all sentences, in its own tags.

    Attributes:
      transitions: ``[N, N]``; 0 for a softmax tagger.
      start: ``[N]``.
      end: ``[N]``.
    """

    transitions: np.ndarray
    start: np.ndarray
    end: np.ndarray


@dataclasses.dataclass(frozen=True)
class View:
    """A teacher's chain, over other tags with the same distribution; and what these tags mean.

    A student that tells more apart than BIO does (BIOES) sees each of the teacher's tags once for
    each next tag: still a chain, and exact. Tags of the teacher that are one to the student stay
    several, because a chain with merged tags is none; `of_teacher` merges their probabilities.

    Attributes:
      columns: ``[N]``, the teacher's tag that each of these is; -1 for one it does not have.
      follows: ``[N, N]`` booleans, what the teacher's tag leaves open: the next tag.
      may_end: ``[N]`` booleans.
      of_teacher: ``[N]``, what each of these is compared as.
      of_student: ``[S]``, what each tag of the student is compared as.
      kind: same: these are the student's tags; merged: several may be one tag of the student;
        shared: the student's tags are merged too.
    """

    columns: np.ndarray
    follows: np.ndarray
    may_end: np.ndarray
    of_teacher: np.ndarray
    of_student: np.ndarray
    kind: Literal["same", "merged", "shared"]

    @property
    def splits_tags(self) -> bool:
        """Whether one tag of the teacher is several of these."""
        there = self.columns[self.columns != _ABSENT]
        return len(np.unique(there)) < len(there)


def view(teacher: Teacher, student: TagSet) -> View:
    """How a student of these tags sees this teacher.

    Raises:
      ValueError: If its tags are none of the student's, and nothing says what they become.
    """
    tags, count = teacher.tags, len(teacher.tags)
    columns = np.arange(count)
    follows, may_end = np.ones((count, count), bool), np.ones(count, bool)
    if (tags.scheme, student.scheme) == ("BIO", "BIOES") and not teacher.partial:
        rewrite = BioesRewrite(tags, TagSet.of_types(tags.types, "BIOES"))
        tags, columns = rewrite.bioes, rewrite.bio_of
        follows, may_end = rewrite.next_allowed[:, rewrite.bio_of], rewrite.may_end
    of_teacher, of_student = _maps(tags, student, teacher)
    if teacher.partial:
        return View(columns, follows, may_end, of_teacher, of_student, "shared")
    if len(set(of_teacher.tolist())) < len(of_teacher):
        return View(columns, follows, may_end, of_teacher, of_student, "merged")
    return _in_order_of(of_student, View(columns, follows, may_end, of_teacher, of_student, "same"))


def stack(
    views: Sequence[View], scores: Sequence[Scores], teachers: Sequence[Teacher], constrained: bool
) -> dict[str, np.ndarray]:
    """All teachers' scores side by side, M of them with room for N tags each.

    Args:
      views: One a teacher.
      scores: One a teacher.
      teachers: The same ones.
      constrained: Whether what a teacher's scheme forbids is forbidden: for a student that is.

    Returns:
      ``transitions`` [M, N, N], ``start`` [M, N], ``end`` [M, N], ``weights`` [M]; and where the
      tags are not the student's ``of_teacher`` [M, N], and where these are merged too
      ``of_student`` [M, S].
    """
    room = tags_of(views)
    parts = [
        _viewed(*each, constrained, room) for each in zip(views, scores, teachers, strict=True)
    ]
    table = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
    table["weights"] = np.array([teacher.weight for teacher in teachers], np.float32)
    kinds = {each.kind for each in views}
    if kinds != {"same"}:
        table["of_teacher"] = np.stack([_padded(each.of_teacher, room, 0) for each in views])
    if "shared" in kinds:
        table["of_student"] = np.stack([each.of_student for each in views])
    return {name: array.astype(_DTYPES.get(name, np.float32)) for name, array in table.items()}


_DTYPES = {"of_teacher": np.int32, "of_student": np.int32}


def tags_of(views: Sequence[View]) -> int:
    """Room for the tags of any of these."""
    return max(len(each.columns) for each in views)


def _maps(tags: TagSet, student: TagSet, teacher: Teacher) -> tuple[np.ndarray, np.ndarray]:
    """What the teacher's tags and the student's are compared as."""
    renamed = dict(teacher.renamed)
    if tags.scheme is None or student.scheme is None:
        if teacher.partial or None in renamed.values():
            raise ValueError("partial, and None in renamed, are for tags that spell spans")
        return TagMap.of_names(tags, student, renamed).index, np.arange(len(student))
    if teacher.partial:
        new = _renamed(tags, renamed)
        of_teacher, of_student = shared(new.target, student)
        return new.then(of_teacher).index, of_student.index
    found = TagMap.of_types(tags, student, renamed)
    if unknown := sorted(set(student.types) - {found.target[i][2:] for i in found.indices}):
        raise ValueError(
            f"the teacher does not know {unknown}, and would teach that they are O: set its "
            "partial, to compare only what both know"
        )
    return found.index, np.arange(len(student))


def _renamed(tags: TagSet, renamed: Mapping[str, str | None]) -> TagMap:
    names = [renamed.get(kind, kind) for kind in tags.types]
    types = tuple(dict.fromkeys(name for name in names if name is not None))
    return TagMap.of_types(tags, TagSet.of_types(types, tags.scheme), renamed)


def _in_order_of(student: np.ndarray, found: View) -> View:
    """The same view with the student's tags in the student's order."""
    place = np.full(len(student), _ABSENT)
    place[found.of_teacher] = np.arange(len(found.of_teacher))
    there = place != _ABSENT
    return View(
        np.where(there, found.columns[place], _ABSENT),
        found.follows[place][:, place] & there[:, None] & there[None],
        found.may_end[place] & there,
        student,
        student,
        "same",
    )


def _viewed(
    found: View, scores: Scores, teacher: Teacher, constrained: bool, room: int
) -> dict[str, np.ndarray]:
    transitions, start, end = scores
    tags = teacher.tags
    if constrained and tags.scheme is not None:
        transitions = np.where(tags.allowed_transitions(), transitions, -np.inf)
        start = np.where(tags.allowed_starts(), start, -np.inf)
        end = np.where(tags.allowed_ends(), end, -np.inf)
    columns, there = found.columns, found.columns != _ABSENT
    transitions = np.where(found.follows, transitions[columns][:, columns], -np.inf)
    return {
        "transitions": _padded(_padded(transitions, room, -np.inf).T, room, -np.inf).T,
        "start": _padded(np.where(there, start[columns], -np.inf), room, -np.inf),
        "end": _padded(np.where(found.may_end, end[columns], -np.inf), room, -np.inf),
    }


def _padded(array: np.ndarray, count: int, value: int | float) -> np.ndarray:
    """With rows of this value up to so many."""
    missing = np.full((count - len(array), *array.shape[1:]), value, array.dtype)
    return np.concatenate([array, missing])
