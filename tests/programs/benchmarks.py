"""Small benchmarks in the layouts of the originals, which a tiny encoder can learn."""

import json
import random
from pathlib import Path

import jax

from mmkd_jax import data, models

WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "a",
    "red",
    "mat",
    "while",
    "rain",
    "fell",
    "over",
    "old",
    "town",
    "roofs",
    "and",
    "nobody",
    "came",
]
SIGNS = {"entailment": "indeed", "neutral": "perhaps", "contradiction": "never"}
_XNLI = [
    *("language", "gold_label", "sentence1_binary_parse", "sentence2_binary_parse"),
    *(
        "sentence1_parse",
        "sentence2_parse",
        "sentence1",
        "sentence2",
        "promptID",
        "pairID",
        "genre",
    ),
    *(f"label{n}" for n in range(1, 6)),
    *("sentence1_tokenized", "sentence2_tokenized", "match"),
]


def tiny_encoder(folder: Path) -> Path:
    """A checkpoint of transformers with new weights."""
    tokenizer = data.train_vocabulary([" ".join([*WORDS, *SIGNS.values(), "gold same other"])], 200)
    data.save_vocabulary(tokenizer, folder)
    config = models.EncoderConfig(
        vocabulary_size=tokenizer.get_vocab_size(),
        width=16,
        layers=1,
        heads=2,
        hidden_width=32,
        positions=64,
        initial_scale=0.1,
    )
    params = models.initial_params(config, jax.random.key(0), heads=["pooler"])
    models.save_pretrained(folder, config, params)
    return folder


def _sentence(chance: random.Random, *more: str) -> str:
    words = chance.choices(WORDS, k=5)
    for word in more:
        words.insert(chance.randrange(len(words) + 1), word)
    return " ".join(words)


def write_xnli(root: Path, languages: list[str], rows: int = 60) -> None:
    """MultiNLI for training; development and test tables of all languages in one file each."""
    chance, labels = random.Random(0), list(SIGNS)

    def row(number: int) -> dict:
        label = labels[number % 3]
        return {
            "sentence1": _sentence(chance),
            "sentence2": _sentence(chance, SIGNS[label]),
            "gold_label": label,
            "pairID": str(number),
        }

    (root / "multinli_1.0").mkdir(parents=True)
    lines = [json.dumps(row(number)) for number in range(rows)]
    (root / "multinli_1.0" / "multinli_1.0_train.jsonl").write_text("\n".join(lines))
    (root / "XNLI-1.0").mkdir()
    for part in ("dev", "test"):
        table = ["\t".join(_XNLI)]
        for language in languages:
            for number in range(12):
                fields = row(number) | {"language": language}
                table.append("\t".join(fields.get(name, "") for name in _XNLI))
        (root / "XNLI-1.0" / f"xnli.{part}.tsv").write_text("\n".join(table))


def write_paws_x(root: Path, languages: list[str], rows: int = 60) -> None:
    """A folder a language; translated training data too."""
    chance = random.Random(1)
    for language in languages:
        folder = root / "x-final" / language
        folder.mkdir(parents=True)
        train = "train" if language == "en" else "translated_train"
        for name, count in ((train, rows), ("dev_2k", 12), ("test_2k", 12)):
            lines = ["id\tsentence1\tsentence2\tlabel"]
            for number in range(count):
                sign = ("other", "same")[number % 2]
                lines.append(
                    f"{number}\t{_sentence(chance)}\t{_sentence(chance, sign)}\t{number % 2}"
                )
            (folder / f"{name}.tsv").write_text("\n".join(lines))


def write_xquad(root: Path, languages: list[str], rows: int = 60) -> None:
    """SQuAD for training, XQuAD for tests; contexts longer than a row of 40."""
    chance = random.Random(2)

    def content(count: int) -> str:
        paragraphs = []
        for number in range(count):
            words = chance.choices(WORDS, k=40)
            words[chance.randrange(40)] = "gold"
            context = " ".join(words)
            answer = {"text": "gold", "answer_start": context.index("gold")}
            asked = {"id": f"q{number}", "question": "on a mat", "answers": [answer]}
            paragraphs.append({"context": context, "qas": [asked]})
        return json.dumps({"version": "1.1", "data": [{"title": "", "paragraphs": paragraphs}]})

    for folder in ("squad", "xquad"):
        (root / folder).mkdir(parents=True)
    (root / "squad" / "train-v1.1.json").write_text(content(rows))
    (root / "squad" / "dev-v1.1.json").write_text(content(6))
    for language in languages:
        (root / "xquad" / f"xquad.{language}.json").write_text(content(6))


def write_wikiann(root: Path, languages: list[str], rows: int = 60) -> None:
    """A folder a language: names of persons and places among words."""
    chance = random.Random(3)
    for language in languages:
        (root / "wikiann" / language).mkdir(parents=True)
        for part, count in (("train", rows), ("dev", 12), ("test", 12)):
            blocks = []
            for _ in range(count):
                words = [(word, "O") for word in chance.choices(WORDS, k=4)]
                words[1:1] = [("gold", "B-PER"), ("same", "I-PER")]
                words.append(("other", "B-LOC"))
                blocks.append("\n".join(f"{language}:{word}\t{tag}" for word, tag in words))
            (root / "wikiann" / language / part).write_text("\n\n".join(blocks) + "\n\n")


def write_ud(root: Path, treebanks: dict[str, str], rows: int = 60) -> None:
    """CoNLL-U: a word's part of speech is that of the word."""
    chance = random.Random(4)
    kinds = ("NOUN", "VERB", "DET")
    (root / "ud").mkdir(parents=True)
    for language, treebank in treebanks.items():
        for part, count in (("train", rows), ("dev", 12), ("test", 12)):
            blocks = []
            for number in range(count):
                words = chance.choices(WORDS, k=6)
                lines = [f"# sent_id = {number}"]
                for place, word in enumerate(words, 1):
                    kind = kinds[WORDS.index(word) % 3]
                    lines.append("\t".join([str(place), word, "_", kind, *["_"] * 6]))
                blocks.append("\n".join(lines) + "\n")
            path = root / "ud" / f"{language}_{treebank}-ud-{part}.conllu"
            path.write_text("\n".join(blocks) + "\n")
