"""Sentences that are taken for others, to be read."""

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._details import Confused
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._html import Markup, element, folded, section

_AT_ONCE, _MOST = 6, 40


def confused(run: Run) -> Markup | None:
    """What a translation was, and what it was taken for."""
    found = run.confused[:_MOST]
    if not found:
        return None
    rest = found[_AT_ONCE:]
    return section(
        "Worst confusions",
        element(
            "p",
            "Held-out translations whose own English sentence is far, and another one is near. "
            "Numbers are cosines.",
        ),
        *map(_one, found[:_AT_ONCE]),
        folded(f"{len(rest)} more", *map(_one, rest)) if rest else None,
    )


def _one(pair: Confused) -> Markup:
    return element(
        "div",
        element("p", element("span", language_name(pair.language), class_="tag"), class_="kind"),
        element("p", pair.translation, dir="auto", class_="said"),
        element(
            "dl",
            *_line("is", pair.english, pair.cosine),
            *_line("taken for", pair.found, pair.cosine_found),
        ),
        class_="confused",
    )


def _line(what: str, text: str, cosine: float) -> tuple[Markup, Markup]:
    shown = f"{cosine:.2f}".replace("-", "−").replace("nan", "–")
    return element("dt", what), element(
        "dd", element("span", text, dir="auto"), " ", element("span", shown, class_="cosine")
    )
