"""The preparation of pairs as an Apache Beam pipeline, for corpora beyond one machine.

It writes the very files that `prepare_pairs` writes, byte for byte. Each source is read twice: to
count its pairs, so that each pair's number is known wherever it is read, and to send the pairs to
their shards. Tokenising, which takes most of the time, is spread over as many workers as there are
shards; a worker holds one shard's texts in memory, so that a larger corpus wants more shards.
"""

import json
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmkd_jax.data._prepared import (
    MANIFEST,
    Source,
    check_shard,
    compare_settings,
    encoded_parts,
    enumerate_pairs,
    json_text,
    manifest_of,
    settings_of,
    shard_name,
    write_shard,
)
from mmkd_jax.data._subwords import SubwordTokenizer


def prepare_pairs_with_beam(
    folder: str | Path,
    sources: Sequence[Source],
    teacher: SubwordTokenizer,
    student: SubwordTokenizer,
    max_length: int = 128,
    shards: int = 16,
    options: Sequence[str] = (),
) -> str:
    """Tokenises pairs into a folder, as `prepare_pairs`; shards that are finished are kept.

    Workers must have this package installed, and see the sources' files and the folder.

    Args:
      folder: a path, or an address that Beam knows, ``gs://bucket/folder``. (To train from it, copy
        it to disks that the trainers see.)
      sources: as for `prepare_pairs`. They travel to the workers, so that their pairs must be a
        sequence or a function that can be pickled, as those of `open_sources` can.
      teacher: reads English.
      student: reads both sides.
      max_length: of the rows that will be made of them, special tokens included.
      shards: how many.
      options: Beam's own, ``["--runner=DataflowRunner", "--project=…", "--region=…",
        "--temp_location=gs://…"]``, likewise for SparkRunner or FlinkRunner; without any, the
        DirectRunner on this machine.

    Returns:
      The manifest's path.

    Raises:
      ImportError: Apache Beam is not installed.
      ValueError: as `prepare_pairs`.
    """
    try:
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise ImportError(
            "prepare_pairs_with_beam needs the package apache-beam: pip install 'mmkd_jax[beam]', "
            "in an environment of its own where its pins clash"
        ) from error
    check_shard(None, shards)
    folder = str(folder)
    settings = settings_of(sources, teacher, student, max_length, shards)
    _check_settings(folder, settings)
    missing = [i for i in range(shards) if not _exists(folder, shard_name(i, shards, "json"))]
    if missing:
        job = _Job(folder, list(sources), teacher, student, max_length, settings, missing)
        with beam.Pipeline(options=PipelineOptions(list(options))) as pipeline:
            _build(pipeline, job)
    counts = [json.loads(_read(folder, shard_name(i, shards, "json"))) for i in range(shards)]
    _write(folder, MANIFEST, json_text(manifest_of(settings, counts)).encode())
    return _join(folder, MANIFEST)


class _Job(NamedTuple):
    """What every worker must know."""

    folder: str
    sources: list[Source]
    teacher: SubwordTokenizer
    student: SubwordTokenizer
    max_length: int
    settings: dict[str, Any]
    missing: list[int]


class _Numbered(NamedTuple):
    """A pair with its number among all pairs, and that of its source."""

    number: int
    source: int
    texts: tuple[str, str]


def _build(pipeline: Any, job: _Job) -> None:
    import apache_beam as beam

    numbers = pipeline | "sources" >> beam.Create(range(len(job.sources))) | beam.Reshuffle()
    counts = numbers | "count" >> beam.Map(_count, job)
    pairs = numbers | "read" >> beam.FlatMap(_read_source, job, beam.pvalue.AsDict(counts))
    # A shard may have no pairs, and must be written all the same.
    missing = pipeline | "shards" >> beam.Create([(shard, None) for shard in job.missing])
    grouped = (pairs, missing) | beam.CoGroupByKey()
    _ = grouped | "write" >> beam.Map(_write_shard, job)


def _count(source: int, job: _Job) -> tuple[int, int]:
    return source, sum(1 for _ in enumerate_pairs([job.sources[source]]))


def _read_source(source: int, job: _Job, counts: dict[int, int]) -> Iterator[tuple[int, _Numbered]]:
    missing, shards = set(job.missing), job.settings["shards"]
    before = sum(counts[earlier] for earlier in range(source))
    for number, (_, pair) in enumerate(enumerate_pairs([job.sources[source]]), before):
        if number % shards in missing:
            yield number % shards, _Numbered(number, source, tuple(pair[:2]))


def _write_shard(group: tuple[int, Sequence[Iterable[_Numbered | None]]], job: _Job) -> None:
    shard, (pairs, _) = group
    # Beam keeps no order.
    in_order = ((pair.source, pair.texts) for pair in sorted(pairs))
    parts = encoded_parts(in_order, job.teacher, job.student, job.max_length)
    with tempfile.TemporaryDirectory() as here:
        write_shard(Path(here), shard, job.settings, parts)
        for ending in ("array_record", "npy", "json"):  # the one that says that it is finished last
            name = shard_name(shard, job.settings["shards"], ending)
            _write(job.folder, name, Path(here, name).read_bytes())


# Files, wherever Beam finds them.


def _check_settings(folder: str, settings: dict[str, Any]) -> None:
    from apache_beam.io.filesystems import FileSystems

    if not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)
    patterns = [_join(folder, MANIFEST), _join(folder, "pairs-*.json")]
    for match in FileSystems.match(patterns):
        for found in match.metadata_list:
            name = found.path.replace("\\", "/").rpartition("/")[2]
            content = json.loads(_read(folder, name))
            compare_settings(found.path, content["settings"], settings)


def _join(folder: str, name: str) -> str:
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.join(folder, name)


def _exists(folder: str, name: str) -> bool:
    from apache_beam.io.filesystems import FileSystems

    return FileSystems.exists(_join(folder, name))


def _read(folder: str, name: str) -> bytes:
    from apache_beam.io.filesystems import FileSystems

    with FileSystems.open(_join(folder, name)) as file:
        return file.read()


def _write(folder: str, name: str, content: bytes) -> None:
    """Gives the file its name when it is whole."""
    from apache_beam.io.filesystems import FileSystems

    path, temporary = _join(folder, name), _join(folder, f".{name}{uuid.uuid4().hex}")
    with FileSystems.create(temporary) as file:
        file.write(content)
    FileSystems.rename([temporary], [path])
