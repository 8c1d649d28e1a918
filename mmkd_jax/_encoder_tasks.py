"""What `evaluate` measures of encoders, and of models that were fine-tuned on texts."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

Specs = Mapping[str, Mapping[str, Any]]
Pairs = dict[str, list[tuple[str, str]]]
_OF_LAYERS = 50  # sentences a language whose vectors in every layer are compared


class Options(NamedTuple):
    """What is asked beside model and corpora.

    Attributes:
      teacher: A folder or an id of the hub; empty for none.
      margin: Whether retrieval scores by margin.
      limit: Pairs a language at most; 0 for as many as there are.
      predictions: A folder for predictions; empty for none.
    """

    teacher: str = ""
    margin: bool = False
    limit: int = 0
    predictions: str = ""


def sample_pairs() -> Specs:
    """The corpus that comes with the package, where no other is named."""
    from mmkd_jax.data import sample

    return {
        f"sample_{code}_{split}": {"reader": "sample", "language": code, "split": split}
        for code in sample.languages()[1:]
        for split in ("train", "test")
    }


def retrieval(model: str, specs: Specs, root: str, options: Options) -> dict[str, Any]:
    """How many sentences are found by their translations, and the other way round."""
    from mmkd_jax import evaluation, inference

    encoder = inference.load_encoder(model)
    pairs = _pairs(specs, root, options.limit)
    found = evaluation.retrieval_by_language(encoder.encode, pairs, options.margin)
    return _task("to_english", _turned(found, pairs))


def agreement(model: str, specs: Specs, root: str, options: Options) -> dict[str, Any]:
    """How far the model sees translations as alike as its teacher sees the English sentences."""
    from mmkd_jax import evaluation, inference

    if not options.teacher:
        raise ValueError("--teacher must name a folder or an id of the hub: agreement with whom?")
    teacher, student = (inference.load_encoder(name) for name in (options.teacher, model))
    # All pairs of sentences are compared, and those of 500 are 125 thousand.
    pairs = _pairs(specs, root, options.limit or 500)
    languages = {}
    for language, rows in pairs.items():
        english, others = map(list, zip(*rows, strict=True))
        found = evaluation.teacher_agreement(teacher.encode(english), student.encode(others))
        languages[language] = {name: 100 * value for name, value in found.items()}
    return _task("spearman", languages)


def probe(model: str, specs: Specs, root: str, options: Options) -> dict[str, Any]:
    """What an encoder is worth: see `evaluate`."""
    from mmkd_jax import data, evaluation, inference

    encoder = inference.load_encoder(model)
    teacher = inference.load_encoder(options.teacher) if options.teacher else None
    pairs = _pairs(specs, root, options.limit or 100)
    texts = {"en": list(dict.fromkeys(one for rows in pairs.values() for one, _ in rows))}
    texts |= {language: [other for _, other in rows] for language, rows in pairs.items()}
    vectors = {language: encoder.encode(of) for language, of in texts.items()}
    known = {text: row for of in texts for text, row in zip(texts[of], vectors[of], strict=True)}
    found = evaluation.retrieval_by_language(
        lambda asked: np.stack([known[text] for text in asked]), pairs, options.margin
    )
    tokenizer = data.SubwordTokenizer(encoder.tokenizer)
    scores = {"en": {}} | _turned(found, pairs)
    for language, of in texts.items():
        fit = evaluation.subword_shares(tokenizer, of)
        scores[language] |= {
            "anisotropy": 100 * evaluation.anisotropy(vectors[language]),
            "unknown": 100 * fit["unknown"],
            "subwords a word": fit["subwords"],
        }
    return _task("to_english", scores) | {"layers": _layers(encoder, teacher, pairs)}


def text_task(name: str) -> Callable[[str, Specs, str, Options], dict[str, Any]]:
    """The measure of a benchmark by its name: the scores of a model that was fine-tuned on it."""

    def measure(model: str, specs: Specs, root: str, options: Options) -> dict[str, Any]:
        from mmkd_jax import data, evaluation, inference

        task = evaluation.TEXT_TASKS[name]
        sources = data.open_texts(specs, task.records, root or ".")
        loaded = inference.load_text_model(model, **_spread())
        if loaded.task != name:
            raise ValueError(f"{model} was fine-tuned for {loaded.task}, and not for {name}")
        records: dict[str, list] = {}
        for source in sources:
            records.setdefault(source.language, []).extend(source.read()[: options.limit or None])
        folder = Path(options.predictions) if options.predictions else None
        scores = evaluation.score_texts(task, loaded, records, folder)
        return evaluation.text_results(task, scores)

    return measure


def layers_table(layers: Mapping[str, list[float]]) -> str:
    """Similarities by layer as Markdown."""
    rows = [["layer", *map(str, range(len(next(iter(layers.values())))))]]
    rows.append(["---"] * len(rows[0]))
    rows += [[name, *(f"{value:.1f}" for value in values)] for name, values in layers.items()]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _layers(encoder: Any, teacher: Any, pairs: Pairs) -> dict[str, list[float]]:
    """Linear CKA of each layer of the encoder, on translations, in percent: means over languages.

    With the same layer on English, and with the teacher's last layer on English.
    """
    from mmkd_jax import evaluation, inference

    @functools.cache
    def of_english(model: Any, sentences: tuple[str, ...]) -> np.ndarray:
        return inference.layer_vectors(model, sentences)  # often the same for all languages

    like = evaluation.representation_similarity
    with_english, with_teacher = [], []
    for rows in pairs.values():
        english, others = zip(*rows[:_OF_LAYERS], strict=True)
        theirs = inference.layer_vectors(encoder, others)
        ours = of_english(encoder, english)
        with_english.append([like(*both) for both in zip(ours, theirs, strict=True)])
        if teacher is not None:
            taught = of_english(teacher, english)[-1]
            with_teacher.append([like(taught, layer) for layer in theirs])
    found = {"English": with_english} | ({"teacher": with_teacher} if with_teacher else {})
    return {name: (100 * np.mean(rows, axis=0)).tolist() for name, rows in found.items()}


def _pairs(specs: Specs, root: str, limit: int) -> Pairs:
    """English and translation by language; of many the first ones."""
    from mmkd_jax import data

    found: Pairs = {}
    for source in data.open_sources(specs, root or "."):
        rows = source.pairs() if callable(source.pairs) else source.pairs
        found.setdefault(source.language, []).extend((one, other) for one, other, *_ in rows)
    if empty := [language for language, rows in found.items() if not rows]:
        raise ValueError(f"there are no pairs of {', '.join(empty)} in what is named")
    return {language: rows[: limit or None] for language, rows in sorted(found.items())}


def _turned(found: Mapping[str, Mapping[str, float]], pairs: Pairs) -> dict[str, dict[str, float]]:
    """Percentages by language, by direction."""
    directions = ("to_english", "from_english")
    return {
        language: {name: 100 * found[name][language] for name in directions} for language in pairs
    }


def _task(metric: str, languages: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """As results.json has it, with means over the languages that have a score."""
    names = dict.fromkeys(name for row in languages.values() for name in row)
    means = {
        name: float(np.mean([row[name] for row in languages.values() if name in row]))
        for name in names
    }
    return {"metric": metric, **means, "languages": dict(languages)}


def _spread() -> dict[str, Any]:
    """All devices share the work, where there are several."""
    import jax

    from mmkd_jax import training

    if jax.device_count() == 1:
        return {}
    return {"mesh": training.make_mesh(training.MeshSettings())}
