"""The teachers of a run: their folders, and what they say of its corpora."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from mmkd_jax import data, inference, models, training
from mmkd_jax.runs._structured_settings import StructuredRunSettings, TeacherSettings
from mmkd_jax.tags import TagSet

_LOG = logging.getLogger("mmkd_jax.train")
_AT_ONCE = 2048  # sentences whose scores are held in memory
_BATCH = 64


class Model(NamedTuple):
    """A trained tagger that teaches.

    Attributes:
      name: Of its folders.
      settings: Of the teacher that it is, or is a fold of.
      fold: The number of the fold that it has not learned from; None for one that is whole.
      folder: Where it is, or will be.
    """

    name: str
    settings: TeacherSettings
    fold: int | None
    folder: Path

    def teaches(self, sentence: data.TaggedSentence) -> bool:
        """Whether it is asked about a sentence."""
        languages = self.settings.languages
        if languages and sentence.language not in languages:
            return False
        folds = self.settings.folds
        return self.fold is None or data.fold_of(sentence.words, folds) == self.fold


def models_of(settings: StructuredRunSettings, prepared: Path) -> list[Model]:
    """All taggers that teach, in the order of their names."""
    found = []
    for name, teacher in sorted(settings.teachers.items()):
        if teacher.folds == 1:
            folder = teacher.folder or prepared / "teachers" / name / "student"
            found.append(Model(name, teacher, None, Path(folder)))
            continue
        for fold in range(teacher.folds):
            label = f"{name}-{fold}"
            folder = prepared / "teachers" / label / "student"
            found.append(Model(label, teacher, fold, folder))
    return found


def check_tagger(model: Model) -> None:
    """FileNotFoundError where there is no tagger, before it is asked, or others are trained."""
    # A workdir has a tagger.json too, but no parameters beside it.
    if not all((model.folder / f"tagger.{kind}").exists() for kind in ("json", "safetensors")):
        raise FileNotFoundError(
            f"teacher {model.name!r}: {model.folder} holds no tagger; name the folder student/ of "
            "a finished run, or have it prepared"
        )


class Asked(NamedTuple):
    """What a teacher has been asked.

    Attributes:
      key: Of its outputs.
      folder: Where these are.
      sentences: The numbers of the sentences, in the order in which it has read them.
      words: These sentences.
    """

    key: data.OutputsKey
    folder: Path
    sentences: np.ndarray
    words: list[Sequence[str]]


def tags_of(model: Model) -> TagSet:
    """What a teacher says of words."""
    fields, _ = models.load_head(model.folder, "tagger")
    return models.TaggerConfig.from_dict(fields["config"]).tags


def asked(
    model: Model, sentences: Sequence[data.TaggedSentence], prepared: Path, shards: int
) -> Asked:
    """What a teacher is to be asked of some sentences."""
    check_tagger(model)
    numbers = np.array([i for i, each in enumerate(sentences) if model.teaches(each)], np.int64)
    if not len(numbers):
        raise ValueError(
            f"teacher {model.name!r} has nothing to teach: no sentence is of its languages, "
            f"{list(model.settings.languages)}"
        )
    words = [sentences[number].words for number in numbers]
    key = data.OutputsKey(
        _hash_of(model.folder), data.sentences_hash(words), len(words), tags_of(model), shards
    )
    return Asked(key, prepared / "outputs" / model.name, numbers, words)


def ask(model: Model, of: Asked, part: int, parts: int) -> bool:
    """Has a teacher read what it has not read yet, or one of several processes' part of it.

    Returns:
      Whether all of it is there.
    """
    tagger: list[inference.SentenceTagger] = []  # loaded once it is needed

    def emissions(numbers: Sequence[int] | np.ndarray) -> tuple[list[np.ndarray], dict]:
        if not tagger:
            _LOG.info("asking teacher %s about %d sentences", model.name, len(of.words))
            tagger.append(inference.load_tagger(model.folder))
        return tagger[0].emissions([of.words[number] for number in numbers], _BATCH)

    def emit(numbers: np.ndarray) -> Iterator[np.ndarray]:
        for begin in range(0, len(numbers), _AT_ONCE):
            yield from emissions(numbers[begin : begin + _AT_ONCE])[0]

    def scores() -> dict[str, np.ndarray]:
        _, found = emissions([0])
        tags = len(of.key.tags)
        # A softmax tagger has no scores of the first and the last tag.
        nothing = {"transitions": np.zeros((tags, tags)), "start": np.zeros(tags)}
        nothing["end"] = nothing["start"]
        return nothing | {name: np.asarray(x) for name, x in found.items() if x is not None}

    finished = False
    for shard in range(part, of.key.shards, parts):
        finished = data.prepare_outputs(of.folder, of.key, scores, emit, shard)
    return finished


def outputs_of(model: Model, of: Asked) -> data.TeacherOutputs:
    """What a teacher says, asked now as far as it has not been asked before."""

    def ask_for_mine() -> None:
        ask(model, of, jax.process_index(), jax.process_count())

    training.all_or_none(ask_for_mine)
    return training.all_or_none(lambda: data.load_outputs(of.folder, of.key))


def _hash_of(folder: Path) -> str:
    """Of all files of a trained tagger."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)} {path.stat().st_size} ".encode())
            with path.open("rb") as file:
                for block in iter(lambda file=file: file.read(1 << 20), b""):
                    digest.update(block)
    return digest.hexdigest()
