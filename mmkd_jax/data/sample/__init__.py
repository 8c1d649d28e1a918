"""A small parallel corpus for tests, examples and first experiments.

160 sentences, translations of one another, with universal parts of speech and named entities:
sentences 1 to 120 are for training, 121 to 160 for testing, in every language the same. What they
are and how they are tagged is in the `README.md` beside this file.

>>> from mmkd_jax.data import sample
>>> sample.languages()
('en', 'de', 'es', 'fr', 'tr', 'ru', 'zh', 'hi')
>>> next(sample.pairs("de", "train"))
('Marie Curie was born in Warsaw.', 'Marie Curie wurde in Warschau geboren.')
"""

import importlib.resources
from collections.abc import Iterator
from typing import NamedTuple

_LANGUAGES = ("en", "de", "es", "fr", "tr", "ru", "zh", "hi")
_SPLITS = ("train", "test")
_TASKS = ("ner", "pos")


class _Sentence(NamedTuple):
    id: int
    text: str
    tokens: list[str]
    pos: list[str]
    ner: list[str]


def languages() -> tuple[str, ...]:
    """The languages' codes; English, which the others translate, comes first."""
    return _LANGUAGES


def pairs(language: str, split: str) -> Iterator[tuple[str, str]]:
    """Yields each English sentence with its translation, as written.

    >>> from mmkd_jax.data import sample
    >>> for english, chinese in list(sample.pairs("zh", "test"))[:2]:
    ...     print(english, chinese)
    Frida Kahlo was born in Mexico. 弗里达·卡罗出生于墨西哥。
    The train from Vienna to Rome leaves in the evening. 从维也纳到罗马的火车晚上开。

    Args:
      language: one of `languages`, but not English.
      split: "train" (120 pairs) or "test" (40 others).
    """
    if language == "en":
        raise ValueError("language must be one that English is translated to, got 'en'")
    both = zip(_sentences("en", split), _sentences(language, split), strict=True)
    return ((english.text, other.text) for english, other in both)


def tagged(language: str, split: str, task: str = "ner") -> Iterator[tuple[list[str], list[str]]]:
    """Yields the tokens of each sentence with their tags.

    >>> from mmkd_jax.data import sample
    >>> tokens, tags = next(sample.tagged("tr", "train"))
    >>> tokens
    ['Marie', 'Curie', "Varşova'da", 'doğdu', '.']
    >>> tags
    ['B-PER', 'I-PER', 'B-LOC', 'O', 'O']
    >>> next(sample.tagged("tr", "train", task="pos"))[1]
    ['PROPN', 'PROPN', 'PROPN', 'VERB', 'PUNCT']

    Args:
      language: one of `languages`.
      split: "train" (120 sentences) or "test" (40 others).
      task: "ner" (persons, places and organisations in IOB2) or "pos" (universal parts of speech).
    """
    _check("task", task, _TASKS)
    return (
        (sentence.tokens, sentence.ner if task == "ner" else sentence.pos)
        for sentence in _sentences(language, split)
    )


def _sentences(language: str, split: str) -> list[_Sentence]:
    _check("language", language, _LANGUAGES)
    _check("split", split, _SPLITS)
    file = importlib.resources.files(__name__) / f"{split}.{language}.tsv"
    return [_parse(block) for block in file.read_text(encoding="utf-8").split("\n\n") if block]


def _parse(block: str) -> _Sentence:
    number, text, *rows = block.split("\n")
    columns = zip(*(row.split("\t") for row in rows), strict=True)
    tokens, pos, ner = (list(column) for column in columns)
    number, text = number.removeprefix("# id = "), text.removeprefix("# text = ")
    return _Sentence(int(number), text, tokens, pos, ner)


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}")
