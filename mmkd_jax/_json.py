"""JSON files of strangers, or of a run that was damaged."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_json(path: Path, kind: type = dict) -> Any:
    """What a file says.

    Args:
      path: Of the file.
      kind: What it must hold.

    Raises:
      ValueError: It is broken, or holds something else; the message names the file.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON: {error}") from None
    if not isinstance(content, kind):
        wanted = {dict: "an object", list: "a list"}[kind]
        raise ValueError(f"{path} must hold {wanted}, got {type(content).__name__}")
    return content


@contextlib.contextmanager
def described_by(path: str | Path) -> Iterator[None]:
    """Around what is built from a file: where its content fits nothing, the file is named.

    Raises:
      ValueError: Something was missing, of another type, or refused.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        reason = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path} is damaged, or from elsewhere: {reason}") from error
