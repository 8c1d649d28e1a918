"""Texts of strangers on their way to a terminal or a log."""


def shown(text: str, kept: str = "") -> str:
    """The text with what steers terminals, or cannot be printed, as Python writes it.

    Args:
      text: Any.
      kept: Characters that stay all the same, such as line feeds.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in kept else ascii(c)[1:-1] for c in text)
