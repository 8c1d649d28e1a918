"""Batches without end, made ahead of the device, from any step on."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from mmkd_jax.data._batching import Plan
from mmkd_jax.data._encoded import decode_pairs, with_english
from mmkd_jax.data._prepared import Prepared
from mmkd_jax.data._subwords import SubwordTokenizer
from mmkd_jax.data._views import PairBatch, PairShape, pair_batch

_ENDLESS = 2**40  # steps; grain wants a number

Batch = TypeVar("Batch", covariant=True)


@runtime_checkable
class BatchSource(Protocol[Batch]):
    """Makes the batch of a step: a pure function of its number, safe to call from many threads."""

    plan: Plan

    def __call__(self, step: int) -> Batch:
        """This process's rows of the batch."""
        ...


@dataclasses.dataclass(frozen=True)
class PairBatches:
    """The batches of MMKD.

    A process gets an equal share of the rows of each batch: those of all processes, one after the
    other, are the batch, whatever their number.

    Attributes:
      pairs: tokenised.
      plan: of these pairs.
      teacher: the teacher's tokenizer.
      student: the student's.
      max_length: of any row; at most what the pairs were prepared for.
      seed: of the masks.
      process: the number of this process, `jax.process_index()`.
      processes: how many there are, `jax.process_count()`.
    """

    pairs: Prepared
    plan: Plan
    teacher: SubwordTokenizer
    student: SubwordTokenizer
    max_length: int = 128
    seed: int = 0
    process: int = 0
    processes: int = 1

    def __post_init__(self):
        check_process(self.plan, self.process, self.processes)
        check_count(self.plan, len(self.pairs))
        if self.max_length > self.pairs.max_length:
            raise ValueError(
                f"max_length must be at most {self.pairs.max_length}, which the pairs were "
                f"prepared for, got {self.max_length}"
            )
        if self.student.specials.mask < 0:
            raise ValueError("student must have a mask token, [MASK] or <mask>")

    def __call__(self, step: int) -> PairBatch:
        """This process's rows of the batch."""
        drawn = self.plan.step(step)
        mine = rows_of_process(len(drawn.example), self.process, self.processes)
        example, visit, is_english = drawn.example[mine], drawn.visit[mine], drawn.is_english[mine]
        pairs = decode_pairs(self.pairs.read(example), self.pairs.layout)
        return pair_batch(
            with_english(pairs, is_english) if is_english.any() else pairs,
            PairShape(*self.plan.shapes[drawn.shape].tolist()),
            self.teacher,
            self.student,
            self.max_length,
            self.seed,
            visit,
            is_english,
            example,
        )


class Batches(Generic[Batch]):
    """An endless iterator over a source's batches, made ahead by threads or worker processes.

    Its state is the number of the next step. Under the same plan that is the same batch on any
    number of processes; `examples`, how many have come on all of them, is kept beside it.

    In a ``with`` block, or by `close`, threads and workers end.

    Args:
      source: makes the batches.
      threads: that make them ahead; 0 makes each when it is asked for.
      ahead: how many batches wait at most.
      workers: processes that make batches instead of this one's threads, for machines on which
        Python's lock is in the way. They are started anew, so the program must be guarded by
        ``if __name__ == "__main__"``, and absl's flags must have been parsed.
    """

    def __init__(
        self, source: BatchSource[Batch], threads: int = 2, ahead: int = 8, workers: int = 0
    ):
        if threads < 0 or ahead < 0 or workers < 0:
            raise ValueError(
                f"threads, ahead and workers must be at least 0, got {threads}, {ahead}, {workers}"
            )
        self._source = source
        self._options = threads, ahead, workers
        self._step = 0
        self._examples = 0
        self._iterator: Iterator[Batch] | None = None

    def __iter__(self) -> "Batches[Batch]":
        return self

    def __next__(self) -> Batch:
        if self._iterator is None:
            self._iterator = self._start(self._step)
        try:
            batch = next(self._iterator)
        except BaseException:
            # The batches behind it have been made already: they must not come in its place.
            self.close()
            raise
        self._examples += int((self._source.plan.step(self._step).example >= 0).sum())
        self._step += 1
        return batch

    def __enter__(self) -> "Batches[Batch]":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def step(self) -> int:
        """The number of the batch that comes next."""
        return self._step

    @property
    def epoch(self) -> float:
        """How many epochs have come."""
        epoch, place = self._source.plan.locate(self._step)
        return epoch + place / self._source.plan.steps(epoch)

    def get_state(self) -> dict[str, Any]:
        """Where it stands, for a checkpoint: numbers and text, the same on every process."""
        return {"step": self._step, "examples": self._examples, "plan": self._source.plan.hash}

    def set_state(self, state: dict[str, Any]) -> None:
        """Goes on where another one stood, maybe one of another number of processes."""
        if state["plan"] != self._source.plan.hash:
            raise ValueError(
                "state must come from a run of the same plan: the same data in the same order, "
                "sampling, batch size (or tokens and rows_multiple), shapes and seed. The plan was "
                f"{state['plan'][:12]}…, and is now {self._source.plan.hash[:12]}…"
            )
        self.close()
        self._step, self._examples = int(state["step"]), int(state["examples"])

    def close(self) -> None:
        """Stops making batches ahead. The next one that is asked for starts it again."""
        iterator, self._iterator = self._iterator, None
        if iterator is not None and hasattr(iterator, "close"):
            iterator.close()

    def _start(self, step: int) -> Iterator[Batch]:
        import grain

        threads, ahead, workers = self._options
        options = grain.ReadOptions(
            num_threads=min(threads, ahead), prefetch_buffer_size=ahead if threads else 0
        )
        steps = grain.MapDataset.source(_Steps(self._source, step))
        made = steps.to_iter_dataset(options)
        if workers:
            made = made.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers))
        return iter(made)


class _Steps(Generic[Batch]):
    """What grain reads from: the batches from a step on."""

    def __init__(self, source: BatchSource[Batch], first: int):
        self._source, self._first = source, first

    def __len__(self) -> int:
        return _ENDLESS

    def __getitem__(self, index: int) -> Batch:
        return self._source(self._first + int(index))


def rows_of_process(rows: int, process: int, processes: int) -> slice:
    """The rows of a batch that a process gets."""
    each = rows // processes
    return slice(process * each, (process + 1) * each)


def check_count(plan: Plan, count: int) -> None:
    """ValueError where a plan is of other data."""
    planned = len(plan.sampling.languages)
    if planned != count:
        raise ValueError(f"plan must be of these {count:,} examples, got one of {planned:,}")


def check_process(plan: Plan, process: int, processes: int) -> None:
    """ValueError where batches cannot be shared out evenly."""
    if not 0 <= process < processes:
        raise ValueError(f"process must be in 0..{processes - 1}, got {process}")
    if (np.asarray(plan.rows) % processes).any():
        raise ValueError(
            f"plan must have batches that {processes} processes share evenly, "
            f"got batches of {sorted(set(plan.rows.tolist()))} rows"
        )
