"""Tokenised once, read many times: pairs in array_record shards, with a manifest.

A folder of prepared pairs holds, for each shard ``i`` of ``n``,

* ``pairs-i-of-n.array_record``: the records,
* ``pairs-i-of-n.npy``: their lengths, which plans are made from,
* ``pairs-i-of-n.json``: its counts. It is written last: a shard that has it is finished.

``manifest.json`` is written once all shards are finished. Files get their names only when they are
whole, so that a kill at any moment leaves finished shards and files that the next run writes anew.
"""

import contextlib
import dataclasses
import json
import os
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax._json import read_json
from mmkd_jax.data._encoded import EncodedPairs, Layout, encode_pairs, layout_of
from mmkd_jax.data._shards import ShardedRecords, damaged
from mmkd_jax.data._subwords import SubwordTokenizer

MANIFEST = "manifest.json"
_FORMAT = 1
_SETTINGS = {"format", "teacher", "student", "max_length", "sources", "shards", "layout"}
_AT_ONCE = 2000  # pairs that are tokenised together
_AHEAD = 2  # parts that are tokenised at the same time


class Source(NamedTuple):
    """Where pairs come from.

    Attributes:
      name: says which it is, once for each source.
      language: of the translations; what languages are sampled by.
      pairs: a sequence of pairs, or a function that reads them from the beginning each time.
        Of a pair, the first two parts are used: the English text and its translation.
      origin: says what is read, so that pairs that were prepared from something else under the
        same name are not taken for these. `open_sources` fills it in.
    """

    name: str
    language: str
    pairs: Sequence[tuple] | Callable[[], Iterable[tuple]]
    origin: str = ""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """Tokenised pairs, on disk or in memory.

    Attributes:
      records: one a pair, in shards or in a list.
      lengths: ``[N, 4]``, subwords of the teacher's English, the student's English and the
        translation, and the number of the source.
      sources: name and language of each source.
      layout: how records are written.
      max_length: of the rows that they were prepared for.
      left_out: pairs of which no subword was left on one side.
    """

    records: ShardedRecords | list[bytes]
    lengths: np.ndarray
    sources: tuple[tuple[str, str], ...]
    layout: Layout
    max_length: int
    left_out: int

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def language_names(self) -> tuple[str, ...]:
        """The languages, in the order in which the sources name them."""
        return tuple(dict.fromkeys(language for _, language in self.sources))

    @property
    def languages(self) -> np.ndarray:
        """``[N]``, the number of each pair's language in `language_names`."""
        names = self.language_names
        numbers = np.array([names.index(language) for _, language in self.sources])
        return numbers[self.lengths[:, 3]]

    def read(self, indices: np.ndarray) -> list[bytes]:
        """The records of these pairs."""
        if isinstance(self.records, ShardedRecords):
            return self.records.read(indices)
        return [self.records[index] for index in indices.tolist()]


def tokenize_pairs(
    sources: Sequence[Source],
    teacher: SubwordTokenizer,
    student: SubwordTokenizer,
    max_length: int = 128,
) -> Prepared:
    """Tokenises pairs into memory: for corpora that are small, or read once."""
    parts = list(encoded_parts(enumerate_pairs(sources), teacher, student, max_length))
    return Prepared(
        [record for part in parts for record in part.records],
        np.concatenate([np.zeros((0, 4), np.uint16), *(part.lengths for part in parts)]),
        tuple((source.name, source.language) for source in sources),
        layout_of(teacher, student),
        max_length,
        sum(part.empty for part in parts),
    )


def prepare_pairs(
    folder: str | Path,
    sources: Sequence[Source],
    teacher: SubwordTokenizer,
    student: SubwordTokenizer,
    max_length: int = 128,
    shards: int = 16,
    shard: int | None = None,
) -> Path | None:
    """Tokenises pairs into a folder; what is finished there already is kept.

    Pair number k of all sources goes into shard k modulo `shards`. Many processes may work at the
    same time, each at shards of its own; whoever finishes the last one writes the manifest.

    Args:
      folder: is made if it is not there.
      sources: in the same order in every process.
      teacher: reads English.
      student: reads both sides.
      max_length: of the rows that will be made of them, special tokens included.
      shards: how many.
      shard: the only one to write; by default all of them, one after the other.

    Returns:
      The manifest's path, or None as long as other shards are missing.

    Raises:
      ValueError: if the folder holds pairs that were prepared in another way: with other
        tokenizers, sources or lengths.
    """
    check_shard(shard, shards)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_of(sources, teacher, student, max_length, shards)
    check_settings(folder, settings)
    for number in range(shards) if shard is None else [shard]:
        if not shard_file(folder, number, shards, "json").exists():
            pairs = islice(enumerate_pairs(sources), number, None, shards)
            parts = encoded_parts(pairs, teacher, student, max_length)
            write_shard(folder, number, settings, parts)
    return write_manifest(folder, settings)


def load_pairs(
    folder: str | Path,
    teacher: SubwordTokenizer | None = None,
    student: SubwordTokenizer | None = None,
) -> Prepared:
    """Opens a folder of prepared pairs.

    Args:
      folder: what `prepare_pairs` has written.
      teacher: the tokenizer that is going to be used; ValueError if it is not the one that the
        pairs were prepared with.
      student: likewise.
    """
    folder = Path(folder)
    path = folder / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: preparation has not begun, or not finished")
    manifest = _with_settings(path)
    settings = manifest["settings"]
    wanted = {"teacher": teacher, "student": student}
    hashes = {name: tokenizer.hash for name, tokenizer in wanted.items() if tokenizer is not None}
    compare_settings(str(path), settings, settings | {"format": _FORMAT} | hashes)
    shards = settings["shards"]
    files = [shard_file(folder, i, shards, "array_record") for i in range(shards)]
    for file in files:
        if not file.exists():
            raise FileNotFoundError(f"{file} is not there, though {path} says that it was written")
    lengths = [_read_lengths(shard_file(folder, i, shards, "npy")) for i in range(shards)]
    return Prepared(
        ShardedRecords(files, [len(part) for part in lengths]),
        np.concatenate(lengths),
        tuple((name, language) for name, language, _ in settings["sources"]),
        Layout(*settings["layout"]),
        settings["max_length"],
        manifest["left_out"],
    )


def _with_settings(path: Path) -> dict[str, Any]:
    """A manifest, or the counts of a shard."""
    content = read_json(path)
    settings = content.get("settings")
    if not isinstance(settings, dict) or not settings.keys() >= _SETTINGS:
        raise damaged(str(path), "it does not say how it was prepared")
    return content


def _read_lengths(path: Path) -> np.ndarray:
    try:
        lengths = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise damaged(str(path), str(error)) from None
    if lengths.ndim != 2 or lengths.shape[1] != 4 or lengths.dtype != np.uint16:
        raise damaged(str(path), f"it holds {lengths.dtype} {list(lengths.shape)}")
    return lengths


def settings_of(
    sources: Sequence[Source],
    teacher: SubwordTokenizer,
    student: SubwordTokenizer,
    max_length: int,
    shards: int,
) -> dict[str, Any]:
    """What must be the same in every process that works at a folder."""
    if not sources:
        raise ValueError("sources must not be empty")
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise ValueError(f"sources must have different names, got {names}")
    if not 5 <= max_length <= 2**16:
        raise ValueError(f"max_length must be in 5..{2**16}, got {max_length}")
    return {
        "format": _FORMAT,
        "teacher": teacher.hash,
        "student": student.hash,
        "max_length": max_length,
        "sources": [[source.name, source.language, source.origin] for source in sources],
        "shards": shards,
        "layout": list(layout_of(teacher, student)),
    }


def check_shard(shard: int | None, shards: int) -> None:
    """ValueError if there is no such shard."""
    if shards < 1:
        raise ValueError(f"shards must be at least 1, got {shards}")
    if shard is not None and not 0 <= shard < shards:
        raise ValueError(f"shard must be in 0..{shards - 1}, got {shard}")


def check_settings(folder: Path, settings: dict[str, Any]) -> None:
    """ValueError if anything in the folder was prepared in another way."""
    for path in [folder / MANIFEST, *sorted(folder.glob("pairs-*.json"))]:
        if path.exists():
            compare_settings(str(path), _with_settings(path)["settings"], settings)


def enumerate_pairs(sources: Sequence[Source]) -> Iterator[tuple[int, tuple]]:
    """All pairs, each with the number of its source."""
    for number, source in enumerate(sources):
        pairs = source.pairs() if callable(source.pairs) else source.pairs
        for pair in pairs:
            yield number, pair


def shard_file(folder: Path, shard: int, shards: int, ending: str) -> Path:
    """Where a shard's file lies."""
    return folder / shard_name(shard, shards, ending)


def shard_name(shard: int, shards: int, ending: str) -> str:
    """What a shard's file is called."""
    return f"pairs-{shard:05d}-of-{shards:05d}.{ending}"


def write_shard(
    folder: Path, shard: int, settings: dict[str, Any], parts: Iterable[EncodedPairs]
) -> None:
    """Writes the three files of a shard, the one that says that it is finished last."""
    from array_record.python.array_record_module import ArrayRecordWriter

    shards = settings["shards"]
    stem = shard_file(folder, shard, shards, "")
    for stale in folder.glob(f".{stem.name}*"):
        # Left by a run that was killed.
        stale.unlink(missing_ok=True)
    temporary = folder / f".{stem.name}{uuid.uuid4().hex}"
    lengths, empty = [np.zeros((0, 4), np.uint16)], 0
    # Pairs are read in random order, so that each is a group of its own; alone they are too short
    # for compression to gain more than a quarter, and unpacking makes reading half as slow again.
    options = "group_size:1,uncompressed"
    with contextlib.closing(ArrayRecordWriter(str(temporary), options)) as writer:
        for part in parts:
            for record in part.records:
                writer.write(record)
            lengths.append(part.lengths)
            empty += part.empty
    index = np.concatenate(lengths)
    os.replace(temporary, shard_file(folder, shard, shards, "array_record"))
    with open(temporary, "wb") as file:
        np.save(file, index)
    os.replace(temporary, shard_file(folder, shard, shards, "npy"))
    count = {
        "settings": settings,
        "counts": np.bincount(index[:, 3], minlength=len(settings["sources"])).tolist(),
        "left_out": empty,
        "subwords": index[:, :3].sum(axis=0, dtype=np.int64).tolist(),
        "longest": index[:, :3].max(axis=0, initial=0).tolist(),
    }
    _write_json(shard_file(folder, shard, shards, "json"), count)


def write_manifest(folder: Path, settings: dict[str, Any]) -> Path | None:
    """Writes the manifest if all shards are finished."""
    shards = settings["shards"]
    files = [shard_file(folder, i, shards, "json") for i in range(shards)]
    if not all(file.exists() for file in files):
        return None
    counts = [read_json(file) for file in files]
    _write_json(folder / MANIFEST, manifest_of(settings, counts))
    return folder / MANIFEST


def manifest_of(settings: dict[str, Any], parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the manifest says, from the counts of all shards."""
    counts = np.sum([part["counts"] for part in parts], axis=0)
    return {
        "settings": settings,
        "pairs": int(counts.sum()),
        "left_out": sum(part["left_out"] for part in parts),
        "pairs_of_source": {
            name: int(count) for (name, *_), count in zip(settings["sources"], counts, strict=True)
        },
        # Of the teacher's English, the student's English and the translation.
        "subwords": np.sum([part["subwords"] for part in parts], axis=0).tolist(),
        "longest": np.max([part["longest"] for part in parts], axis=0).tolist(),
    }


def encoded_parts(
    pairs: Iterable[tuple[int, tuple]],
    teacher: SubwordTokenizer,
    student: SubwordTokenizer,
    max_length: int,
) -> Iterator[EncodedPairs]:
    """Tokenises pairs, each with the number of its source, a few thousand at once."""

    def encoded(part: list[tuple[int, tuple]]) -> EncodedPairs:
        numbers, texts = zip(*part, strict=True)
        # A text alone in its row may have all but [CLS] and [SEP].
        return encode_pairs(texts, numbers, teacher, student, max_length - 2)

    pairs = iter(pairs)
    parts = iter(lambda: list(islice(pairs, _AT_ONCE)), [])
    waiting: deque[Future[EncodedPairs]] = deque()
    # Tokenizers use all cores and leave Python's lock alone: while one part is with them, what
    # numpy does for another gets done.
    with ThreadPoolExecutor(_AHEAD) as pool:
        for part in parts:
            waiting.append(pool.submit(encoded, part))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def compare_settings(path: str, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """ValueError if what a file says was prepared in another way."""
    if found != wanted:
        raise ValueError(
            f"{path} was prepared in another way: {'; '.join(_differences(found, wanted))}. Take "
            "another folder, or remove this one"
        )


def _differences(found: dict[str, Any], wanted: dict[str, Any]) -> Iterator[str]:
    for name in wanted:
        one, other = found.get(name), wanted[name]
        if one == other:
            continue
        if name == "sources":
            yield from _differences_of_sources(one or [], other)
        elif name in ("teacher", "student"):  # hashes
            yield _difference(f"the {name}'s tokenizer", f"{one[:12]}…", f"{other[:12]}…")
        else:
            yield _difference(name, one, other)


def _differences_of_sources(found: list[list[str]], wanted: list[list[str]]) -> Iterator[str]:
    before = {name: rest for name, *rest in found}
    now = {name: rest for name, *rest in wanted}
    if list(before) != list(now):
        yield _difference("the sources", list(before), list(now))
    for name in sorted(before.keys() & now.keys()):
        for what, one, other in zip(("language", "origin"), before[name], now[name], strict=True):
            if one != other:
                yield _difference(f"the {what} of {name!r}", repr(one), repr(other))


def _difference(what: str, before: Any, now: Any) -> str:
    return f"{what} was {before} and is now {now}"


def json_text(content: dict[str, Any]) -> str:
    """As manifests and counts are written."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _write_json(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}{uuid.uuid4().hex}")
    temporary.write_text(json_text(content), "utf-8")
    os.replace(temporary, path)
