"""Tags of spans on their way in: their scheme, whether they are legal, and rewriting them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from mmkd_jax.data._readers._report import Unreadable
from mmkd_jax.tags import (
    IllegalTagsError,
    TagSet,
    check_legal,
    convert,
    may_follow,
    scheme_name,
    split,
)

DETECT = "detect"
_LETTERS = {"BIO": "OBI", "IO": "OI", "IOB1": "OBI", "BIOES": "OBIES"}


def likeliest_scheme(sequences: Iterable[Sequence[str]]) -> str:
    """The scheme that the fewest pairs of neighbouring tags break.

    `mmkd_jax.tags.detect_scheme` wants a scheme that nothing breaks. A file with a few mistakes in
    it has one too, and the mistakes are reported as what they are in that scheme.
    """
    neighbours: Counter[tuple[str | None, str | None]] = Counter()
    for tags in sequences:
        neighbours.update(zip((None, *tags), (*tags, None), strict=True))
    broken = {
        scheme: sum(n for pair, n in neighbours.items() if not _legal(*pair, scheme))
        for scheme in _LETTERS
    }
    return min(broken, key=broken.__getitem__)  # the first of equals


def _legal(before: str | None, after: str | None, scheme: str) -> bool:
    try:
        letters = {split(tag)[0] for tag in (before, after) if tag is not None}
        return letters <= set(_LETTERS[scheme]) and may_follow(before, after, scheme)
    except ValueError:
        return False


class ChunkTags:
    """Checks and rewrites sequence after sequence.

    Args:
      scheme: the one they must follow; None to take them as they are.
      to: the scheme to write; None to leave them in theirs.
      tags: what they may be once they are written; None for anything.
      repair: whether illegal sequences are read as the CoNLL evaluation script reads them.
    """

    def __init__(
        self, scheme: str | None, to: str | None, tags: TagSet | None, repair: bool = False
    ):
        self.scheme = None if scheme is None else scheme_name(scheme)
        self.to = None if to is None else scheme_name(to)
        self.tags, self.repair = tags, repair
        self._allowed = frozenset(tags or ())
        self.repaired = ""  # what was illegal about the last sequence
        # Most sequences hold no neighbours that have not been seen before.
        self._fine: set[tuple[str | None, str | None]] = set()

    def __call__(self, tags: Sequence[str]) -> tuple[str, ...]:
        """The tags rewritten.

        Raises:
          IllegalTagsError: the scheme does not allow them.
          Misplaced: one is not in the set.
        """
        if self.scheme is not None:
            neighbours = set(zip((None, *tags), (*tags, None), strict=True))
            self.repaired = ""
            if not neighbours <= self._fine:
                try:
                    check_legal(tags, self.scheme)
                    self._fine |= neighbours
                except IllegalTagsError as error:
                    if not self.repair:
                        raise
                    tags, self.repaired = convert(tags, self.scheme), str(error)
            if self.to not in (None, self.scheme):
                tags = convert(tags, self.to)
        if self.tags is not None and not self._allowed.issuperset(tags):
            for position, tag in enumerate(tags):
                if tag not in self.tags:
                    raise Misplaced(position, "a tag outside the set", repr(tag))
        return tuple(tags)


class Misplaced(Unreadable):
    """What is wrong with the word at a position of a sentence."""

    def __init__(self, position: int, kind: str, detail: str = ""):
        super().__init__(kind, detail)
        self.position = position
