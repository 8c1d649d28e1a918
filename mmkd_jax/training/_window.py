"""Means of metrics between two lines of the log."""

from collections.abc import Mapping
from typing import Any


class Window:
    """Sums of metrics, whose state is plain numbers: a resumed run goes on with the same sums."""

    def __init__(self):
        self.last: dict[str, float] = {}
        self.clear()

    def add(self, metrics: Mapping[str, float]) -> None:
        """Counts a step in."""
        self.last = dict(metrics)
        self._count += 1
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """The mean of each metric since the last line."""
        return {name: total / self._count for name, total in self._sums.items()}

    def clear(self) -> None:
        """Begins anew."""
        self._sums: dict[str, float] = {}
        self._count = 0

    def get_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"sums": dict(self._sums), "count": self._count}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where another one stood."""
        self.clear()
        self._sums, self._count = dict(state["sums"]), state["count"]
