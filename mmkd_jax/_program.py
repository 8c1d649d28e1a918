"""What all programs do before and after their work: flags, logging, errors without tracebacks."""

import logging
import os
import sys
from collections.abc import Callable

from absl import app
from absl import logging as absl_logging


def start(main: Callable[..., int], name: str, takes_paths: bool = False) -> None:
    """Parses the flags, runs the program, and exits with its code.

    A program that takes paths gets what is not a flag as a list.

    Mistakes of the user (a field that does not exist, a folder that is not there) end in one
    line that says so; errors of the program keep their traceback.
    """

    def parse(arguments: list[str]) -> list[str]:
        try:
            return app.parse_flags_with_usage(arguments)
        except (AttributeError, KeyError) as error:
            # ml_collections says what was meant, inside quotes and escapes.
            said = str(error).strip("'\"").replace("\\n", " ").replace("\\'", "'")
            sys.exit(f"{name}: --config: no such field: {said}")
        except (FileNotFoundError, TypeError) as error:
            sys.exit(f"{name}: --config: {error}")

    # That PyTorch is missing is no news.
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

    def run(arguments: list[str]) -> None:
        # What libraries log in passing is not for the one who waits for the run.
        absl_logging.set_verbosity(absl_logging.WARNING)
        ours = logging.StreamHandler()
        ours.setFormatter(logging.Formatter("%(message)s"))
        logger = logging.getLogger("mmkd_jax")
        logger.setLevel(logging.INFO)
        logger.addHandler(ours)
        logger.propagate = False
        sys.exit(main(arguments[1:]) if takes_paths else main())

    app.run(run, flags_parser=parse)
