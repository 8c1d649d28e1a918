"""Records by field names, as JSON lines, TFDS and Hugging Face datasets hold them."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mmkd_jax.data._readers._json import parsed
from mmkd_jax.data._readers._lines import texts
from mmkd_jax.data._readers._report import Path, Reading, Report, Unreadable
from mmkd_jax.data._records import Inference, Pair, Paraphrase, Question, Row, TaggedSentence

LABELS = {
    "entailment": "entailment",
    "neutral": "neutral",
    "contradiction": "contradiction",
    "contradictory": "contradiction",  # as the translated training files of XNLI spell it
}

_PARAPHRASES = {"different_meaning": 0, "paraphrase": 1}  # as TFDS names them


def json_rows(
    path: Path, *, on_error: str = "raise", report: Report | None = None
) -> Iterator[Row]:
    """The objects of a file of JSON lines, plain or gzipped. Blank lines are passed over."""
    with Reading(on_error, report) as reading:
        for number, line in texts(path, reading):
            try:
                values = parsed(line)
            except Unreadable as error:
                reading.unreadable(path, number, error)
                continue
            if not isinstance(values, dict):
                reading.fault(path, number, "no JSON object")
                continue
            yield Row(str(path), number, values)


def read_jsonl(
    path: Path,
    source: str = "source",
    target: str = "target",
    *,
    source_language: str = "",
    target_language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    """Pairs from JSON lines, plain or gzipped.

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import read_jsonl
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = pathlib.Path(folder.name, "pairs.jsonl")
    >>> _ = file.write_text('{"translation": {"en": "Yes.", "tr": "Evet."}}')
    >>> list(read_jsonl(file, "translation.en", "translation.tr"))
    [Pair(source='Yes.', target='Evet.', source_language='', target_language='')]
    >>> folder.cleanup()

    Args:
      path: the file.
      source: the field of the source; with dots, a field within a field.
      target: the field of the translation, likewise.
      source_language: written into each record, as is `target_language`.
      target_language: see `source_language`.
      on_error: "raise", or "skip" to leave out what cannot be read and count it.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: a line is not UTF-8 or no JSON object, or lacks a field.
    """
    with Reading(on_error, report) as reading:
        yield from pairs_of_rows(
            json_rows(path, on_error=on_error, report=reading.report),
            source,
            target,
            source_language=source_language,
            target_language=target_language,
            on_error=on_error,
            report=reading.report,
        )


def pairs_of_rows(
    rows: Iterable[Row],
    source: str,
    target: str,
    *,
    source_language: str = "",
    target_language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Pair]:
    """Pairs of two fields, which may be fields within fields: ``translation.en``.

    In TFDS, ``opus``, ``para_crawl`` and their like have the languages themselves as fields;
    ``ted_multi_translate`` has ``translations.en``, and ``tatoeba`` ``source_sentence`` and
    ``target_sentence``. A row without one of the languages is left out and counted.
    """

    def side(values: dict[str, Any], name: str) -> str:
        if name not in values and name.partition(".")[0] not in values:
            raise Unreadable("no field", f"{name!r} among {', '.join(values)}")
        return field(values, name, str, "")

    def pair(values: dict[str, Any]) -> Pair | str:
        first, second = side(values, source), side(values, target)
        if not first.strip() or not second.strip():
            return "blank side"
        return Pair(first, second, source_language, target_language)

    return _records(rows, pair, on_error, report)


def tagged_of_rows(
    rows: Iterable[Row],
    words: str = "tokens",
    tags: str = "tags",
    *,
    language: str = "",
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[TaggedSentence]:
    """Tagged sentences of a field of words and a field of the names of their tags.

    For example TFDS ``wikiann`` (``tokens``, ``tags``), ``conll2003`` (``tokens``, ``ner``) and
    ``universal_dependencies`` (``tokens``, ``upos``).
    """

    def tagged(values: dict[str, Any]) -> TaggedSentence | str:
        found = tuple(field(values, words, list)), tuple(field(values, tags, list))
        if len(found[0]) != len(found[1]):
            raise Unreadable("not one tag a word", f"{len(found[0])} words, {len(found[1])} tags")
        if not all(isinstance(each, str) for side in found for each in side):
            raise Unreadable("words and tags must be text")
        return TaggedSentence(*found, language) if found[0] else "no words"

    return _records(rows, tagged, on_error, report)


def inferences_of_rows(
    rows: Iterable[Row],
    language: str = "",
    *,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Inference]:
    """Premises and hypotheses of TFDS ``xnli`` (in one language of it) or ``multi_nli``.

    Rows without a label, which annotators could not agree on, are left out and counted.
    """

    def inference(values: dict[str, Any]) -> Inference | str:
        sides = [values.get("premise"), values.get("hypothesis")]
        dot = f".{language}" if isinstance(sides[0], dict) else ""
        label = field(values, "label", str, "-")
        if label == "-":
            return "no gold label"
        if label not in LABELS:
            raise Unreadable("a label that is none", repr(label))
        premise, hypothesis = (field(values, f"{s}{dot}", str) for s in ("premise", "hypothesis"))
        return Inference(premise, hypothesis, LABELS[label], language)

    return _records(rows, inference, on_error, report)


def paraphrases_of_rows(
    rows: Iterable[Row],
    language: str = "",
    *,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Paraphrase]:
    """Pairs of sentences and whether they say the same, of TFDS ``paws_x_wiki``."""

    def paraphrase(values: dict[str, Any]) -> Paraphrase | str:
        first, second = (field(values, f"sentence{n}", str) for n in (1, 2))
        label = field(values, "label", (int, str))
        label = _PARAPHRASES.get(label, label)
        if label not in (0, 1, "0", "1"):
            raise Unreadable("label is neither 0 nor 1", repr(label))
        return Paraphrase(first, second, int(label), language)

    return _records(rows, paraphrase, on_error, report)


def questions_of_rows(
    rows: Iterable[Row],
    language: str = "",
    *,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Question]:
    """Questions of TFDS ``squad``, ``xquad``, ``mlqa``, and of what else has SQuAD's fields."""

    def question(values: dict[str, Any]) -> Question | str:
        context = field(values, "context", str)
        answers = tuple(field(values, "answers.text", list))
        starts = tuple(int(start) for start in field(values, "answers.answer_start", list))
        check_answers(context, answers, starts)
        asked, id = field(values, "question", str), field(values, "id", str, "")
        return Question(
            asked, context, answers, starts, language, id, field(values, "title", str, "")
        )

    return _records(rows, question, on_error, report)


def check_answers(context: str, answers: tuple[str, ...], starts: tuple[int, ...]) -> None:
    """Each answer must stand in the context where it says."""
    if len(answers) != len(starts):
        raise Unreadable("not one start an answer", f"{len(answers)} and {len(starts)}")
    for answer, start in zip(answers, starts, strict=True):
        if start < 0 or not context.startswith(answer, start):
            found = context[max(start, 0) : max(start, 0) + len(answer)]
            raise Unreadable("the answer is not where it says", f"{answer!r}, found {found!r}")


_REQUIRED = object()


def field(values: Any, name: str, kind: type | tuple, default: Any = _REQUIRED) -> Any:
    """The value of a field, or of a field within fields where the name has dots."""
    if not isinstance(values, dict):
        raise Unreadable("no JSON object", f"but {type(values).__name__} where {name!r} should be")
    value: Any = values
    for key in [name] if name in values else name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None and default is not _REQUIRED:
        return default
    if value is None:
        raise Unreadable("no field", f"{name!r} among {', '.join(map(str, values))}")
    if not isinstance(value, kind):
        raise Unreadable("a field of another type", f"{name!r} is {type(value).__name__}")
    return value


def _records(
    rows: Iterable[Row],
    make: Callable[[dict[str, Any]], Any],
    on_error: str,
    report: Report | None,
) -> Iterator[Any]:
    """What `make` makes of each row; text that it returns is why the row is left out."""
    with Reading(on_error, report) as reading:
        for file, number, values in rows:
            try:
                record = make(values)
            except Unreadable as error:
                reading.unreadable(file, number, error)
                continue
            if isinstance(record, str):
                reading.leave_out(file, number, record)
                continue
            reading.report.read += 1
            yield record
