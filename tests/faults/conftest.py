"""The undisturbed run, which tests of programs look at too."""

from tests.programs.conftest import once, undisturbed

__all__ = ["once", "undisturbed"]
