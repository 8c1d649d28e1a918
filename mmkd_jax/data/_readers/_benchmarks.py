"""Benchmarks in their original files: XNLI, MultiNLI, PAWS-X, and SQuAD's descendants."""

from collections.abc import Iterator
from typing import Any

from mmkd_jax.data._readers._json import parsed
from mmkd_jax.data._readers._lines import BROKEN, LOST, open_bytes, texts
from mmkd_jax.data._readers._report import Path, Reading, Report, Unreadable
from mmkd_jax.data._readers._rows import LABELS, check_answers, field, json_rows
from mmkd_jax.data._readers._tables import cells
from mmkd_jax.data._records import Inference, Paraphrase, Question

_NLI_FIELDS = ("sentence1", "sentence2", "gold_label", "pairID")
_TRANSLATED_FIELDS = ("premise", "hypo", "label")
_ANNOTATORS = 4  # only the first annotator's label is in every row of MultiNLI's training table


def read_xnli(
    path: Path,
    language: str | None = None,
    *,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Inference]:
    """XNLI in its original files: ``.tsv``, ``.jsonl``, or translated ``multinli.train.XX.tsv``.

    Args:
      path: the file.
      language: of a file that holds all languages, the one to read; None for all. The translated
        training files do not say theirs: there it is written into each record.
      on_error: "raise", or "skip" to leave out what cannot be read and count it.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: a line is not UTF-8, has another number of columns, lacks a field or has a label
        that is none. (Pairs that annotators could not agree on, "-", are left out and counted.)
    """
    with Reading(on_error, report) as reading:
        for number, own_language, row in _nli_rows(path, reading):
            if language and own_language and own_language != language:
                continue
            yield from _inference(path, number, row, own_language or language or "", reading)


def read_multinli(
    path: Path, *, on_error: str = "raise", report: Report | None = None
) -> Iterator[Inference]:
    """MultiNLI in its original files, ``.txt`` or ``.jsonl``; see `read_xnli`."""
    return read_xnli(path, "en", on_error=on_error, report=report)


def read_pawsx(
    path: Path,
    language: str = "",
    *,
    placeholders: bool = False,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Paraphrase]:
    """PAWS-X in its original files: id, sentence1, sentence2, label.

    Quotation marks quote nothing. The original has ``NS`` for sentences that were not translated;
    pairs with one are left out and counted, as are those with a blank side.

    Args:
      path: the file.
      language: written into each record.
      placeholders: True to keep the pairs with ``NS``.
      on_error: "raise", or "skip" to leave out what cannot be read and count it.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: a line is not UTF-8, has another number of columns, or a label is not 0 or 1.
    """
    columns = ("id", "sentence1", "sentence2", "label")
    with Reading(on_error, report) as reading:
        for number, (id, first, second, label) in cells(path, columns, True, reading):
            if not first.strip() or not second.strip():
                reading.leave_out(path, number, "blank side")
            elif not placeholders and "NS" in (first, second):
                reading.leave_out(path, number, "a sentence that was not translated, NS")
            elif label not in ("0", "1"):
                reading.fault(path, number, "label is neither 0 nor 1", repr(label))
            else:
                reading.report.read += 1
                yield Paraphrase(first, second, int(label), language, id)


def read_squad(
    path: Path,
    language: str = "",
    *,
    on_error: str = "raise",
    report: Report | None = None,
) -> Iterator[Question]:
    """SQuAD (1.1 and 2.0), XQuAD, MLQA: their JSON, which is read as a whole.

    Answers and their starts count characters, and are checked: where one does not stand in the
    context, that is an error. Questions that the context does not answer have no answers.

    Args:
      path: the file, plain or gzipped.
      language: written into each record.
      on_error: "raise", or "skip" to leave out what cannot be read and count it.
      report: where to count. Without one, what was left out is logged at the end.

    Raises:
      ReadError: the JSON is broken or lacks a field, or an answer is not where it says. (The
        place of a question is its number.)
    """
    with Reading(on_error, report) as reading:
        number = 0
        for title, context, questions in _paragraphs(path, reading):
            for each in questions:
                number += 1
                try:
                    record = _question(each, title, context, language)
                except Unreadable as error:
                    reading.unreadable(path, number, error)
                    continue
                reading.report.read += 1
                yield record


def _nli_rows(path: Path, reading: Reading) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Line, language if the file says it, and premise, hypothesis, label, id of each row."""
    if str(path).removesuffix(".gz").endswith(".jsonl"):
        on_error = "raise" if reading.strict else "skip"
        for _, number, values in json_rows(path, on_error=on_error, report=reading.report):
            try:
                row = tuple(field(values, name, str) for name in _NLI_FIELDS)
                yield number, field(values, "language", str, ""), row
            except Unreadable as error:
                reading.unreadable(path, number, error)
        return
    header = next((line.split("\t") for _, line in texts(path, reading)), [])
    if "hypo" in header:
        for number, row in cells(path, _TRANSLATED_FIELDS, True, reading):
            yield number, "", (*row, "")
        return
    columns = [*_NLI_FIELDS, *(["language"] if "language" in header else [])]
    optional = 0 if "language" in header else _ANNOTATORS
    for number, (premise, hypothesis, label, id, *own) in cells(
        path, columns, True, reading, optional
    ):
        yield number, "".join(own), (premise, hypothesis, label, id)


def _inference(
    path: Path, number: int, row: tuple[str, ...], language: str, reading: Reading
) -> Iterator[Inference]:
    premise, hypothesis, label, id = row
    if label == "-":
        reading.leave_out(path, number, "no gold label")
    elif label not in LABELS:
        reading.fault(path, number, "a label that is none", repr(label))
    elif not premise.strip() or not hypothesis.strip():
        reading.leave_out(path, number, "blank side")
    else:
        reading.report.read += 1
        yield Inference(premise, hypothesis, LABELS[label], language, id)


def _paragraphs(path: Path, reading: Reading) -> Iterator[tuple[str, str, list]]:
    try:
        with open_bytes(path) as file:
            content = parsed(file.read())
    except Unreadable as error:
        reading.unreadable(path, error.line, error)
        return
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        reading.fault(path, line, "invalid UTF-8", f"byte 0x{error.object[error.start]:02x}")
        return
    except BROKEN as error:
        reading.fault(path, 1, LOST, str(error))
        return
    try:
        for article in field(content, "data", list):
            title = field(article, "title", str, "")
            for paragraph in field(article, "paragraphs", list):
                yield title, field(paragraph, "context", str), field(paragraph, "qas", list)
    except Unreadable as error:
        reading.unreadable(path, error.line, error)


def _question(values: Any, title: str, context: str, language: str) -> Question:
    # SQuAD 2.0 lists what might be taken for an answer elsewhere, as plausible_answers.
    found = field(values, "answers", list, [])
    answers = tuple(field(each, "text", str) for each in found)
    starts = tuple(field(each, "answer_start", int) for each in found)
    check_answers(context, answers, starts)
    question, id = field(values, "question", str), str(field(values, "id", (str, int), ""))
    return Question(question, context, answers, starts, language, id, title)
