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
    chosen = _smallest(_scores(keys, TOKENS, maskable.shape[1]), maskable, count)
    columns = np.nonzero(chosen)[1]
    where = np.arange(most) < chosen.sum(axis=1)[:, None]
    positions = np.zeros((len(keys), most), np.int32)
    # Both sides name as many places in each row, row after row.
    positions[where] = columns
    return positions, where


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
    scores = _scores(keys, WORDS, width)
    return _smallest(scores, np.arange(width) < words[:, None], count)


def replacements(
    keys: np.ndarray,
    stream: Stream,
    ids: np.ndarray,
    positions: np.ndarray,
    tokenizer: SubwordTokenizer,
) -> np.ndarray:
    """What stands where tokens were chosen: 80 % the mask, 10 % a random token, 10 % the same.

    Args:
      keys: of the examples that the tokens belong to; `ids` and `positions` broadcast with them.
      stream: the purpose.
      ids: the tokens to replace.
      positions: as `ids`, where they stand in the row.
      tokenizer: has the mask, and the ordinary tokens that random ones are drawn from.

    Returns:
      In the shape and type of `ids`.
    """
    action = fractions(hashed(keys, stream.action, positions))
    token = fractions(hashed(keys, stream.token, positions))
    random = tokenizer.ordinary[(token * len(tokenizer.ordinary)).astype(np.int64)]
    replaced = np.where(action < _SHARE_OF_MASK + _SHARE_OF_RANDOM, random, ids)
    masked = action < _SHARE_OF_MASK
    return np.where(masked, tokenizer.specials.mask, replaced).astype(ids.dtype)


def _scores(keys: np.ndarray, stream: Stream, width: int) -> np.ndarray:
    return hashed(keys[:, None], stream.choice, np.arange(width))


def _smallest(scores: np.ndarray, eligible: np.ndarray, count: np.ndarray) -> np.ndarray:
    """``[B, T]``, whether a score is among the `count` smallest of its row that are eligible."""
    last = np.iinfo(np.uint64).max
    scores = np.where(eligible, scores, last)
    # Numbers alone are sorted many times faster than places by their numbers.
    in_order = np.sort(scores, axis=1)
    places = np.clip(count - 1, 0, max(scores.shape[1] - 1, 0)).astype(np.int64)
    limit = np.take_along_axis(in_order, places[:, None], axis=1)
    return eligible & (scores <= limit) & (count > 0)[:, None]
