"""Corpora by description: from what a configuration holds to sources of pairs."""

import dataclasses
import difflib
import hashlib
import inspect
import json
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from mmkd_jax.data import sample
from mmkd_jax.data._prepared import Source
from mmkd_jax.data._readers._gettext import find_catalogues, read_catalogue, read_catalogues
from mmkd_jax.data._readers._hugging_face import hugging_face_rows
from mmkd_jax.data._readers._moses import (
    ntrex_file,
    read_moses,
    read_ntrex,
    read_tatoeba,
    tatoeba_files,
)
from mmkd_jax.data._readers._rows import pairs_of_rows, read_jsonl
from mmkd_jax.data._readers._tables import Column, read_tsv
from mmkd_jax.data._readers._tfds import tfds_rows
from mmkd_jax.data._readers._tmx import read_tmx
from mmkd_jax.data._records import Pair

_COMMON = ("reader", "language", "on_error", "limit", "part", "held_out")
_PARTS = ("train", "held_out")


def open_sources(specs: Mapping[str, Mapping[str, Any]], root: str | Path = ".") -> list[Source]:
    r"""The sources that a configuration describes, in the order of their names.

    >>> import pathlib, tempfile
    >>> from mmkd_jax.data import open_sources
    >>> folder = tempfile.TemporaryDirectory()
    >>> _ = pathlib.Path(folder.name, "some.tsv").write_text("Yes.\tJa.\nNo.\tNein.\n")
    >>> sources = open_sources(
    ...     {
    ...         "own": {"reader": "tsv", "language": "de", "path": "some.tsv", "limit": 1},
    ...         "example": {"reader": "sample", "language": "tr", "split": "train"},
    ...     },
    ...     root=folder.name,
    ... )
    >>> [(source.name, source.language, len(list(source.pairs()))) for source in sources]
    [('example', 'tr', 120), ('own', 'de', 1)]
    >>> folder.cleanup()

    Each description has a ``reader``, the ``language`` that English is translated to, and what the
    reader wants to know:

    ================  ==========================================================================
    ``moses``         ``source``, ``target``: files
    ``tsv``           ``path``; ``source``, ``target``: columns (0, 1); ``header`` (False)
    ``tmx``           ``path``; ``source_language`` ("en"), ``target_language`` (``language``)
    ``gettext``       ``path``: a catalogue, or a folder of which those of the language are read
    ``jsonl``         ``path``; ``source``, ``target``: fields ("source", "target")
    ``tfds``          ``name``, ``split``; ``source``, ``target``: fields ("en", ``language``);
                      ``data_dir``
    ``hugging_face``  ``path``: on the hub, or a folder as ``datasets`` finds it; ``split``;
                      ``name``; ``source``, ``target``: fields ("translation.en",
                      "translation." and ``language``); ``options`` for ``load_dataset``
    ``tatoeba``       ``folder``; ``code``: the language, as files spell it (``language``)
    ``ntrex``         ``folder``; ``code``, as for tatoeba; ``source_code`` ("eng")
    ``sample``        ``split`` ("train"): the corpus that comes with the package
    ================  ==========================================================================

    and may have ``on_error`` ("raise", or "skip" to leave out what cannot be read); ``limit``, how
    many pairs to take from the beginning; ``part``, "train" or "held_out", for corpora that come
    without a split: ``held_out`` is the share of English texts that are kept from training. Which
    ones depends on the text alone, so that a text is held out in all languages or in none.

    Args:
      specs: descriptions by the sources' names.
      root: where relative paths begin. ``~`` at a path's beginning is the home folder.

    Raises:
      ValueError: a description cannot be meant so. Says which, and what was perhaps meant.
      FileNotFoundError: what a description names is not there.
    """
    return [open_one(name, specs[name], root, _READERS, _english) for name in sorted(specs)]


@dataclasses.dataclass(frozen=True)
class _Reading:
    """Reads a source's records from the beginning each time; can be sent to other processes."""

    read: Callable[..., Iterable[tuple]]
    text_of: Callable[[tuple], str]
    language: str
    arguments: dict[str, Any]
    limit: int | None
    part: str | None
    held_out: float

    def __call__(self) -> Iterator[tuple]:
        found: Iterable[tuple] = self.read(self.language, **self.arguments)
        if self.part:
            wanted = self.part == "held_out"
            found = (
                record
                for record in found
                if is_held_out(self.text_of(record), self.held_out) == wanted
            )
        return islice(found, self.limit)


def is_held_out(text: str, share: float) -> bool:
    """Whether a text is among the share that is kept from training."""
    digest = hashlib.blake2b(text.strip().encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") < share * 2**64


class Reader(NamedTuple):
    """What a reader's name stands for.

    Attributes:
      read: from the language and arguments of its own to records, such as pairs.
      paths: which of the arguments are paths.
      files: likewise, to the files that are going to be read, as far as they can be known.
    """

    read: Callable[..., Iterable[tuple]]
    paths: tuple[str, ...]
    files: Callable[..., Iterable[Path]]


def open_one(
    name: str,
    spec: Mapping[str, Any],
    root: str | Path,
    readers: Mapping[str, Reader],
    text_of: Callable[[tuple], str],
) -> Source:
    """The source of one description, of records of any kind.

    Args:
      name: of the source.
      spec: its description.
      root: where relative paths begin.
      readers: those that it may name.
      text_of: the text of a record, by which some are held out.
    """
    where, root = f"source {name!r}", Path(root).expanduser()
    spec = dict(spec)
    if missing := [key for key in ("reader", "language") if not spec.get(key)]:
        raise ValueError(f"{where} lacks {' and '.join(missing)}")
    kind, language, limit = spec["reader"], spec["language"], spec.get("limit")
    if not isinstance(language, str):
        raise ValueError(f"{where} must have a text as its language, got {language!r}")
    if not isinstance(kind, str) or kind not in readers:
        raise ValueError(f"{where} has a reader that there is not, {_meant(kind, readers)}")
    if limit is not None and (not isinstance(limit, int) or not 1 <= limit <= sys.maxsize):
        raise ValueError(f"{where} must have a limit of at least 1, got {limit!r}")
    if spec.get("on_error", "raise") not in ("raise", "skip"):
        raise ValueError(f"{where} must have on_error raise or skip, got {spec['on_error']!r}")
    part, share = spec.get("part"), spec.get("held_out", 0.0)
    if not isinstance(share, int | float) or not isinstance(part, str | None):
        raise ValueError(f"{where} must have part and held_out like train and 0.1, got {spec!r}")
    if part not in (None, *_PARTS) or (part is None) != (share == 0.0) or not 0 <= share < 1:
        raise ValueError(
            f"{where} must have a part, train or held_out, and a share held_out between 0 and 1, "
            f"or neither, got {part!r} and {share!r}"
        )
    reader = readers[kind]
    arguments = {key: value for key, value in spec.items() if key not in _COMMON}
    _check_arguments(where, kind, reader, arguments)
    for key in reader.paths:
        if arguments.get(key) is not None:
            arguments[key] = root / Path(arguments[key]).expanduser()
    try:
        files = list(reader.files(language, **arguments))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    if absent := [str(file) for file in files if not file.exists()]:
        raise FileNotFoundError(f"{where} names what is not there: {', '.join(absent)}")
    arguments["on_error"] = spec.get("on_error", "raise")
    # Sizes too: pairs that were prepared from a shorter file are not those of the whole one.
    size = sum(file.stat().st_size for file in files if file.is_file())
    origin = f"{json.dumps(spec, sort_keys=True, default=str)}, {size} bytes"
    reading = _Reading(reader.read, text_of, language, arguments, limit, part, share)
    return Source(name, language, reading, origin)


def _english(pair: tuple) -> str:
    return pair[0]


def _check_arguments(where: str, kind: str, reader: Reader, arguments: dict[str, Any]) -> None:
    known = {
        name: parameter
        for name, parameter in inspect.signature(reader.read).parameters.items()
        if name not in ("language", "on_error")
    }
    for name in arguments:
        if name not in known:
            there_is = [*_COMMON, *known]
            raise ValueError(
                f"{where} has an argument that {kind} does not take, {_meant(name, there_is)}"
            )
    lacking = [
        name
        for name, parameter in known.items()
        if parameter.default is parameter.empty and name not in arguments
    ]
    if lacking:
        raise ValueError(f"{where} lacks {' and '.join(lacking)}, which {kind} needs")
    hints = typing.get_type_hints(reader.read)
    for name, value in arguments.items():
        if not _fits(value, hints[name]):
            raise ValueError(f"{where} has a {name} that {kind} cannot use, {value!r}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value from a config can be an argument of this type."""
    kinds = [typing.get_origin(kind) or kind for kind in typing.get_args(hint) or (hint,)]
    if typing.get_origin(hint) is Mapping:
        kinds = [Mapping]
    if Path in kinds and isinstance(value, str | Path):
        return True  # texts are made into paths later
    return type(value) in kinds or (Mapping in kinds and isinstance(value, Mapping))


def _meant(name: Any, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(str(name), list(names), n=1)
    perhaps = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{name!r}{perhaps}; there are {', '.join(names)}"


# One function a reader. The arguments are those of a description, with their defaults.


def _moses(language: str, source: Path, target: Path, on_error: str = "raise") -> Iterator[Pair]:
    return read_moses(
        source, target, source_language="en", target_language=language, on_error=on_error
    )


def _tsv(
    language: str,
    path: Path,
    source: Column = 0,
    target: Column = 1,
    header: bool = False,
    on_error: str = "raise",
) -> Iterator[Pair]:
    return read_tsv(
        path,
        source,
        target,
        header=header,
        source_language="en",
        target_language=language,
        on_error=on_error,
    )


def _tmx(
    language: str,
    path: Path,
    source_language: str = "en",
    target_language: str | None = None,
    on_error: str = "raise",
) -> Iterator[Pair]:
    return read_tmx(path, source_language, target_language or language, on_error=on_error)


def _gettext(language: str, path: Path, on_error: str = "raise") -> Iterator[Pair]:
    if path.is_dir():
        return read_catalogues(find_catalogues(path, languages=[language]), on_error=on_error)
    return read_catalogue(path, target_language=language, on_error=on_error)


def _gettext_files(language: str, path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = find_catalogues(path, languages=[language])
    if not found:
        raise ValueError(f"no catalogue {language}/LC_MESSAGES/*.po or .mo lies below {path}")
    return [catalogue.path for catalogue in found]


def _jsonl(
    language: str,
    path: Path,
    source: str = "source",
    target: str = "target",
    on_error: str = "raise",
) -> Iterator[Pair]:
    return read_jsonl(
        path,
        source,
        target,
        source_language="en",
        target_language=language,
        on_error=on_error,
    )


def _tfds(
    language: str,
    name: str,
    split: str,
    source: str = "en",
    target: str | None = None,
    data_dir: Path | None = None,
    on_error: str = "raise",
) -> Iterator[Pair]:
    return pairs_of_rows(
        tfds_rows(name, split, data_dir=data_dir),
        source,
        target or language,
        source_language="en",
        target_language=language,
        on_error=on_error,
    )


def _hugging_face(
    language: str,
    path: str,
    split: str,
    name: str | None = None,
    source: str = "translation.en",
    target: str | None = None,
    options: Mapping[str, Any] | None = None,
    on_error: str = "raise",
) -> Iterator[Pair]:
    return pairs_of_rows(
        hugging_face_rows(path, name, split=split, **(options or {})),
        source,
        target or f"translation.{language}",
        source_language="en",
        target_language=language,
        on_error=on_error,
    )


def _tatoeba(
    language: str, folder: Path, code: str | None = None, on_error: str = "raise"
) -> Iterator[Pair]:
    return read_tatoeba(folder, code or language, on_error=on_error)


def _ntrex(
    language: str,
    folder: Path,
    code: str | None = None,
    source_code: str = "eng",
    on_error: str = "raise",
) -> Iterator[Pair]:
    return read_ntrex(folder, code or language, source_code, on_error=on_error)


def _sample(
    language: str, split: str = "train", on_error: str = "raise"
) -> Iterator[tuple[str, str]]:
    return sample.pairs(language, split)


def _sample_files(language: str, split: str = "train") -> tuple[Path, ...]:
    sample.pairs(language, split)  # says what is wrong with the language or the split
    return ()


def path_of(language: str, path: Path, **_: Any) -> list[Path]:
    """For readers of one file."""
    return [path]


_READERS = {
    "moses": Reader(
        _moses, ("source", "target"), lambda language, source, target: [source, target]
    ),
    "tsv": Reader(_tsv, ("path",), path_of),
    "tmx": Reader(_tmx, ("path",), path_of),
    "gettext": Reader(_gettext, ("path",), _gettext_files),
    "jsonl": Reader(_jsonl, ("path",), path_of),
    "tfds": Reader(
        _tfds, ("data_dir",), lambda language, data_dir=None, **_: [data_dir] if data_dir else []
    ),
    "hugging_face": Reader(_hugging_face, (), lambda language, **_: []),
    "tatoeba": Reader(
        _tatoeba,
        ("folder",),
        lambda language, folder, code=None: tatoeba_files(folder, code or language),
    ),
    "ntrex": Reader(
        _ntrex,
        ("folder",),
        lambda language, folder, code=None, source_code="eng": [
            ntrex_file(folder, each) for each in (source_code, code or language)
        ],
    ),
    "sample": Reader(_sample, (), _sample_files),
}
