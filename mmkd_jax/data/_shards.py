"""Reads single records of array_record shards, many at a time."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Records are found one by one, `seek` then `read`: 3 µs each. To ask for a list of them takes twice
# as long, and then some for every record that the shard has: 1 ms a call for half a million.
# Threads inside the reader, or reading on behind a record, would make single records slow: 15 and
# 400 µs.
_OPTIONS = "readahead_buffer_size:0,max_parallelism:0"


class ShardedRecords:
    """The records of some files, numbered from the first of the first to the last of the last.

    Safe to use from many threads, and to send to other processes.

    Args:
      files: array_record files.
      counts: how many records each has.

    Raises:
      ValueError: when records are read of a file that is damaged.
    """

    def __init__(self, files: Sequence[Path], counts: Sequence[int]):
        self._files = [str(file) for file in files]
        self._ends = np.cumsum(np.array([0, *counts], np.int64))
        self.__setstate__({})

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> bytes:
        return self.read(np.array([index]))[0]

    def read(self, indices: np.ndarray) -> list[bytes]:
        """Records in the order of their numbers."""
        indices = np.asarray(indices, np.int64)
        if ((indices < 0) | (indices >= len(self))).any():
            raise IndexError(f"indices must be in 0..{len(self) - 1}, got {indices.tolist()}")
        shard_of = np.searchsorted(self._ends, indices, side="right") - 1
        places = (indices - self._ends[shard_of]).tolist()
        records = []
        # A reader has one position, which no other thread may move between `seek` and `read`.
        with self._lock:
            for shard, place in zip(shard_of.tolist(), places, strict=True):
                reader = self._readers.get(shard) or self._open(shard)
                try:
                    reader.seek(place)
                    records.append(reader.read())
                except RuntimeError as error:  # of a checksum, say
                    raise damaged(self._files[shard], str(error)) from error
        return records

    def _open(self, shard: int) -> Any:
        from array_record.python.array_record_module import ArrayRecordReader

        reader = ArrayRecordReader(self._files[shard], _OPTIONS)
        found, count = reader.num_records(), int(np.diff(self._ends)[shard])
        # Of a file that was cut off, the reader may find nothing wrong, and no records.
        if found != count:
            raise damaged(self._files[shard], f"{found:,} records instead of {count:,}")
        self._readers[shard] = reader
        return reader

    def __getstate__(self) -> dict[str, Any]:
        # Readers and locks stay where they are.
        return {"_files": self._files, "_ends": self._ends}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock, self._readers = threading.Lock(), {}


def damaged(file: str, reason: str) -> ValueError:
    """What to say of a file that does not hold what was written."""
    return ValueError(
        f"{file} is damaged: {reason}. Remove it and the .json file beside it, and prepare again; "
        "other shards are kept"
    )
