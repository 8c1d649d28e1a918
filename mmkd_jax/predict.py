"""Tags what comes from standard input; writes a line of JSON for each sentence, in order.

    python -m mmkd_jax.predict --model=DIR < text.txt > tagged.jsonl
    python -m mmkd_jax.predict --model=DIR --format=columns --k_best=3 < corpus.conll

``--format``: "text", a sentence a line, which is split into words by `mmkd_jax.data.split_text`
(for taggers of aspect terms as their corpora are, by `mmkd_jax.data.split_words`); "words",
likewise, but with spaces between the words; "columns", a word a line, in the first column
(``--word``), and blank lines between sentences; "conllu", columns of CoNLL-U, of which ranges and
empty nodes are no words. A blank line of text has no words. In columns neither ``-DOCSTART-`` nor a
comment is one: a line that begins with # and is not in columns as words are. All of it is UTF-8.

Each line has "words", "tags", "probabilities" (of each tag by itself, over all tag sequences),
"probability" (of all tags together), "spans" with "start", "end" (words), "type", "text" and
"probability" (that exactly this span is there); for text also "places", where each word stands in
its line; with ``--k_best`` as "guesses" the best tag sequences with their probabilities; and with
``--marginals`` as "marginals", for each word, the probability of every tag.
"""

import itertools
import json
import os
import sys
from collections.abc import Iterable
from typing import Any, TextIO

from absl import flags

from mmkd_jax._program import messages, start
from mmkd_jax._sentences import decoded, sentences_of

_MODEL = flags.DEFINE_string("model", None, "A folder: a tagger that a run has exported.")
_FORMAT = flags.DEFINE_enum(
    "format", "text", ["text", "words", "columns", "conllu"], "Of the input."
)
_WORD = flags.DEFINE_integer("word", 0, "The column of the words, from 0; from the end if below 0.")
_K_BEST = flags.DEFINE_integer("k_best", 0, "How many of the best tag sequences to write.")
_MARGINALS = flags.DEFINE_bool("marginals", False, "Whether to write every tag's probability.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "Sentences that are read at once.")

_AT_ONCE = 1024  # sentences that are sorted by length


def predict(
    model: str,
    lines: Iterable[str],
    out: TextIO,
    form: str = "text",
    word: int = 0,
    k_best: int = 0,
    batch_size: int = 64,
    marginals: bool = False,
) -> int:
    """Writes what a tagger says of each sentence; returns the exit code."""
    from mmkd_jax import inference

    tagger = inference.load_tagger(model)
    sentences = sentences_of(lines, form, word)
    while some := list(itertools.islice(sentences, _AT_ONCE)):
        for tagging in tagger(some, k_best, batch_size):
            plain = _plain(tagging, k_best)
            if marginals:
                names = tagger.config.tags.names
                rows = tagging.marginals.tolist()
                plain["marginals"] = [dict(zip(names, row, strict=True)) for row in rows]
            out.write(json.dumps(plain, ensure_ascii=False) + "\n")
        out.flush()
    return 0


def _plain(tagging: Any, k_best: int) -> dict[str, Any]:
    found = {
        "words": tagging.words,
        "tags": tagging.tags,
        "probabilities": tagging.probabilities,
        "probability": tagging.probability,
        "spans": [span._asdict() for span in tagging.spans],
    }
    if tagging.places is not None:
        found["places"] = tagging.places
    if k_best:
        found["guesses"] = [guess._asdict() for guess in tagging.guesses]
    return found


def main() -> int:
    """The program."""
    with messages("predict"):
        # UTF-8, whatever the terminal's language would have it be.
        sys.stdout.reconfigure(encoding="utf-8", newline="\n")
        try:
            return predict(
                _MODEL.value,
                decoded(sys.stdin.buffer),
                sys.stdout,
                _FORMAT.value,
                _WORD.value,
                _K_BEST.value,
                _BATCH_SIZE.value,
                _MARGINALS.value,
            )
        except BrokenPipeError:
            # Who reads, such as `head`, has had enough. Python would complain as it flushes.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0


if __name__ == "__main__":
    flags.mark_flags_as_required(["model"])
    start(main, "predict")
