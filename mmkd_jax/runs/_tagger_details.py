"""Where a tagger errs, for its report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmkd_jax import data, evaluation, inference

_MOST = 400  # sentences of a language


def save_tagging_details(
    folder: Path,
    tagger: inference.SentenceTagger,
    corpora: Mapping[str, Sequence[data.TaggedSentence]],
) -> None:
    """Writes what a tagger does with some sentences of each language.

    Args:
      folder: The workdir.
      tagger: Which one.
      corpora: By language.
    """
    chosen = [
        (language, row) for language, rows in corpora.items() for row in rows[:_MOST] if row.words
    ]
    names = tagger.config.tags
    # What the tagger has no name for cannot be judged here.
    gold = [[names.index(tag) if tag in names else -1 for tag in row.tags] for _, row in chosen]
    words = [row.words for _, row in chosen]
    found = tagger(words)
    marginals = [tagging.marginals for tagging in found]
    hard = evaluation.hard_sentences(gold, marginals)
    again = tagger([words[number] for number in hard], k_best=3)
    evaluation.write_tagging_details(
        folder,
        names.names,
        gold,
        [names.encode(tagging.tags) for tagging in found],
        marginals,
        [language for language, _ in chosen],
        words,
        k_best={
            number: [(np.asarray(names.encode(one.tags)), one.probability) for one in each.guesses]
            for number, each in zip(hard, again, strict=True)
        },
    )
