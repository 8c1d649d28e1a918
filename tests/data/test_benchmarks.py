"""Benchmarks in their original files."""

import json

import pytest

from mmkd_jax.data import (
    Inference,
    Paraphrase,
    Question,
    ReadError,
    Report,
    read_multinli,
    read_pawsx,
    read_squad,
    read_xnli,
)

XNLI = [
    *("language", "gold_label"),
    *("sentence1_binary_parse", "sentence2_binary_parse", "sentence1_parse", "sentence2_parse"),
    *("sentence1", "sentence2", "promptID", "pairID", "genre"),
    *(f"label{n}" for n in range(1, 6)),
    *("sentence1_tokenized", "sentence2_tokenized", "match"),
]
MULTINLI = XNLI[1:16]


def table(names: list[str], *rows: dict[str, str], width: int | None = None) -> str:
    lines = ["\t".join(names)]
    lines += ["\t".join([row.get(name, "") for name in names][:width]) for row in rows]
    return "\n".join(lines)


def nli(premise: str, hypothesis: str, label: str, id: str, **more: str) -> dict[str, str]:
    return {
        "sentence1": premise,
        "sentence2": hypothesis,
        "gold_label": label,
        "pairID": id,
        "label1": "neutral",
        **more,
    }


@pytest.fixture
def write(tmp_path):
    def write(name: str, content: str):
        path = tmp_path / name
        path.write_bytes(content.encode())
        return path

    return write


# XNLI and MultiNLI


ROWS = [
    nli('Il dit "oui.', "Il parle.", "entailment", "1", language="fr"),
    nli("Er sagt ja.", "Er schweigt.", "contradiction", "1", language="de"),
]


@pytest.mark.parametrize("kind", ["tsv", "jsonl"])
def test_xnli(write, kind):
    lines = {
        "tsv": table(XNLI, *ROWS).replace("\n", "\r\n"),
        "jsonl": "\n".join(json.dumps(row) for row in ROWS),
    }
    path = write(f"xnli.dev.{kind}", lines[kind])
    both = [
        Inference('Il dit "oui.', "Il parle.", "entailment", "fr", "1"),
        Inference("Er sagt ja.", "Er schweigt.", "contradiction", "de", "1"),
    ]
    assert list(read_xnli(path)) == both
    assert list(read_xnli(path, "de")) == both[1:]
    assert list(read_xnli(path, "sw")) == []


def test_translated_training_data_of_xnli(write):
    path = write(
        "multinli.train.de.tsv",
        "premise\thypo\tlabel\nA .\tB .\tcontradictory\nC .\tD .\tneutral\n\tE .\tneutral\n",
    )
    report = Report()
    assert list(read_xnli(path, "de", report=report)) == [
        Inference("A .", "B .", "contradiction", "de"),
        Inference("C .", "D .", "neutral", "de"),
    ]
    assert report.left_out == {"blank side": 1}


@pytest.mark.parametrize("kind", ["txt", "jsonl"])
def test_multinli(write, kind):
    rows = [
        nli("A", "B", "neutral", "1n"),
        nli("C", "D", "-", "2x"),
        nli("E", "F", "entailment", "3e"),
    ]
    lines = {
        "txt": table(MULTINLI, *rows, width=11),  # as in the training file
        "jsonl": "\n".join(json.dumps(row) for row in rows),
    }
    report = Report()
    found = list(read_multinli(write(f"multinli_1.0_train.{kind}", lines[kind]), report=report))
    assert found == [
        Inference("A", "B", "neutral", "en", "1n"),
        Inference("E", "F", "entailment", "en", "3e"),
    ]
    assert report.left_out == {"no gold label": 1}


def test_wrong_inferences(write):
    cut = table(XNLI, ROWS[0], width=18)
    with pytest.raises(ReadError, match="xnli.tsv:2: wrong number of columns: 18 instead of 19"):
        list(read_xnli(write("xnli.tsv", cut)))
    with pytest.raises(ReadError, match="m.txt:2: wrong number of columns: 10 instead of 15"):
        list(read_multinli(write("m.txt", table(MULTINLI, ROWS[0], width=10))))
    with pytest.raises(ReadError, match="m.txt:2: a label that is none: 'maybe'"):
        list(read_multinli(write("m.txt", table(MULTINLI, nli("A", "B", "maybe", "1")))))
    with pytest.raises(ReadError, match="m.jsonl:1: no field: 'gold_label' among sentence1, "):
        list(read_multinli(write("m.jsonl", '{"sentence1": "A", "sentence2": "B"}')))
    with pytest.raises(ReadError, match="x.tsv:1: no column 'sentence1' among A, B"):
        list(read_xnli(write("x.tsv", "A\tB\n")))
    report = Report()
    path = write("m.jsonl", json.dumps(ROWS[0]) + '\n{"a": 1}\n{')
    assert len(list(read_multinli(path, on_error="skip", report=report))) == 0  # it is French
    assert len(list(read_xnli(path, on_error="skip", report=report))) == 1
    assert report.left_out == {"no field": 2, "broken JSON": 2}


# PAWS-X


def test_pawsx(write):
    path = write(
        "dev_2k.tsv",
        "id\tsentence1\tsentence2\tlabel\r\n"
        '4\tEr sagte "ja.\tJa, sagte er.\t1\r\n'
        "6\tNS\tEr kam.\t0\r\n"
        "7\tNS wählt.\tEr wählt.\t0\r\n"
        "8\t\tEr kam.\t0",
    )
    pairs = [
        Paraphrase('Er sagte "ja.', "Ja, sagte er.", 1, "de", "4"),
        Paraphrase("NS", "Er kam.", 0, "de", "6"),
        Paraphrase("NS wählt.", "Er wählt.", 0, "de", "7"),
    ]
    report = Report()
    assert list(read_pawsx(path, "de", report=report)) == [pairs[0], pairs[2]]
    assert report.left_out == {"a sentence that was not translated, NS": 1, "blank side": 1}
    assert list(read_pawsx(path, "de", placeholders=True, report=report)) == pairs


def test_wrong_paraphrases(write):
    path = write("p.tsv", "id\tsentence1\tsentence2\tlabel\n1\ta\tb\tyes\n2\tc\td\t1\n")
    with pytest.raises(ReadError, match="p.tsv:2: label is neither 0 nor 1: 'yes'"):
        list(read_pawsx(path))
    report = Report()
    assert [each.id for each in read_pawsx(path, on_error="skip", report=report)] == ["2"]
    assert report.left_out == {"label is neither 0 nor 1": 1}


# SQuAD, XQuAD, MLQA


def squad(*questions: dict, context: str = "Ada 👩‍💻 wohnt in Köln.") -> str:
    paragraph = {"context": context, "qas": list(questions)}
    return json.dumps({"version": "1.1", "data": [{"title": "Ada", "paragraphs": [paragraph]}]})


def asked(id: str, *answers: tuple[str, int], **more) -> dict:
    found = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": id, "question": f"{id}?", "answers": found, **more}


def test_squad(write):
    context = "Ada 👩‍💻 wohnt in Köln."
    nobody = asked("b", is_impossible=True, plausible_answers=[{"text": "x", "answer_start": 0}])
    path = write("q.json", squad(asked("a", ("Köln", 17), ("in Köln", 14)), nobody))
    assert list(read_squad(path, "de")) == [
        Question("a?", context, ("Köln", "in Köln"), (17, 14), "de", "a", "Ada"),
        Question("b?", context, (), (), "de", "b", "Ada"),
    ]
    (first, _) = read_squad(path)
    assert all(
        first.context[s:].startswith(a) for a, s in zip(first.answers, first.starts, strict=True)
    )


@pytest.mark.parametrize(
    ("content", "place", "read", "reason"),
    [
        ('{\n"data": [\n}', 3, 0, "broken JSON"),
        ('{"version": 1}', 1, 0, "no field"),
        ("[]", 1, 0, "no JSON object"),
        ('{"data": [{"paragraphs": [{"qas": []}]}]}', 1, 0, "no field"),
        (
            squad(asked("a", ("Ada", 0)), asked("b", ("Köln", 18))),
            2,
            1,
            "the answer is not where it",
        ),
        (squad(asked("b", ("Köln", -4))), 1, 0, "the answer is not where it"),
        (squad({"question": "Who?", "answers": [{"text": "Ada"}]}), 1, 0, "no field"),
        (squad({"question": "Who?", "answers": ["Ada"]}), 1, 0, "no JSON object"),
    ],
)
def test_wrong_questions(write, content, place, read, reason):
    path = write("q.json", content)
    with pytest.raises(ReadError, match=f"q.json:{place}: {reason}"):
        list(read_squad(path))
    report = Report()
    assert len(list(read_squad(path, on_error="skip", report=report))) == read
    assert report.left_out_total == 1


def test_questions_that_are_not_utf8(tmp_path):
    path = tmp_path / "q.json"
    path.write_bytes(b'{\n"data": "\xe4"}')
    with pytest.raises(ReadError, match="q.json:2: invalid UTF-8: byte 0xe4"):
        list(read_squad(path))
    path.write_bytes(b"\xef\xbb\xbf" + squad(asked("a", ("Ada", 0))).encode())
    assert len(list(read_squad(path))) == 1
