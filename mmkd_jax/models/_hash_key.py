"""Random keys whose bits cost a few operations each, for dropout.

An entry's bits are a hash of the key and of the entry's number, and nothing else. So they are the
same on every machine and under every sharding, as threefry's are, but are computed where they are
needed, forwards and backwards, in the same loop as what they decide about. Threefry takes seven
times as many operations, and rbg has the bits stored.

The hash is not that of a cipher. Dropout does not ask for one.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.random import define_prng_impl

_STEP = 0x9E3779B9  # 2^32 over the golden ratio: neighbours end up far apart
_OF_SPLITS = 0x85EBCA6B  # keeps a key's children apart from its own bits


def _mixed(x: Array) -> Array:
    """A permutation of 32-bit numbers, in which each bit depends on all.

    The constants are those of Chris Wellons' `lowbias32
    <https://github.com/skeeto/hash-prospector>`_, found by search.
    """
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)


def _hashed(key: Array, numbers: Array) -> Array:
    return _mixed(_mixed(numbers * jnp.uint32(_STEP) + key[0]) ^ key[1])


def _numbers(shape: tuple[int, ...]) -> Array:
    """Each entry's own, up to 2^32 of them. By axes: flat ones could not be sharded."""
    found = jnp.zeros(shape, jnp.uint32)
    for axis in range(len(shape)):
        stride = math.prod(shape[axis + 1 :]) % 2**32
        found += jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
    return found


def _bits(key: Array, width: int, shape: tuple[int, ...]) -> Array:
    if width == 64:
        high, low = (_bits(half, 32, shape).astype(jnp.uint64) for half in _split(key, (2,)))
        return (high << jnp.uint64(32)) | low
    return _hashed(key, _numbers(shape)).astype(f"uint{width}")


def _split(key: Array, shape: tuple[int, ...]) -> Array:
    return _hashed(key ^ jnp.uint32(_OF_SPLITS), _numbers((*shape, 2)))


def _fold_in(key: Array, number: Array) -> Array:
    return _hashed(key ^ _mixed(jnp.uint32(number) + jnp.uint32(_STEP)), _numbers((2,)))


def _seed(seed: Array) -> Array:
    return _fold_in(jnp.zeros(2, jnp.uint32), seed.astype(jnp.uint32))


HASH = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_bits,
    fold_in=_fold_in,
    name="hash",
    tag="hash",
)
