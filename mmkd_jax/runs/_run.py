"""What programs ask of every run, whatever its method."""

from pathlib import Path
from typing import Any


class Run:
    """A run that needs no other one, and has nothing to prepare; those that do say so."""

    prepared_field = ""  # where a config names what was prepared

    @classmethod
    def of_prepared(cls, settings: Any, folder: Path) -> "Run":
        """The run that prepares into a folder, for others to read."""
        del folder
        raise ValueError(f"method {settings.method!r} has nothing to prepare: train it at once")

    def check(self) -> None:
        """Says what is missing, before anything is trained; all processes of a run call this."""

    def first(self) -> dict[str, Any]:
        """The settings of the runs that must come before, by their folders below this one's."""
        return {}
