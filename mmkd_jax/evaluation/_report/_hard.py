"""Sentences in which the tagger errs most, with what else it would have said."""

from mmkd_jax.evaluation._languages import language_name
from mmkd_jax.evaluation._report._details import HardSentence, Tagging
from mmkd_jax.evaluation._report._html import Markup, element, folded, section
from mmkd_jax.evaluation._report._numbers import percent

_AT_ONCE, _MOST, _PATHS = 3, 24, 5


def hard(found: Tagging) -> Markup | None:
    """A table a sentence: its words, their gold tags, and the best paths."""
    sentences = found.hard[:_MOST]
    if not sentences:
        return None
    rest = sentences[_AT_ONCE:]
    return section(
        "Hard sentences",
        element(
            "p",
            "The gold tags, and below them the tagger's best taggings of the whole sentence with "
            "their probabilities. What differs from gold is set off.",
        ),
        *map(_sentence, sentences[:_AT_ONCE]),
        folded(f"{len(rest)} more", *map(_sentence, rest)) if rest else None,
    )


def _sentence(sentence: HardSentence) -> Markup:
    head = element("tr", element("th"), *(element("th", word) for word in sentence.words))
    gold = _row("gold", sentence.gold, sentence.gold)
    paths = (
        _row(percent(100 * probability), path, sentence.gold)
        for path, probability in sentence.paths[:_PATHS]
    )
    whole = element("table", element("thead", head), element("tbody", gold, *paths))
    language = element("p", language_name(sentence.language), class_="kind")
    return element(
        "div",
        language if sentence.language else None,
        element("div", whole, class_="scroll paths", tabindex="0"),
        class_="hard",
    )


def _row(name: str, tags: list[str], gold: list[str]) -> Markup:
    return element(
        "tr",
        element("th", name, scope="row"),
        *(
            element("td", element("mark", tag) if right and tag != right else tag)
            for tag, right in zip(tags, gold, strict=True)
        ),
    )
