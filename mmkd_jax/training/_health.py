"""Steps that are skipped because a number in them is not finite."""

import logging
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, SupportsFloat

_log = logging.getLogger(__name__)
_SHOWN = 16  # examples
_GRADIENT = "gradient_norm"
_TOTAL = "loss"


class NonFiniteError(FloatingPointError):
    """Too many steps in a row were not finite: there is no use in going on."""


class Watch:
    """Tells about skipped steps, counts them, and stops a run that skips too many in a row.

    Example:
      >>> import math
      >>> from mmkd_jax.training._health import Watch
      >>> watch = Watch(limit=2)
      >>> watch.check(1, {"finite": True, "word": 0.5}, examples=[3, 1])
      True
      >>> watch.check(2, {"finite": False, "word": math.nan, "token": 0.1}, examples=[0, 2])
      False
      >>> watch.check(3, {"finite": False, "word": math.inf, "token": 0.1}, examples=[4, 5])
      Traceback (most recent call last):
      ...
      mmkd_jax.training._health.NonFiniteError: 2 steps in a row, 2 to 3, were not finite...

    Args:
      limit: this many in a row stop the run.
    """

    def __init__(self, limit: int):
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self._limit = limit
        self._skipped = 0
        self._since = 0
        self._row: Counter[str] = Counter()  # what was to blame, in how many steps of this row
        self._in_a_row = 0

    @property
    def skipped(self) -> int:
        """How many steps were skipped, in all of the run."""
        return self._skipped

    def check(
        self,
        step: int,
        metrics: Mapping[str, SupportsFloat],
        examples: Iterable[SupportsFloat] = (),
    ) -> bool:
        """Looks at a step.

        Args:
          step: its number.
          metrics: "finite", which says whether the step counted, the loss of each level by its
            name, and "gradient_norm". If it did not count, what is not finite among them is to
            blame.
          examples: numbers of the step's examples; negative ones stand for padding.

        Returns:
          Whether the step was finite.

        Raises:
          NonFiniteError: if too many in a row were not.
        """
        if bool(float(metrics["finite"])):
            self._in_a_row = 0
            self._row.clear()
            return True
        if not self._in_a_row:
            self._since = step
        self._in_a_row += 1
        self._skipped += 1
        blamed, numbers = _not_finite(metrics), _numbers(examples)
        self._row.update(blamed)
        _log.warning(
            "step %s is skipped, %s in all: %s not finite. Its examples: %s",
            *(step, self._skipped, _and(blamed), numbers),
        )
        if self._in_a_row >= self._limit:
            raise NonFiniteError(self._message(step, numbers))
        return False

    def get_state(self) -> dict[str, Any]:
        """The counts, for a checkpoint; what json can hold."""
        return {
            "skipped": self._skipped,
            "in_a_row": self._in_a_row,
            "since": self._since,
            "blamed": dict(self._row),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where another one stood."""
        self._skipped, self._in_a_row = int(state["skipped"]), int(state["in_a_row"])
        self._since, self._row = int(state["since"]), Counter(state["blamed"])

    def _message(self, step: int, numbers: str) -> str:
        blamed = ", ".join(f"{name} in {count}" for name, count in self._row.most_common())
        return (
            f"{self._in_a_row} steps in a row, {self._since} to {step}, were not finite: {blamed}. "
            f"They were skipped, so the parameters are as they were before step {self._since}. "
            f"{_advice(self._row)} The last step's examples: {numbers}"
        )


def _not_finite(metrics: Mapping[str, SupportsFloat]) -> list[str]:
    """What began it: a level before their sum, and any loss before its gradient."""
    found = [name for name, value in metrics.items() if not math.isfinite(float(value))]
    levels = [name for name in found if name not in (_TOTAL, _GRADIENT)]
    if levels:
        return levels
    if _TOTAL in found:
        return [_TOTAL]
    return ["the gradient"]


def _advice(blamed: Mapping[str, int]) -> str:
    levels = [name for name in blamed if name not in (_TOTAL, "the gradient")]
    general = "a smaller learning rate or a longer warm-up, and float32 instead of 16 bits"
    if levels:
        one = f"the weight of {_and(levels)} set to 0, to see whether the rest is sound"
        return f"Try {general}; {one}; or look at the examples."
    return f"Try clipping of the gradient, {general}; or look at the examples."


def _numbers(examples: Iterable[SupportsFloat]) -> str:
    numbers = [number for example in examples if (number := int(float(example))) >= 0]
    if not numbers:
        return "not known"
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    more = f", … ({len(numbers)} in all)" if len(numbers) > _SHOWN else ""
    return shown + more


def _and(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
