"""Losses on chains as losses on arrays, for `checks`, and the truth about them by enumeration."""

from collections.abc import Callable

import numpy as np

from mmkd_jax import crf
from tests.crf.enumerate import Enumeration
from tests.losses.checks import BATCH

STEPS, TAGS = 4, 3
LENGTHS = np.array([4, 3, 0, 1, 2, 4, 3, 2], np.int32)
SCORES = 4  # arrays of a chain: emissions, transitions, start, end


def score_arrays(seed: int, tags: int = TAGS) -> tuple[np.ndarray, ...]:
    """Emissions one a sentence; transitions, start and end shared."""
    random = np.random.default_rng(seed)
    shapes = [(BATCH, STEPS, tags), (tags, tags), (tags,), (tags,)]
    return tuple(random.normal(scale=1.2, size=shape) for shape in shapes)


def chain(seed: int, lengths=LENGTHS, tags: int = TAGS) -> crf.LinearChain:
    """In float32."""
    return crf.LinearChain(*map(np.float32, score_arrays(seed, tags)), lengths)


def of_two(loss: Callable) -> Callable:
    """A loss of student and teacher as one of their arrays and the teacher's lengths."""

    def of_arrays(*arrays):
        student, teacher, lengths = arrays[:SCORES], arrays[SCORES : 2 * SCORES], arrays[-1]
        return loss(crf.LinearChain(*student), crf.LinearChain(*teacher, lengths))

    return of_arrays


def two_arrays() -> tuple[np.ndarray, ...]:
    return (*score_arrays(0), *score_arrays(1), LENGTHS)


TWO_SHARED = (1, 2, 3, 5, 6, 7)


def enumerated(*arrays, temperature: float = 1.0) -> Enumeration:
    """One sentence: emissions, transitions, start, end, length."""
    scores = (np.float64(a) / temperature for a in arrays[:SCORES])
    return Enumeration(crf.LinearChain(*scores, arrays[SCORES]))


def two_enumerated(arrays, temperature: float = 1.0) -> tuple[Enumeration, Enumeration]:
    """Student and teacher, of the teacher's length."""
    length = arrays[-1]
    return tuple(
        enumerated(*arrays[i : i + SCORES], length, temperature=temperature) for i in (0, SCORES)
    )


def softmax(scores: np.ndarray) -> np.ndarray:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def spoiled(of: crf.LinearChain) -> crf.LinearChain:
    """The chain with NaN behind its lengths."""
    inside = np.arange(STEPS) < np.asarray(of.lengths)[:, None]
    emissions = np.where(inside[..., None], of.emissions, np.float32(np.nan))
    return crf.LinearChain(emissions, of.transitions, of.start, of.end, of.lengths)


def cut(of: crf.LinearChain, b: int) -> crf.LinearChain:
    """One sentence without its padding, which must not be all of it."""
    length = int(of.lengths[b])
    return crf.LinearChain(of.emissions[b, :length], of.transitions, of.start, of.end)
