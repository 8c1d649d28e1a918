"""Trials of `structured.py`: corpora, teachers, students, and their scores on disk.

A trial is one tagger that is trained from a seed. Its scores, and what a teacher says about the
training sentences, are files: a trial that is there is never made again, and several processes can
work on the same folder.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from mmkd_jax import crf, data, methods, models, training
from mmkd_jax.data import TaggedSentence
from mmkd_jax.tags import TagSet

LONGEST = 80  # words of a training sentence; the rest is cut off
TOKENS = 640  # a batch
SMALL = {"width": 64, "word_width": 32, "filters": 32}
LARGE = {"width": 128, "word_width": 64, "filters": 48}
By = dict[str, list[TaggedSentence]]


# --- Corpora ------------------------------------------------------------------------------------


class Corpus(NamedTuple):
    """Sentences by language.

    Attributes:
      tags: The tag set.
      train: What teachers and students may learn from.
      test: Languages of `train`.
      zero_shot: Languages that nobody learns from.
    """

    tags: TagSet
    train: By
    test: By
    zero_shot: By


def read_pos(folder: pathlib.Path) -> Corpus:
    """Universal Dependencies: five languages with little text, and two nobody learns from."""
    names = {
        **{"vi": "vi_vtb", "wo": "wo_wtb", "af": "af_afribooms", "te": "te_mtg"},
        **{"mr": "mr_ufal", "de": "de_gsd", "es": "es_gsd"},
    }

    def read(language: str, part: str) -> list[TaggedSentence]:
        path = folder / FOLDERS["pos"] / f"{names[language]}-ud-{part}.conllu"
        return list(data.read_conllu(path, language=language))

    learned = ("vi", "wo", "af", "te", "mr")
    return Corpus(
        data.UPOS,
        {language: read(language, "train") for language in learned},
        {language: read(language, "test") for language in learned},
        {language: read(language, "test") for language in ("de", "es")},
    )


def read_ner(folder: pathlib.Path, most: int = 1500) -> Corpus:
    """Universal NER, of which each language has at most so many training sentences."""
    names = {
        **{"da": "da_ddt", "pt": "pt_bosque", "sv": "sv_talbanken", "zh": "zh_gsdsimp"},
        **{"en": "en_ewt"},
    }

    def read(language: str, part: str) -> list[TaggedSentence]:
        path = folder / FOLDERS["ner"] / f"{names[language]}-ud-{part}.iob2"
        # A few Danish spans begin with I-, which conlleval counts as a beginning, too.
        return list(data.read_uner(path, language=language, repair=True))

    learned = ("da", "pt", "sv", "zh")
    return Corpus(
        TagSet.of_types(["PER", "ORG", "LOC"]),
        {language: first_by_hash(read(language, "train"), most) for language in learned},
        {language: read(language, "test") for language in learned},
        {"en": read("en", "test")},
    )


def read_absa(folder: pathlib.Path, most: int = 1500) -> Corpus:
    """Aspect terms in restaurant reviews (MAMS), English alone: at most so many to learn from."""

    def read(part: str) -> list[TaggedSentence]:
        return list(data.read_aspects(folder / FOLDERS["absa"] / f"{part}.xml", language="en"))

    train, tags = first_by_hash(read("train"), most), TagSet.of_types(["ASPECT"])
    return Corpus(tags, {"en": train}, {"en": read("test")}, {})


READERS = {"pos": read_pos, "ner": read_ner, "absa": read_absa}
FOLDERS = {"pos": "ud_pos", "ner": "uner", "absa": "absa_mams"}


def first_by_hash(sentences: Sequence[TaggedSentence], most: int) -> list[TaggedSentence]:
    """So many of them, which depends on their words alone."""
    return sorted(sentences, key=lambda sentence: _hash(sentence.words))[:most]


def is_among(sentence: TaggedSentence, share: float) -> bool:
    """Whether a sentence is among a share of all; a larger share holds a smaller one."""
    return _hash(sentence.words) < share * 2**64


def fold_of(sentence: TaggedSentence, folds: int) -> int:
    """Which of so many folds a sentence belongs to."""
    return _hash(("fold", *sentence.words)) % folds


def _hash(words: Sequence[str]) -> int:
    digest = hashlib.blake2b("\t".join(words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


# --- Training -----------------------------------------------------------------------------------


class Lessons(NamedTuple):
    """What teachers say about the sentences that a student learns from.

    Attributes:
      scores: Of each teacher.
      numbers: ``[N]``, the teacher of each sentence.
      emissions: Of each sentence, ``[W, tags]``.
    """

    scores: list[methods.Scores]
    numbers: np.ndarray
    emissions: list[np.ndarray]

    def of(self, kept: Sequence[bool]) -> "Lessons":
        """Those of some of the sentences."""
        emissions = [found for found, keep in zip(self.emissions, kept, strict=True) if keep]
        return Lessons(self.scores, self.numbers[np.asarray(kept)], emissions)


@dataclasses.dataclass(frozen=True)
class Tagger:
    """A trained tagger.

    Attributes:
      config: What it is.
      params: Its parameters.
      vocabulary: What it reads.
    """

    config: models.TaggerConfig
    params: dict
    vocabulary: data.WordVocabulary

    def scores(self) -> methods.Scores:
        head, count = self.params["head"], len(self.config.tags)
        zeros = {"transitions": np.zeros((count, count)), "start": np.zeros(count)}
        zeros["end"] = zeros["start"]
        return methods.Scores(*(np.asarray(head.get(n, z)) for n, z in zeros.items()))

    def read(
        self, sentences: Sequence[TaggedSentence]
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Emissions and best tags of each sentence."""
        prepared = data.tokenize_tagged(
            {"all": [s._replace(tags=()) for s in sentences]},
            self.config.tags,
            max_length=10_000,
            vocabulary=self.vocabulary,
        )
        method = methods.Structured(methods.StructuredSettings(), self.config)
        read = _reading(method)
        lengths = prepared.lengths[:, 0]
        emissions: list = [None] * len(lengths)
        best: list = [None] * len(lengths)
        order = np.argsort(lengths, kind="stable")
        for begin in range(0, len(order), 32):
            chosen = order[begin : begin + 32]
            rows = np.concatenate([chosen, np.full(32 - len(chosen), -1)])
            width = next(w for w in (16, 32, 64, 128, 512) if w >= lengths[chosen].max())
            batch = data.tagged_batch(prepared, rows, width, width)
            found = jax.device_get(read(self.params, batch))
            for row, number in enumerate(chosen):
                emissions[number] = found[0][row, : lengths[number]]
                best[number] = found[1][row, : lengths[number]]
        return emissions, best


def _reading(method: methods.Structured) -> Callable:
    def read(params, batch):
        chain = method.chain(params, batch)
        return chain.emissions, crf.viterbi(chain)[0]

    return jax.jit(read)


def new_tagger(
    corpus: Corpus, words: By, size: dict, kind: str = "crf"
) -> tuple[models.TaggerConfig, data.WordVocabulary]:
    """What a tagger of this size is that knows the words of these sentences."""
    known = (word for group in words.values() for s in group for word in s.words)
    vocabulary = data.WordVocabulary.of_words(known)
    recurrent = models.RecurrentConfig(
        words=vocabulary.word_count, characters=vocabulary.character_count, dropout=0.2, **size
    )
    config = models.TaggerConfig(tags=corpus.tags, kind=kind, dropout=0.0, recurrent=recurrent)
    return config, vocabulary


def parameters(corpus: Corpus, words: By, size: dict) -> int:
    """How many a CRF tagger of this size has."""
    config, _ = new_tagger(corpus, words, size)
    one = np.ones((1, 1), np.int32)
    shapes = jax.eval_shape(
        lambda key: models.Tagger(config).init(key, one > 0, words=one, characters=one[..., None]),
        jax.random.key(0),
    )
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def train(
    corpus: Corpus,
    sentences: By,
    size: dict,
    seed: int,
    kind: str = "crf",
    settings: methods.StructuredSettings | None = None,
    lessons: Lessons | None = None,
    epochs: float = 30,
    words: By | None = None,
) -> Tagger:
    """Trains a tagger from new weights.

    Args:
      corpus: Has the tags.
      sentences: To learn from; those without tags are raw text.
      size: Of the tagger.
      seed: Of its weights, dropout and order of batches.
      kind: crf or softmax.
      settings: Of the method; those of a tagger without teachers if not given.
      lessons: Of the teachers, in the order of `sentences`.
      epochs: Over `sentences`.
      words: Whose words the tagger knows; `sentences` if not given.
    """
    config, vocabulary = new_tagger(corpus, words or sentences, size, kind)
    prepared = data.tokenize_tagged(sentences, corpus.tags, None, LONGEST, vocabulary)
    sampling = data.Sampling(prepared.languages, seed=seed)
    plan = data.plan_tagged(prepared.lengths, sampling, TOKENS, shapes=4, multiple=8, seed=seed)
    total = round(epochs * plan.steps(0))
    settings = settings or methods.StructuredSettings()
    teachers = tuple(methods.Teacher(tags=corpus.tags) for _ in (lessons.scores if lessons else ()))
    if teachers:
        annealing = dataclasses.replace(settings.annealing, steps=total)
        settings = dataclasses.replace(settings, annealing=annealing)
    method = methods.Structured(settings, config, teachers)
    frozen = {"teachers": method.teacher_table(lessons.scores)} if lessons else {}
    optimizer = training.make_optimizer(
        training.OptimizerSettings(
            learning_rate=3e-3,
            reference_batch=0,
            warmup=0.0,
            schedule="linear",
            weight_decay=0.0,
            clip_norm=5.0,
        ),
        total,
        TOKENS,
        method.is_trained,
    )
    source = data.TaggedBatches(prepared, plan)
    first = source(0)
    params = models.Tagger(config).init(
        jax.random.key(seed),
        np.arange(first.tags.shape[1]) < first.lengths[:, None],
        words=first.words,
        characters=first.characters,
    )["params"]
    state = training.new_state(params, {}, optimizer, False)
    step = jax.jit(training.make_step(method, optimizer, seed), donate_argnums=0)
    for number in range(total):
        batch = source(number)
        state, _ = step(state, frozen, with_lessons(batch, lessons) if lessons else batch)
    return Tagger(config, jax.device_get(state.params), vocabulary)


def with_lessons(batch: data.TaggedBatch, lessons: Lessons) -> data.TaggedBatch:
    """The batch, with what each sentence's teacher says about it."""
    rows, width = batch.tags.shape
    tags = lessons.emissions[0].shape[1]
    emissions = np.zeros((rows, 1, width, tags), np.float32)
    for row, example in enumerate(batch.example):
        if example >= 0:
            found = lessons.emissions[example][:width]
            emissions[row, 0, : len(found)] = found
    numbers = np.where(batch.example >= 0, lessons.numbers[np.maximum(batch.example, 0)], -1)
    return batch._replace(teachers=numbers[:, None].astype(np.int32), teacher_emissions=emissions)


# --- Trials on disk -----------------------------------------------------------------------------


@contextlib.contextmanager
def held(path: pathlib.Path, wait: bool) -> Iterator[bool]:
    """A lock beside a file, which is freed when the process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def write(path: pathlib.Path, save: Callable[[pathlib.Path], None]) -> None:
    """All of a file or nothing of it."""
    partial = path.with_name(f"partial-{os.getpid()}-{path.name}")
    save(partial)
    partial.rename(path)


def save_lessons(path: pathlib.Path, lessons: Lessons, scores: dict) -> None:
    offsets = np.cumsum([0, *map(len, lessons.emissions)])
    arrays = {
        "emissions": np.concatenate(lessons.emissions),
        "offsets": offsets,
        "numbers": lessons.numbers,
        **{
            name: np.stack([getattr(each, name) for each in lessons.scores])
            for name in ("transitions", "start", "end")
        },
    }
    write(path, lambda partial: np.savez(partial, **arrays))
    write(scores_beside(path), lambda partial: partial.write_text(json.dumps(scores)))


def scores_beside(path: pathlib.Path) -> pathlib.Path:
    """Where the scores of the teachers are, whose lessons are in this file; written last."""
    return path.with_suffix(".json")


def load_lessons(path: pathlib.Path) -> Lessons:
    with np.load(path) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    emissions = np.split(found["emissions"], found["offsets"][1:-1])
    parts = zip(found["transitions"], found["start"], found["end"], strict=True)
    return Lessons([methods.Scores(*part) for part in parts], found["numbers"], emissions)


# --- Scores -------------------------------------------------------------------------------------


def scores_of(tagger: Tagger, groups: By, score: Callable) -> dict[str, float]:
    """The score of each language."""
    found = {}
    for language, sentences in groups.items():
        _, best = tagger.read(sentences)
        names = [[tagger.config.tags.names[tag] for tag in tags] for tags in best]
        found[language] = 100 * score(names, [s.tags for s in sentences])
    return found


def measured(begin: float) -> dict[str, float]:
    return {"seconds": round(time.monotonic() - begin, 1)}
