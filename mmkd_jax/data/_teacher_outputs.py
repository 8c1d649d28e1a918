"""What a teacher says of a corpus, written once and read by every run that learns from it.

Of a tagger that is a linear chain its scores say everything: marginals, best paths, and any
temperature follow from them on the device, in less time than it takes to read them from a disk. A
folder of a teacher's outputs holds

* ``scores.array_record``: transitions, start and end, which all sentences share,
* for each shard ``i`` of ``n``, ``emissions-i-of-n.array_record``: a record a sentence, ``[W, N]``
  float32, little-endian; and ``emissions-i-of-n.json``, its counts, written last: a shard that has
  it is finished.

Each json file says whose outputs these are: a hash of the teacher, and one of the sentences.
"""

import contextlib
import dataclasses
import hashlib
import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmkd_jax._json import read_json
from mmkd_jax.data._prepared import check_shard, compare_settings, json_text
from mmkd_jax.data._shards import ShardedRecords
from mmkd_jax.tags import TagSet

_FORMAT = 1
_SCORES = "scores.array_record"
_WRITTEN = "<f4"


@dataclasses.dataclass(frozen=True)
class OutputsKey:
    """Whose outputs they are: others under the same name are not taken for them.

    Attributes:
      teacher: A hash of everything that its scores depend on.
      sentences: A hash of what it reads, from `sentences_hash`.
      count: How many sentences these are.
      tags: The teacher's.
      shards: How many files.
    """

    teacher: str
    sentences: str
    count: int
    tags: TagSet
    shards: int = 1

    @property
    def settings(self) -> dict[str, Any]:
        """As it is written down."""
        return {
            "format": _FORMAT,
            "hash of the teacher": self.teacher,
            "hash of the sentences": self.sentences,
            "sentences": self.count,
            "tags": list(self.tags.names),
            "scheme": self.tags.scheme,
            "shards": self.shards,
        }

    def rows(self, shard: int) -> np.ndarray:
        """The numbers of the sentences in a shard."""
        bounds = [self.count * number // self.shards for number in (shard, shard + 1)]
        return np.arange(*bounds)


class TeacherOutputs:
    """The scores of a teacher, of all sentences and of each.

    Safe to use from many threads, and to send to other processes.

    Attributes:
      tags: The teacher's.
      scores: "transitions" ``[N, N]``, "start" ``[N]`` and "end" ``[N]``, float32.
    """

    def __init__(self, folder: Path, key: OutputsKey):
        files = [_file(folder, shard, key.shards, "array_record") for shard in range(key.shards)]
        self.tags = key.tags
        self.scores = _read_scores(folder / _SCORES, len(key.tags))
        self._records = ShardedRecords(files, [len(key.rows(i)) for i in range(key.shards)])

    def __len__(self) -> int:
        return len(self._records)

    def read(self, indices: np.ndarray) -> list[np.ndarray]:
        """The emissions ``[W, N]`` of these sentences."""
        shape = (-1, len(self.tags))
        records = self._records.read(indices)
        return [np.frombuffer(record, _WRITTEN).reshape(shape) for record in records]


def sentences_hash(sentences: Iterable[Sequence[str]]) -> str:
    """A hash of sentences' words, in their order."""
    digest = hashlib.sha256()
    for words in sentences:
        # With its length before each, no two lists of words are written alike.
        digest.update(f"{len(words)} ".encode())
        for word in words:
            encoded = word.encode("utf-8", "surrogatepass")
            digest.update(f"{len(encoded)} ".encode())
            digest.update(encoded)
    return digest.hexdigest()


def prepare_outputs(
    folder: str | Path,
    key: OutputsKey,
    scores: Callable[[], Mapping[str, np.ndarray]],
    emit: Callable[[np.ndarray], Iterable[np.ndarray]],
    shard: int | None = None,
) -> bool:
    """Writes a teacher's outputs; what is finished is kept, what is not is written anew.

    Many processes may work at the same time, each at shards of its own.

    Args:
      folder: is made if it is not there.
      key: whose outputs they are.
      scores: gives "transitions", "start" and "end". Called, as the next one is, only where
        something is missing.
      emit: runs the teacher: from the numbers of some sentences to the emissions ``[W, N]`` of
        each, in the same order. Called once for each shard that is missing.
      shard: the only one to write; by default all of them.

    Returns:
      Whether all shards are finished.

    Raises:
      ValueError: if the folder holds outputs of another teacher, or of other sentences.
    """
    check_shard(shard, key.shards)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _check_key(folder, key)
    for number in range(key.shards) if shard is None else [shard]:
        if not _file(folder, number, key.shards, "json").exists():
            # Everyone writes these, and everyone the same.
            _write_scores(folder, scores(), len(key.tags))
            _write_shard(folder, number, key, emit(key.rows(number)))
    finished = all(_file(folder, i, key.shards, "json").exists() for i in range(key.shards))
    if finished:
        # What was left by runs that were killed. Before, another process may be writing its own.
        for stale in folder.glob(f".{Path(_SCORES).stem}*"):
            stale.unlink(missing_ok=True)
    return finished


def load_outputs(folder: str | Path, key: OutputsKey) -> TeacherOutputs:
    """Opens what `prepare_outputs` has written.

    Raises:
      FileNotFoundError: if some of it is not there.
      ValueError: if these are outputs of another teacher or of other sentences, or damaged. (Damage
        of a sentence's record is found when it is read.)
    """
    folder = Path(folder)
    _check_key(folder, key)
    for shard in range(key.shards):
        for ending in ("json", "array_record"):
            path = _file(folder, shard, key.shards, ending)
            if not path.exists():
                raise FileNotFoundError(
                    f"{path} is not there: the teacher's outputs are not finished"
                )
    return TeacherOutputs(folder, key)


def _check_key(folder: Path, key: OutputsKey) -> None:
    for path in sorted(folder.glob("emissions-*.json")):
        settings = read_json(path).get("settings")
        compare_settings(str(path), settings if isinstance(settings, dict) else {}, key.settings)


def _file(folder: Path, shard: int, shards: int, ending: str) -> Path:
    return folder / f"emissions-{shard:05d}-of-{shards:05d}.{ending}"


def _write_shard(
    folder: Path, shard: int, key: OutputsKey, emissions: Iterable[np.ndarray]
) -> None:
    path = _file(folder, shard, key.shards, "array_record")
    for stale in folder.glob(f".{path.stem}*"):
        stale.unlink(missing_ok=True)  # left by a run that was killed
    tags, wanted, found, words = len(key.tags), len(key.rows(shard)), 0, 0
    with _records(path) as write:
        for each in emissions:
            if each.ndim != 2 or each.shape[1] != tags:
                raise ValueError(f"emissions must be [W, {tags}], got {each.shape}")
            write(each)
            found, words = found + 1, words + len(each)
        if found != wanted:
            raise ValueError(f"emissions must be of {wanted} sentences, got {found}")
    content = {"settings": key.settings, "sentences": found, "words": words}
    done = _file(folder, shard, key.shards, "json")
    temporary = done.with_name(f".{done.stem}{uuid.uuid4().hex}")
    temporary.write_text(json_text(content), "utf-8")
    os.replace(temporary, done)


def _write_scores(folder: Path, scores: Mapping[str, np.ndarray], tags: int) -> None:
    shapes = {"transitions": (tags, tags), "start": (tags,), "end": (tags,)}
    for name, shape in shapes.items():
        if np.shape(scores[name]) != shape:
            raise ValueError(f"scores must have {name} {shape}, got {np.shape(scores[name])}")
    with _records(folder / _SCORES) as write:
        for name in shapes:
            write(np.asarray(scores[name]))


def _read_scores(path: Path, tags: int) -> dict[str, np.ndarray]:
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: the teacher's outputs are not finished")
    records = ShardedRecords([path], [3]).read(np.arange(3))
    transitions, start, end = (np.frombuffer(record, _WRITTEN) for record in records)
    return {"transitions": transitions.reshape(tags, tags), "start": start, "end": end}


@contextlib.contextmanager
def _records(path: Path) -> Any:
    """Writes records into a file that gets its name once all of them are written."""
    from array_record.python.array_record_module import ArrayRecordWriter

    temporary = path.with_name(f".{path.stem}{uuid.uuid4().hex}")
    # Read in random order: a group of its own for each sentence.
    with contextlib.closing(ArrayRecordWriter(str(temporary), "group_size:1,uncompressed")) as file:
        yield lambda array: file.write(np.ascontiguousarray(array, _WRITTEN).tobytes())
    os.replace(temporary, path)
