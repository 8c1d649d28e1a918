"""The truth about small chains: every tag sequence, one by one, in float64 NumPy.

Also a float64 forward-backward in log space for chains too long to enumerate. Neither shares a
line of code with `mmkd_jax.crf`.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mmkd_jax.crf import LinearChain


class Enumeration:
    """All tag sequences of one chain: emissions [T, N], transitions [N, N] or [T-1, N, N]."""

    def __init__(self, chain: LinearChain):
        self.steps, self.tags = np.shape(chain.emissions)
        self.length = int(np.clip(self.steps if chain.lengths is None else chain.lengths, 0, None))
        self.length = min(self.length, self.steps)
        self.chain = chain
        paths = list(itertools.product(range(self.tags), repeat=self.length))
        self.paths = np.array(paths, int).reshape(len(paths), self.length)
        self.scores = self._scores(self.paths)
        self.log_z = log_sum_exp(self.scores)
        finite = self.log_z if np.isfinite(self.log_z) else 0.0
        self.log_probs = self.scores - finite
        self.probs = np.exp(self.log_probs)

    def _scores(self, paths: np.ndarray) -> np.ndarray:
        """The sum of the scores of each path, term by term."""
        total = np.zeros(len(paths))
        for t in range(self.length):
            total += np.float64(self.chain.emissions)[t, paths[:, t]]
        for t in range(self.length - 1):
            matrix = np.float64(self.chain.transitions)
            matrix = matrix if matrix.ndim == 2 else matrix[t]
            total += matrix[paths[:, t], paths[:, t + 1]]
        if self.length and self.chain.start is not None:
            total += np.float64(self.chain.start)[paths[:, 0]]
        if self.length and self.chain.end is not None:
            total += np.float64(self.chain.end)[paths[:, -1]]
        return total

    def score(self, path) -> float:
        """The score of one path, -inf where one of its tags is none."""
        path = np.asarray(path)[None, : self.length]
        legal = ((path >= 0) & (path < self.tags)).all()
        return float(self._scores(path)[0]) if legal else -np.inf

    def padded(self, path) -> np.ndarray:
        """A path with -1 behind its length."""
        return np.pad(path, (0, self.steps - self.length), constant_values=-1)

    @property
    def marginals(self) -> np.ndarray:
        """[T, N]."""
        result = np.zeros((self.steps, self.tags))
        for t in range(self.length):
            np.add.at(result[t], self.paths[:, t], self.probs)
        return result

    @property
    def pair_marginals(self) -> np.ndarray:
        """[T-1, N, N]."""
        result = np.zeros((self.steps - 1, self.tags, self.tags))
        for t in range(self.length - 1):
            np.add.at(result[t], (self.paths[:, t], self.paths[:, t + 1]), self.probs)
        return result

    @property
    def ranked(self) -> list[int]:
        """All paths that exist, best first; of equals, the lowest last tag, then the one before."""
        order = sorted(
            range(len(self.paths)),
            key=lambda i: (-self.scores[i], tuple(self.paths[i][::-1].tolist())),
        )
        return [i for i in order if self.scores[i] > -np.inf]

    def k_best(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Tags [k, T] and scores [k]."""
        best = self.ranked[:k]
        missing = k - len(best)
        rows = [self.padded(self.paths[i]) for i in best] + [np.full(self.steps, -1)] * missing
        return np.stack(rows), np.append(self.scores[best], np.full(missing, -np.inf))

    @property
    def viterbi(self) -> tuple[np.ndarray, np.ndarray]:
        """Tags [T] and the score."""
        tags, scores = self.k_best(1)
        return tags[0], scores[0]

    @property
    def entropy(self) -> float:
        """In nats."""
        return cross_entropy(self, self)


def cross_entropy(p: Enumeration, q: Enumeration) -> float:
    """-Σ p log q over what p allows; p and q of the same length."""
    some = p.scores > -np.inf
    with np.errstate(invalid="ignore"):
        return float(-(p.probs[some] * q.log_probs[some]).sum()) + 0.0


def kl_divergence(p: Enumeration, q: Enumeration) -> float:
    """Σ p log (p / q) over what p allows."""
    some = p.scores > -np.inf
    return float((p.probs[some] * (p.log_probs[some] - q.log_probs[some])).sum())


def log_sum_exp(scores: np.ndarray, axis=None) -> np.ndarray:
    """-inf where all scores are."""
    largest = scores.max(axis=axis, keepdims=True)
    largest = np.where(largest > -np.inf, largest, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(scores - largest).sum(axis=axis, keepdims=True)) + largest
    return total[()].reshape(()) if axis is None else np.squeeze(total, axis)


def sequences(chain: LinearChain) -> Iterator[LinearChain]:
    """The sequences of a batch, one by one, in the order of the flattened leading axes."""
    leading = np.shape(chain.emissions)[:-2]
    steps, tags = np.shape(chain.emissions)[-2:]

    def spread(value, *tail):
        return None if value is None else np.broadcast_to(value, (*leading, *tail))

    rank = np.ndim(chain.transitions) - len(leading)
    per_step = rank == 3
    whole = LinearChain(
        np.asarray(chain.emissions),
        spread(chain.transitions, *((steps - 1,) if per_step else ()), tags, tags),
        spread(chain.start, tags),
        spread(chain.end, tags),
        spread(steps if chain.lengths is None else chain.lengths),
    )
    for index in np.ndindex(*leading):
        yield LinearChain(
            **{
                field.name: None if value is None else value[index]
                for field in dataclasses.fields(LinearChain)
                for value in [getattr(whole, field.name)]
            }
        )


def enumerate_all(chain: LinearChain) -> list[Enumeration]:
    """An enumeration of every sequence of a batch."""
    return [Enumeration(one) for one in sequences(chain)]


class Truth(NamedTuple):
    """What forward-backward in float64 finds."""

    log_z: np.ndarray  # [B]
    marginals: np.ndarray  # [B, T, N]
    counts: np.ndarray  # [N, N], summed over time and the batch


def forward_backward(emissions: np.ndarray, transitions: np.ndarray) -> Truth:
    """Log-space messages in float64: emissions [B, T, N], shared transitions, full lengths."""
    emissions, transitions = np.float64(emissions), np.float64(transitions)
    steps = emissions.shape[1]
    forwards = [emissions[:, 0]]
    for t in range(1, steps):
        reached = log_sum_exp(forwards[-1][:, :, None] + transitions[None], axis=1)
        forwards.append(reached + emissions[:, t])
    backwards = [np.zeros_like(emissions[:, 0])]
    for t in range(steps - 1, 0, -1):
        after = (emissions[:, t] + backwards[0])[:, None]
        backwards.insert(0, log_sum_exp(transitions[None] + after, axis=2))
    log_z = log_sum_exp(forwards[-1], axis=-1)
    forwards, backwards = np.stack(forwards, 1), np.stack(backwards, 1)
    after = (emissions + backwards)[:, 1:]
    counts = np.zeros_like(transitions)
    for t in range(steps - 1):
        pairs = forwards[:, t, :, None] + transitions[None] + after[:, t, None]
        counts += np.exp(pairs - log_z[:, None, None]).sum(axis=0)
    return Truth(log_z, np.exp(forwards + backwards - log_z[:, None, None]), counts)
