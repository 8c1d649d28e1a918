"""Where a tagger errs, for the report."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmkd_jax import data, evaluation, inference

_MOST = 400  # sentences of a language; more would not change the pictures
_PATHS = 5


def save_tagging_details(
    folder: Path,
    tagger: inference.SentenceTagger,
    corpora: Mapping[str, Sequence[data.TaggedSentence]],
) -> None:
    """Writes `evaluation.write_tagging_details`' file.

    Args:
      folder: The workdir.
      tagger: With its parameters.
      corpora: By language; the first 400 sentences of each are taken.
    """
    rows = [(code, row) for code, of in corpora.items() for row in of[:_MOST] if row.words]
    if not rows:
        return
    words = [list(row.words) for _, row in rows]
    gold = [list(row.tags) for _, row in rows]
    found = tagger(words)
    predicted = [list(one.tags) for one in found]
    confidences = [one.probabilities for one in found]
    hard = evaluation.hard_sentences(gold, predicted, confidences)
    guesses = tagger([words[number] for number in hard], k_best=_PATHS) if hard else []
    evaluation.write_tagging_details(
        folder,
        tagger.config.tags.names,
        gold,
        predicted,
        confidences,
        [code for code, _ in rows],
        words,
        {number: one.guesses for number, one in zip(hard, guesses, strict=True)},
    )
