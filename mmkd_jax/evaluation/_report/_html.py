"""Elements of HTML. Text is escaped unless it is known to be HTML already."""

import html
import re
from typing import Any

_WORD = re.compile(r"[^-._/]*(?:[-._/]|$)")


class Markup(str):
    """HTML, which is not escaped again."""

    __slots__ = ()


def element(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element with its children.

    Example:
      >>> from mmkd_jax.evaluation._report._html import element
      >>> element("p", "1 < 2, ", element("b", "always"), class_="fact")
      '<p class="fact">1 &lt; 2, <b>always</b></p>'

    Args:
      name: Of the element.
      children: Markup goes in as it is, everything else as text; None not at all.
      attributes: None is left out, True stands without a value. Underscores in names are hyphens,
        except at the end: ``class_``.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    return Markup(f"<{name}{shown}>{joined(*children)}</{name}>")


def joined(*children: Any) -> Markup:
    """Several pieces, one after the other."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(str(child))
            for child in children
            if child is not None
        )
    )


def section(title: str, *children: Any) -> Markup:
    """A part of the page with its heading."""
    return element("section", element("h2", title), *children)


def folded(title: str, *children: Any) -> Markup:
    """What only some want to see, behind its title."""
    return element("details", element("summary", title), *children)


def table(head: list[Any], rows: list[list[Any]], numeric: tuple[int, ...] = ()) -> Markup:
    """A table, which scrolls by itself where it is too wide.

    Args:
      head: Of the columns; may be empty.
      rows: Cells by row.
      numeric: The columns of numbers, by index.
    """

    def line(tag: str, cells: list[Any]) -> Markup:
        return element(
            "tr",
            *(
                element(tag, cell, class_="number" if index in numeric else None)
                for index, cell in enumerate(cells)
            ),
        )

    body = element("tbody", *(line("td", row) for row in rows))
    whole = element("table", element("thead", line("th", head)) if head else None, body)
    return element("div", whole, class_="scroll")


def breakable(text: str) -> Markup:
    """Text without spaces, which may be broken between its words but not within them."""
    words = filter(None, _WORD.findall(text))
    return joined(*(part for word in words for part in (word, Markup("<wbr>"))))


def _attribute(name: str, value: Any) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
