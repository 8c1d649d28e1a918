"""Which tokens and words are masked, and by what. Pure functions of (seed, epoch, example).

Nothing here is drawn from a generator: each number is a hash of what it is for, so that an example
is masked alike in any batch, process and worker, and otherwise in each epoch.
"""

from typing import NamedTuple

import numpy as np

from mmkd_jax.data._hashing import fractions, hashed
from mmkd_jax.data._subwords import SubwordTokenizer

RATE = 0.15
_SHARE_OF_MASK, _SHARE_OF_RANDOM = 0.8, 0.1


class Stream(NamedTuple):
    """Numbers for one purpose: what is chosen, what replaces it, which random token."""

    choice: int
    action: int
    token: int


TOKENS = Stream(1, 2, 3)
WORDS = Stream(4, 5, 6)


def example_keys(seed: int, epoch: np.ndarray | int, example: np.ndarray) -> np.ndarray:
    """``[B]`` uint64, from which all random numbers of an example follow."""
    return hashed(seed, epoch, example)


def chosen_count(slots: int) -> int:
    """How many chosen positions a row has room for: 15 % of its slots for text, at least 1."""
    return int(max(1, np.floor(RATE * slots + 0.5)))


def choose_tokens(
    keys: np.ndarray, maskable: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses 15 % of the maskable positions of each row, rounded, at least 1 if there are any.

    Args:
      keys: ``[B]``, of the examples.
      maskable: ``[B, T]`` booleans.
      most: positions that the result has room for, `chosen_count` of the row.

    Returns:
      ``[B, most]`` positions in rising order, and which of them count. The others are 0.
    """
    total = maskable.sum(axis=1)
    count = np.minimum(np.maximum(np.floor(RATE * total + 0.5), total > 0), most)
    return _smallest(_scores(keys, TOKENS, maskable.shape[1]), maskable, count, most)


def choose_words(keys: np.ndarray, words: np.ndarray, width: int) -> np.ndarray:
    """Chooses 15 % of the words, rounded, at most a quarter, but at least one if there are any.

    Args:
      keys: ``[B]``, of the examples.
      words: ``[B]``, how many words each has.
      width: columns of the result.

    Returns:
      ``[B, width]`` booleans.
    """
    most = np.minimum(np.floor(RATE * words + 0.5), words // 4)
    count = np.maximum(most, words > 0).astype(np.int64)
    columns = np.arange(width)
    scores = _scores(keys, WORDS, width)
    scores[columns >= words[:, None]] = np.iinfo(np.uint64).max
    ranks = np.argsort(np.argsort(scores, axis=1, kind="stable"), axis=1, kind="stable")
    return (ranks < count[:, None]) & (columns < words[:, None])


def replacements(
    keys: np.ndarray,
    stream: Stream,
    ids: np.ndarray,
    positions: np.ndarray,
    tokenizer: SubwordTokenizer,
) -> np.ndarray:
    """What stands where tokens were chosen: 80 % the mask, 10 % a random token, 10 % the same.

    Args:
      keys: ``[B]``, of the examples.
      stream: the purpose.
      ids: ``[B, n]``, the tokens to replace.
      positions: ``[n]`` or ``[B, n]``, where they stand in the row.
      tokenizer: has the mask, and the ordinary tokens that random ones are drawn from.

    Returns:
      ``[B, n]``, in the type of `ids`.
    """
    action = fractions(hashed(keys[:, None], stream.action, positions))
    token = fractions(hashed(keys[:, None], stream.token, positions))
    random = tokenizer.ordinary[(token * len(tokenizer.ordinary)).astype(np.int64)]
    replaced = np.where(action < _SHARE_OF_MASK + _SHARE_OF_RANDOM, random, ids)
    masked = action < _SHARE_OF_MASK
    return np.where(masked, tokenizer.specials.mask, replaced).astype(ids.dtype)


def _scores(keys: np.ndarray, stream: Stream, width: int) -> np.ndarray:
    return hashed(keys[:, None], stream.choice, np.arange(width))


def _smallest(
    scores: np.ndarray, eligible: np.ndarray, count: np.ndarray, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """The positions of the `count` smallest scores of each row among those that are eligible."""
    width = scores.shape[1]
    scores = np.where(eligible, scores, np.iinfo(np.uint64).max)
    order = np.argsort(scores, axis=1, kind="stable")[:, :most]
    order = np.pad(order, ((0, 0), (0, most - order.shape[1])))
    positions = np.where(np.arange(most) < count[:, None], order, width)
    positions.sort(axis=1)
    where = positions < width
    return np.where(where, positions, 0).astype(np.int32), where
