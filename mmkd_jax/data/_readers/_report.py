"""What becomes of input that cannot be read: an error with its place, or an entry in a report."""

import logging
import os
from collections import Counter

from mmkd_jax._text import shown

Path = str | os.PathLike[str]

_log = logging.getLogger("mmkd_jax.data")
_EXAMPLES = 3  # of each kind: enough to see what is wrong, however much is


class ReadError(ValueError):
    """Input that cannot be read; the message is ``FILE:LINE: reason``.

    Attributes:
      file: where it was found.
      line: counted from 1. In what has no lines, the number of the record.
      reason: what is wrong with it.
    """

    __module__ = "mmkd_jax.data"  # where users find it, in tracebacks too

    def __init__(self, file: Path, line: int, reason: str):
        super().__init__(shown(f"{os.fspath(file)}:{line}: {reason}"))
        self.file, self.line, self.reason = os.fspath(file), line, reason

    def __reduce__(self):
        # Readers that run in other processes send their errors home.
        return type(self), (self.file, self.line, self.reason)


class Unreadable(Exception):
    """Raised by what sees only a piece of a file; the reader adds the place.

    Attributes:
      kind: What is wrong.
      detail: More about it.
      line: Of the piece, from 1.
    """

    def __init__(self, kind: str, detail: str = "", line: int = 1):
        super().__init__(kind, detail)
        self.kind, self.detail, self.line = kind, detail, line


class Report:
    """What readers read, left out and changed. Several of them may fill the same one.

    >>> from mmkd_jax.data import Report
    >>> report = Report()
    >>> report.read, report.left_out_total
    (0, 0)
    >>> print(report)
    0 read

    Attributes:
      read: how many records were yielded.
      left_out: how many were not, by reason.
      changed: how many were altered to be readable, by what was done.
      examples: of each reason, the first few places, as ``FILE:LINE: reason``.
    """

    def __init__(self):
        self.read = 0
        self.left_out: Counter[str] = Counter()
        self.changed: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    @property
    def left_out_total(self) -> int:
        """How many records were left out, for whatever reason."""
        return self.left_out.total()

    def __str__(self) -> str:
        lines = [f"{self.read:,} read"]
        for verb, counter in (("left out", self.left_out), ("changed", self.changed)):
            for kind, count in counter.most_common():
                lines.append(f"{verb} {count:,}: {kind}")
                lines += [f"  {example}" for example in self.examples[kind]]
        return "\n".join(lines)


class Reading:
    """One run of one reader: what `on_error` says happens to faults, and to which report.

    A report that the caller did not ask for is logged when the reader ends, if it says anything:
    nothing vanishes silently. It is a warning if there were faults, and information if not.
    """

    def __init__(self, on_error: str, report: Report | None):
        if on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
        self.strict = on_error == "raise"
        self.owned, self.faulty = report is None, False
        self.report = Report() if report is None else report

    def __enter__(self) -> "Reading":
        return self

    def __exit__(self, *error: object) -> None:
        if self.owned and (self.report.left_out or self.report.changed):
            # What was never meant to be read, such as messages without a translation, is no worry.
            _log.log(logging.WARNING if self.faulty else logging.INFO, "%s", self.report)

    def fault(self, file: Path, line: int, kind: str, detail: str = "") -> None:
        """Raises, or counts what is left out because of it."""
        if self.strict:
            raise ReadError(file, line, _reason(kind, detail))
        self.faulty = True
        self.leave_out(file, line, kind, detail)

    def unreadable(self, file: Path, line: int, error: "Unreadable | UnicodeDecodeError") -> None:
        """A fault that was caught."""
        if isinstance(error, Unreadable):
            self.fault(file, line, error.kind, error.detail)
        else:
            byte = error.object[error.start]
            detail = f"byte 0x{byte:02x} at {error.start + 1}"
            self.fault(file, line, f"invalid {error.encoding.upper()}", detail)

    def leave_out(self, file: Path, line: int, kind: str, detail: str = "") -> None:
        """Counts what is no error, but no record either."""
        self._count(self.report.left_out, file, line, kind, detail)

    def change(self, file: Path, line: int, kind: str, detail: str = "") -> None:
        """Counts what is read as something else than it says."""
        self._count(self.report.changed, file, line, kind, detail)

    def _count(self, counter: Counter[str], file: Path, line: int, kind: str, detail: str) -> None:
        counter[kind] += 1
        examples = self.report.examples.setdefault(kind, [])
        if len(examples) < _EXAMPLES:
            examples.append(str(ReadError(file, line, _reason(kind, detail))))


def _reason(kind: str, detail: str) -> str:
    return f"{kind}: {detail}" if detail else kind
