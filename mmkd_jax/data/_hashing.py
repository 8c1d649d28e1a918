"""Random numbers by counting: a hash of what they are for, instead of a generator with a state.

A number depends on its keys alone, so that it is the same in any batch, process and worker, and
whole arrays of them are made at once.
"""

import numpy as np

_STEP = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def hashed(*keys: int | np.integer | np.ndarray | list[int]) -> np.ndarray | np.uint64:
    """64 random bits for each combination of keys, which broadcast against one another.

    A chain of splitmix64: the hash of a key is mixed into the next one, so that the order of keys
    matters.

    >>> from mmkd_jax.data._hashing import hashed
    >>> hashed(0, 7) == hashed(0, [6, 7, 8])
    array([False,  True, False])
    """
    state: np.ndarray | np.uint64 = np.uint64(0)
    with np.errstate(over="ignore"):  # numpy warns of scalars that wrap round, not of arrays
        for key in keys:
            state = _mixed((state ^ np.asarray(key).astype(np.uint64)) + _STEP)
    return state


def fractions(bits: np.ndarray | np.uint64) -> np.ndarray | np.float64:
    """Turns 64 random bits into float64 in [0, 1)."""
    return (bits >> np.uint64(11)) * 2.0**-53


def permutation(count: int, *keys: int) -> np.ndarray:
    """The numbers 0 to count - 1 in an order that the keys decide."""
    # Two equal hashes keep their order in a stable sort: the result is never a matter of chance.
    return np.argsort(hashed(*keys, np.arange(count)), kind="stable")


def _mixed(bits: np.ndarray | np.uint64) -> np.ndarray | np.uint64:
    bits = bits ^ (bits >> np.uint64(30))
    bits *= _FIRST  # in place, if it is an array
    bits ^= bits >> np.uint64(27)
    bits *= _SECOND
    bits ^= bits >> np.uint64(31)
    return bits
