"""Tokenizers of transformers, from folders that may be anyone's."""

import os
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

    try:
        return AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, KeyboardInterrupt, SystemExit):
        raise
    # Whatever a damaged file makes its readers do: a panic of Rust is not even an Exception.
    except BaseException as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"{source} has no tokenizer that can be read: {reason}") from error
