"""What all programs do before and after their work: flags, logging, errors without tracebacks."""

import contextlib
import linecache
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from absl import app, flags
from absl import logging as absl_logging

from mmkd_jax._text import shown

_PACKAGE = Path(__file__).parent


@contextlib.contextmanager
def messages(name: str) -> Iterator[None]:
    """Ends the program in one line where the library says what is wrong, or a file cannot be used.

    Whatever else goes wrong keeps its traceback.
    """
    try:
        yield
    except Exception as error:
        if not _is_message(error):
            raise
        warnings.simplefilter("ignore")  # of what is left half done: the message is the last word
        sys.exit(shown(f"{name}: {error}", kept="\n"))


def start(main: Callable[..., int], name: str, takes_paths: bool = False) -> None:
    """Parses the flags, runs the program, and exits with its code.

    A program that takes paths gets what is not a flag as a list. A flag that cannot be read ends in
    one line that says so; for what comes later, see `messages`.
    """

    def parse(arguments: list[str]) -> list[str]:
        try:
            rest = flags.FLAGS(arguments)
            if "config" in flags.FLAGS:
                _ = hasattr(flags.FLAGS["config"].value, "method")  # OSError if it was not read
            return rest
        except flags.Error as error:
            if said := _refusal_of_config(str(error)):
                sys.exit(f"{name}: --config: {said}")
            sys.exit(f"{name}: {str(error).rstrip('.')}; see --help")
        except (AttributeError, KeyError) as error:
            # ml_collections says what was meant, inside quotes and escapes.
            said = str(error).strip("'\"").replace("\\n", " ").replace("\\'", "'")
            sys.exit(f"{name}: --config: no such field: {said}")
        except (OSError, TypeError) as error:
            # Where ml_collections has looked comes first, and then what was wrong.
            sys.exit(f"{name}: --config: {str(error).splitlines()[-1].strip()}")

    # That PyTorch is missing is no news.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

    def run(arguments: list[str]) -> None:
        # What libraries log in passing is not for the one who waits for the run.
        absl_logging.set_verbosity(absl_logging.WARNING)
        ours = logging.StreamHandler()
        ours.setFormatter(_Formatter("%(message)s"))
        logger = logging.getLogger("mmkd_jax")
        logger.setLevel(logging.INFO)
        logger.addHandler(ours)
        logger.propagate = False
        logging.getLogger("mmkd_jax.data").setLevel(logging.WARNING)
        sys.exit(main(arguments[1:]) if takes_paths else main())

    app.run(run, flags_parser=parse)


class _Formatter(logging.Formatter):
    """What is logged may quote anyone's files: nothing of it steers the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return shown(super().format(record), kept="\n")


def part_of(text: str) -> tuple[int, int]:
    """``"2/8"`` as (2, 8)."""
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    part, parts = map(int, found.groups()) if found else (0, 0)
    if not part < parts:
        raise ValueError(f"--shard must be I/N with 0 <= I < N, got {text!r}")
    return part, parts


def _refusal_of_config(message: str) -> str:
    """What a config says of what stands after its colon; nothing if it has failed otherwise."""
    *before, last = message.rstrip().splitlines()
    refuses = any(line.strip().startswith("raise ValueError(") for line in before[-6:])
    return last.strip().removeprefix("ValueError: ") if refuses else ""


def _is_message(error: Exception) -> bool:
    """Whether this is what a ``raise`` of this package says, and not what happened to it."""
    if isinstance(error, OSError):
        return True
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = linecache.getline(last.filename, last.lineno or 0).strip().startswith("raise ")
    return said and Path(last.filename).is_relative_to(_PACKAGE)
