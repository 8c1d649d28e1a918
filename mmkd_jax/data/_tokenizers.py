"""Tokenizers of transformers, from folders that may be anyone's."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any


def load_tokenizer(source: str | os.PathLike) -> Any:
    """A tokenizer of transformers. No code that lies beside it is run.

    >>> import tempfile
    >>> from mmkd_jax import data
    >>> folder = tempfile.TemporaryDirectory()
    >>> data.save_vocabulary(data.train_vocabulary(["low lower lowest"], size=25), folder.name)
    >>> data.load_tokenizer(folder.name).tokenize("lowest")
    ['lowest']
    >>> folder.cleanup()

    Args:
      source: A folder, or an id of the Hugging Face hub.

    Raises:
      OSError: It is not there.
      ValueError: It is there, but cannot be read.
    """
    from transformers import AutoTokenizer

    with failures_as_messages(f"{source} has no tokenizer that can be read"):
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)


@contextlib.contextmanager
def failures_as_messages(what: str) -> Iterator[None]:
    """Whatever a damaged tokenizer makes its code raise is a ValueError that begins so."""
    try:
        yield
    except (OSError, KeyboardInterrupt, SystemExit):
        raise
    # A panic of Rust is not even an Exception.
    except BaseException as error:
        raise ValueError(f"{what}: {str(error) or type(error).__name__}") from error
