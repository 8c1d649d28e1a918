"""Which examples an epoch is made of: languages in their shares, each example in its turn."""

import dataclasses
from typing import NamedTuple

import numpy as np

from mmkd_jax.data._hashing import permutation

_PAIRS, _ENGLISH, _ORDER = 11, 12, 13


class Draws(NamedTuple):
    """What an epoch draws, in random order.

    Attributes:
      example: ``[n]`` int64, numbers of examples.
      visit: ``[n]`` int64, how often the same example has been drawn before, in all epochs.
      is_english: ``[n]`` booleans, whether it is drawn as English with itself.
    """

    example: np.ndarray
    visit: np.ndarray
    is_english: np.ndarray


def language_shares(
    counts: np.ndarray | list[int], how: str = "proportional", temperature: float = 1.0
) -> np.ndarray:
    """The share of each language in what is drawn.

    >>> from mmkd_jax.data import language_shares
    >>> language_shares([900, 100], "round_robin").tolist()
    [0.5, 0.5]
    >>> language_shares([900, 100], "temperature", temperature=2.0).round(2).tolist()
    [0.75, 0.25]

    Args:
      counts: ``[L]``, examples of each language; one without any gets nothing.
      how: "proportional" to the counts, "round_robin" (each as much as the other), or
        "temperature": proportional to ``count ** (1 / temperature)``.
      temperature: at least 1. 1 is proportional, infinity is round robin.
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or (counts < 0).any() or not counts.sum():
        raise ValueError(f"counts must be [L], at least 0 and not all 0, got {counts.tolist()}")
    if how != "temperature" and temperature != 1.0:
        raise ValueError(f'temperature is for how="temperature", got {temperature} and "{how}"')
    if not temperature >= 1:
        raise ValueError(f"temperature must be at least 1, got {temperature}")
    exponents = {"proportional": 1.0, "round_robin": 0.0, "temperature": 1 / temperature}
    if how not in exponents:
        raise ValueError(f"how must be one of {list(exponents)}, got {how!r}")
    # Relative to the largest, so that no power overflows.
    weights = np.where(counts > 0, (counts / counts.max()) ** exponents[how], 0.0)
    return weights / weights.sum()


@dataclasses.dataclass(frozen=True)
class Sampling:
    """Draws epochs, each a pure function of its number.

    A language's examples come round: none comes a second time before all have come once, however
    many epochs that takes, and each round has an order of its own.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax.data import Sampling
      >>> sampling = Sampling(np.array([0, 0, 0, 1]), how="round_robin", seed=0)
      >>> draws = sampling.draw(epoch=0)
      >>> len(draws.example), (draws.example == 3).sum().item()  # half of all is language 1
      (4, 2)

    Attributes:
      languages: ``[N]``, the number of each example's language.
      how: as in `language_shares`.
      temperature: as in `language_shares`.
      english_fraction: of what is drawn, so much is English with itself, taken from the languages
        in turn. One in L + 1 in the paper, for L languages.
      size: draws an epoch; by default as many as there are examples.
      seed: of the order.
    """

    languages: np.ndarray
    how: str = "proportional"
    temperature: float = 1.0
    english_fraction: float = 0.0
    size: int | None = None
    seed: int = 0

    def __post_init__(self):
        if self.languages.ndim != 1 or not len(self.languages):
            raise ValueError(f"languages must be [N], N > 0, got shape {self.languages.shape}")
        if self.languages.min() < 0:
            raise ValueError(f"languages must be numbers from 0 on, got {self.languages.min()}")
        if not 0 <= self.english_fraction <= 1:
            raise ValueError(f"english_fraction must be in [0, 1], got {self.english_fraction}")
        if self.size is not None and self.size < 1:
            raise ValueError(f"size must be at least 1, got {self.size}")
        counts = np.bincount(self.languages)
        shares = language_shares(counts, self.how, self.temperature)
        total = len(self.languages) if self.size is None else self.size
        english = int(self.english_fraction * total + 0.5)
        present = np.flatnonzero(counts)
        in_turn = np.where(counts > 0, 1.0 / len(present), 0.0)
        object.__setattr__(self, "_members", _members(self.languages, counts))
        object.__setattr__(self, "_quotas", _apportioned(shares, total - english))
        object.__setattr__(self, "_english_quotas", _apportioned(in_turn, english))

    @property
    def total(self) -> int:
        """Draws an epoch."""
        return int(self._quotas.sum() + self._english_quotas.sum())

    def draw(self, epoch: int) -> Draws:
        """What the epoch draws, in random order."""
        pairs = self._rounds(epoch, self._quotas, _PAIRS)
        english = self._rounds(epoch, self._english_quotas, _ENGLISH)
        example, visit = (np.concatenate(both) for both in zip(pairs, english, strict=True))
        is_english = np.arange(len(example)) >= len(pairs[0])
        order = permutation(len(example), self.seed, _ORDER, epoch)
        return Draws(example[order], visit[order], is_english[order])

    def _rounds(self, epoch: int, quotas: np.ndarray, purpose: int) -> tuple:
        """Goes on in each language's rounds where the epoch before has stopped."""
        found = [np.zeros((2, 0), np.int64)]
        for language, (members, quota) in enumerate(zip(self._members, quotas, strict=True)):
            if not quota:
                continue
            begin, count = epoch * int(quota), len(members)
            places = np.arange(begin, begin + int(quota))
            for visit in range(begin // count, places[-1] // count + 1):
                order = permutation(count, self.seed, purpose, language, visit)
                here = places[places // count == visit] % count
                found.append(np.stack([members[order[here]], np.full(len(here), visit)]))
        return tuple(np.concatenate(found, axis=1))


def _members(languages: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(languages, kind="stable")
    return np.split(order, np.cumsum(counts)[:-1])


def _apportioned(shares: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers of a given sum, as near to the shares as they can be."""
    exact = shares * total
    # The tolerance keeps 3 * (1 / 3) from becoming 0.
    whole = np.floor(exact + 1e-9).astype(np.int64)
    rest = np.argsort(-(exact - whole), kind="stable")[: total - whole.sum()]
    whole[rest] += 1
    return whole
