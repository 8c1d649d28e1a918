"""JSON from strangers."""

import json
from typing import Any

from mmkd_jax.data._readers._report import Unreadable

_BROKEN = "broken JSON"


def parsed(text: str | bytes) -> Any:
    """What the text says.

    Raises:
      Unreadable: it is no JSON, or holds what Python or a tokenizer cannot.
      UnicodeDecodeError: bytes that are no text.
    """
    try:
        values = json.loads(text)
        # \ud800 and its like, halves of a character.
        if (b"\\u" if isinstance(text, bytes) else "\\u") in text:
            json.dumps(values, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise
    except UnicodeEncodeError:
        raise Unreadable(_BROKEN, "half a character, a lone surrogate") from None
    except ValueError as error:  # a number of thousands of digits, too
        raise Unreadable(_BROKEN, str(error), getattr(error, "lineno", 1)) from None
    except RecursionError:
        raise Unreadable(_BROKEN, "nested too deeply") from None
    return values
