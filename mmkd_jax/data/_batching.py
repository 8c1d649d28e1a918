"""Plans: which examples make up which batch, and in rows of which length.

A plan is made from lengths alone, before anything is read, and is a pure function of seed and
epoch: every process makes the same one, takes the same shape at the same step, and reads only its
own rows. Within an epoch examples are shuffled, put into the cheapest shape that holds them, cut
into batches shape by shape, and the batches are shuffled.

What was measured, on 450 thousand short pairs (Tatoeba, 9 + 10 subwords) and 49 thousand long ones
(Python's documentation, 40 + 49) drawn in proportion, at most 128 subwords a row, under the
vocabulary of multilingual BERT; all views counts the pair view twice:

=========================================  =========  =========
share of slots that hold tokens            pair view  all views
=========================================  =========  =========
padded to 128                              21 %       16 %
6 shapes, multiples of 8                   85 %       76 %
6 shapes, multiples of 4 (what we do)      86 %       79 %
6 shapes, any length                       86 %       80 %
packed, several pairs a row of 128         99 %       99 %
=========================================  =========  =========

Packing fills rows better, but costs more than it saves: attention must be kept inside each pair, by
a mask that the fast attention kernels do not take, in rows of 128 instead of 20 for most pairs; the
sentence level needs a [CLS] for each pair; and the number of pairs a batch would vary, which the
structure level and BatchNorm need constant.
"""

import dataclasses
import functools
import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from mmkd_jax.data._hashing import permutation
from mmkd_jax.data._sampling import Draws, Sampling
from mmkd_jax.data._shapes import assign, fit_shapes
from mmkd_jax.data._views import row_lengths

_AMONG = 21
# What a slot of each view costs. Pairs are read twice, forwards and backwards; the teacher reads
# forwards only.
_PAIR_PRICES = (1.0, 1.0, 8.0)
_TAGGED_PRICES = (0.5, 1.0)
_SAMPLE = 1_000_000  # draws that shapes are fitted to


class Step(NamedTuple):
    """What one batch is made of.

    Attributes:
      epoch: its number.
      shape: the number of its shape.
      example: ``[rows]``, numbers of examples; -1 for rows that stay empty.
      visit: ``[rows]``, how often each has come before.
      is_english: ``[rows]``, whether it comes as English with itself.
    """

    epoch: int
    shape: int
    example: np.ndarray
    visit: np.ndarray
    is_english: np.ndarray


class _Epoch(NamedTuple):
    draws: Draws
    shape: np.ndarray  # [S], of each step
    begin: np.ndarray  # [S], where its rows begin in `order`
    order: np.ndarray  # numbers of draws; -1 for empty rows


@dataclasses.dataclass(frozen=True)
class Plan:
    """The batches of all epochs.

    Attributes:
      sampling: what each epoch draws.
      lengths_of: from draws to ``[n, D]``, how long the rows of their views are.
      shapes: ``[K, D]``, the row lengths of each shape, the cheapest first.
      rows: ``[K]``, the rows of a batch of each shape.
      fill: whether the last batch of an epoch is filled up with empty rows, so that every draw
        comes in its epoch. If not, up to a batch of draws is left out, others in each epoch.
      seed: of the order.
    """

    sampling: Sampling
    lengths_of: Callable[[Draws], np.ndarray]
    shapes: np.ndarray
    rows: np.ndarray
    fill: bool
    seed: int

    def __post_init__(self):
        self._forget()
        if self.shapes.ndim != 2 or (np.diff(self.shapes, axis=0) < 0).any():
            raise ValueError(
                "shapes must be [K, D], each at least as large as the one before in every column, "
                f"got {self.shapes.tolist()}"
            )
        if self.rows.shape != self.shapes.shape[:1] or (self.rows < 1).any():
            raise ValueError(
                f"rows must be one number a shape, {len(self.shapes)}, above 0, got {self.rows}"
            )
        if not self.fill and self.sampling.total < self.rows[-1]:
            raise ValueError(
                f"sampling must draw at least a batch of {self.rows[-1]} an epoch, "
                f"got {self.sampling.total}; make batches smaller, or epochs larger (size)"
            )

    def step(self, number: int) -> Step:
        """The batch of a step, counted from 0 over all epochs."""
        epoch, place = self.locate(number)
        plan = self._epoch(epoch)
        shape = int(plan.shape[place])
        begin = plan.begin[place]
        chosen = plan.order[begin : begin + self.rows[shape]]
        inside = chosen >= 0
        example, visit, is_english = (
            np.where(inside, column[chosen], nothing)
            for column, nothing in zip(plan.draws, (-1, 0, False), strict=True)
        )
        return Step(epoch, shape, example, visit, is_english)

    def locate(self, step: int) -> tuple[int, int]:
        """The epoch of a step, and its place in that epoch."""
        if step < 0:
            raise ValueError(f"step must be at least 0, got {step}")
        if self._constant_steps:
            return divmod(step, self.steps(0))
        epoch = 0
        while step >= self.steps(epoch):
            step -= self.steps(epoch)
            epoch += 1
        return epoch, step

    def steps(self, epoch: int) -> int:
        """How many batches an epoch has."""
        if self._constant_steps:
            return self.sampling.total // int(self.rows[0])
        if epoch not in self._known_steps:
            self._known_steps[epoch] = len(self._epoch(epoch).shape)
        return self._known_steps[epoch]

    def shape_counts(self, epoch: int) -> np.ndarray:
        """``[K]``, how many batches of each shape an epoch has."""
        return np.bincount(self._epoch(epoch).shape, minlength=len(self.shapes))

    @functools.cached_property
    def hash(self) -> str:
        """Says whether two plans are the same: a saved position is of use to the same plan.

        Covers the lengths of all examples, so that other data, or the same in another order, make
        another plan, even where batches happen to have the same shapes.
        """
        digest = hashlib.sha256()
        sampling = self.sampling
        for part in (self.shapes, self.rows, sampling.languages, *self._all_lengths()):
            digest.update(repr(part.shape).encode())
            digest.update(np.ascontiguousarray(part, np.int64).tobytes())
        settings = (
            self.fill,
            self.seed,
            sampling.how,
            sampling.temperature,
            sampling.english_fraction,
            sampling.size,
            sampling.seed,
        )
        digest.update(repr(settings).encode())
        return digest.hexdigest()

    def _all_lengths(self) -> Iterator[np.ndarray]:
        """The rows of every example, as it comes, and as English with itself."""
        every = np.arange(len(self.sampling.languages))
        for is_english in (False, True):
            yield self.lengths_of(Draws(every, every, np.full(len(every), is_english)))

    @property
    def _constant_steps(self) -> bool:
        # With the same number of rows in all shapes it does not matter which draws go where.
        return not self.fill and len(set(self.rows.tolist())) == 1

    def _epoch(self, epoch: int) -> _Epoch:
        # Many threads ask for an epoch at once when it begins: one makes it, the others wait.
        # Two are kept, so that threads on both sides of its end do not make them again and again.
        with self._lock:
            if epoch not in self._epochs:
                while len(self._epochs) > 1:
                    del self._epochs[next(iter(self._epochs))]
                self._epochs[epoch] = self._make_epoch(epoch)
            return self._epochs[epoch]

    def __getstate__(self):
        # Worker processes have locks and caches of their own.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._forget()

    def _forget(self):
        for name, value in (("_lock", threading.Lock()), ("_epochs", {}), ("_known_steps", {})):
            object.__setattr__(self, name, value)

    def _make_epoch(self, epoch: int) -> _Epoch:
        draws = self.sampling.draw(epoch)
        shape_of = assign(self.lengths_of(draws), self.shapes)
        batches, shapes, left = [], [], np.zeros(0, np.int64)
        for shape, rows in enumerate(self.rows):
            # What does not fill a batch goes into the next shape, which is larger in every view.
            here = np.concatenate([left, np.flatnonzero(shape_of == shape)])
            full = len(here) // rows * rows
            batches.append(here[:full])
            shapes.append(np.full(full // rows, shape))
            left = here[full:]
        if self.fill and len(left):
            last = len(self.rows) - 1
            padded = np.full(self.rows[last], -1)
            padded[: len(left)] = left
            batches.append(padded)
            shapes.append(np.array([last]))
        order, shapes = np.concatenate(batches), np.concatenate(shapes)
        begins = np.concatenate([[0], np.cumsum(self.rows[shapes])[:-1]]).astype(np.int64)
        mixed = permutation(len(shapes), self.seed, _AMONG, epoch)
        return _Epoch(draws, shapes[mixed], begins[mixed], order)


def plan_pairs(
    lengths: np.ndarray,
    sampling: Sampling,
    batch_size: int,
    max_length: int = 128,
    separators: int = 1,
    shapes: int = 6,
    multiple: int = 4,
    seed: int = 0,
) -> Plan:
    """The batches of MMKD: a constant number of pairs, in rows of few lengths.

    Args:
      lengths: ``[N, 3]``, subwords of the teacher's English, the student's English and the
        translation.
      sampling: draws from these N examples.
      batch_size: pairs a batch, on all processes together.
      max_length: of any row.
      separators: between two texts, 1 (BERT) or 2 (XLM-R).
      shapes: how many at most.
      multiple: row lengths are multiples of it, or the longest there is.
      seed: of the order of batches.
    """
    _check_lengths(lengths, sampling, 3)
    lengths_of = _PairLengths(lengths, max_length, separators)
    found = _fitted(lengths_of, sampling, _PAIR_PRICES, shapes, multiple)
    return _constant_plan(lengths_of, sampling, found, batch_size, seed)


def plan_tagged(
    lengths: np.ndarray,
    sampling: Sampling,
    tokens: int,
    shapes: int = 6,
    multiple: int = 4,
    rows_multiple: int = 1,
    seed: int = 0,
) -> Plan:
    """The batches of taggers: a budget of token slots, so that long sentences come in few rows.

    Every draw comes in its epoch: the last batch is filled up with empty rows.

    Args:
      lengths: ``[N, 2]``, words of each sentence, and the length of its row, special tokens
        included: `TaggedData.lengths`.
      sampling: draws from these N sentences.
      tokens: slots a batch at most, for subwords, or for words where there are no subwords; on all
        processes together. Rows that are too long for it come `rows_multiple` at a time.
      shapes: how many at most.
      multiple: row lengths are multiples of it, or the longest there is.
      rows_multiple: the rows of a batch are a multiple of it: of the number of devices, say.
      seed: of the order of batches.
    """
    _check_lengths(lengths, sampling, 2)
    if rows_multiple < 1 or tokens < 1:
        raise ValueError(
            f"rows_multiple and tokens must be at least 1, got {rows_multiple} and {tokens}"
        )
    lengths_of = _RowLengths(lengths)
    found = _fitted(lengths_of, sampling, _TAGGED_PRICES, shapes, multiple)
    rows = np.maximum(tokens // found[:, 1] // rows_multiple, 1) * rows_multiple
    return Plan(sampling, lengths_of, found, rows, True, seed)


def plan_texts(
    lengths: np.ndarray,
    sampling: Sampling,
    batch_size: int,
    shapes: int = 6,
    multiple: int = 4,
    seed: int = 0,
) -> Plan:
    """The batches of classifiers and readers: a constant number of rows, of few lengths.

    Args:
      lengths: ``[N, 1]``, of each row, special tokens included.
      sampling: draws from these N rows.
      batch_size: rows a batch, on all processes together.
      shapes: how many at most.
      multiple: row lengths are multiples of it, or the longest there is.
      seed: of the order of batches.
    """
    _check_lengths(lengths, sampling, 1)
    lengths_of = _RowLengths(lengths)
    found = _fitted(lengths_of, sampling, (1.0,), shapes, multiple)
    return _constant_plan(lengths_of, sampling, found, batch_size, seed)


def _check_lengths(lengths: np.ndarray, sampling: Sampling, columns: int) -> None:
    wanted = (len(sampling.languages), columns)
    if lengths.shape != wanted:
        raise ValueError(f"lengths must be [N, {columns}] = {wanted}, got {lengths.shape}")


def _constant_plan(
    lengths_of: Callable[[Draws], np.ndarray],
    sampling: Sampling,
    shapes: np.ndarray,
    batch_size: int,
    seed: int,
) -> Plan:
    """All batches have as many rows."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    return Plan(sampling, lengths_of, shapes, np.full(len(shapes), batch_size), False, seed)


@dataclasses.dataclass(frozen=True)
class _PairLengths:
    lengths: np.ndarray
    max_length: int
    separators: int

    def __call__(self, draws: Draws) -> np.ndarray:
        lengths = self.lengths[draws.example].astype(np.int64)
        lengths[draws.is_english, 2] = lengths[draws.is_english, 1]
        return row_lengths(lengths, self.max_length, self.separators)


@dataclasses.dataclass(frozen=True)
class _RowLengths:
    lengths: np.ndarray

    def __call__(self, draws: Draws) -> np.ndarray:
        return self.lengths[draws.example].astype(np.int64)


def _fitted(
    lengths_of: Callable[[Draws], np.ndarray],
    sampling: Sampling,
    prices: tuple[float, ...],
    most: int,
    multiple: int,
) -> np.ndarray:
    """Shapes for what the sampling draws, that hold everything it ever may draw."""
    draws = Draws(*(column[:_SAMPLE] for column in sampling.draw(0)))
    shapes = fit_shapes(lengths_of(draws), prices, most, multiple)
    every = np.arange(len(sampling.languages))
    for is_english in (False, True) if sampling.english_fraction else (False,):
        of_all = lengths_of(Draws(every, every, np.full(len(every), is_english)))
        shapes[-1] = np.maximum(shapes[-1], of_all.max(axis=0))
    return shapes
