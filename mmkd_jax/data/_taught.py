"""Batches of tagged sentences with what their teachers say of them."""

import dataclasses
import functools

import numpy as np

from mmkd_jax.data._batching import Plan
from mmkd_jax.data._tagging import TaggedBatch, TaggedBatches
from mmkd_jax.data._teacher_outputs import TeacherOutputs

_NONE = -1


@dataclasses.dataclass(frozen=True)
class TaughtBatches:
    """The batches of a student, for `Batches`.

    Attributes:
      batches: the sentences.
      outputs: of each of M teachers.
      columns: of each teacher, ``[N]``, which of its tags each of the N tags is that the student
        sees; -1 for one it does not have.
      records: ``[sentences, M]``, where each sentence is in each teacher's outputs; -1 where it has
        not read it, or is not to teach it.
    """

    batches: TaggedBatches
    outputs: tuple[TeacherOutputs, ...]
    columns: tuple[np.ndarray, ...]
    records: np.ndarray

    def __post_init__(self):
        shape = (len(self.batches.data.tags), len(self.outputs))
        if self.records.shape != shape or len(self.columns) != len(self.outputs):
            raise ValueError(
                "records must be [sentences, M], and columns M, for M outputs: "
                f"{shape}, got {self.records.shape} and {len(self.columns)}"
            )

    @property
    def plan(self) -> Plan:
        """That of the sentences."""
        return self.batches.plan

    @functools.cached_property
    def most(self) -> int:
        """K, the teachers of a sentence at most; 1 if there are none."""
        return max(1, int((self.records != _NONE).sum(axis=1).max(initial=0)))

    def __call__(self, step: int) -> TaggedBatch:
        """This process's rows of the batch."""
        batch = self.batches(step)
        some = batch.example >= 0
        records = np.where(some[:, None], self.records[batch.example], _NONE)
        teachers = numbers_of(records, self.most)
        room = max(len(columns) for columns in self.columns)
        emissions = np.zeros((*teachers.shape, batch.tags.shape[1], room), np.float32)
        for number, (outputs, columns) in enumerate(zip(self.outputs, self.columns, strict=True)):
            rows, slots = np.nonzero(teachers == number)
            found = outputs.read(records[rows, number])
            for row, slot, scores in zip(rows, slots, found, strict=True):
                words = batch.lengths[row]
                if len(scores) < words:
                    raise ValueError(
                        f"sentence {batch.example[row]} has {words} words, of which teacher "
                        f"{number} has read only {len(scores)}: give it a larger max_length"
                    )
                emissions[row, slot, :words] = seen_as(scores[:words], columns, room)
        return batch._replace(teachers=teachers, teacher_emissions=emissions)


def numbers_of(records: np.ndarray, most: int) -> np.ndarray:
    """``[B, most]`` int32, the numbers of the teachers that have a record, then -1."""
    there = records != _NONE
    # A stable sort puts those that are there first, and keeps their order.
    order = np.argsort(~there, axis=1, kind="stable")[:, :most]
    found = np.where(np.take_along_axis(there, order, axis=1), order, _NONE)
    missing = most - found.shape[1]
    return np.pad(found, ((0, 0), (0, max(missing, 0))), constant_values=_NONE).astype(np.int32)


def seen_as(emissions: np.ndarray, columns: np.ndarray, room: int) -> np.ndarray:
    """Emissions ``[..., room]`` of other tags than the teacher's own.

    >>> import numpy as np
    >>> from mmkd_jax.data import seen_as
    >>> seen_as(np.array([[0.0, 1.0]]), np.array([1, -1, 0, 1]), room=5)
    array([[  1., -inf,   0.,   1., -inf]])

    Args:
      emissions: ``[..., n]``, of the teacher's n tags.
      columns: ``[N]``, which of these each tag is; -1 for one that it does not have.
      room: at least N; beyond N there is nothing.
    """
    there = columns != _NONE
    found = np.full((*emissions.shape[:-1], room), -np.inf, emissions.dtype)
    found[..., np.flatnonzero(there)] = emissions[..., columns[there]]
    return found
