"""A number for each array of a tree, by which damage is found."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

_SPREAD = 0x9E3779B9  # 2^32 over the golden ratio: neighbours' numbers end up far apart
_MIX = (0x85EBCA6B, 0xC2B2AE35)  # odd, so that no two words become one


def fingerprints(tree: Any) -> dict[str, int]:
    """A fingerprint of each array, by its name.

    It depends on every bit and on where it is, but not on how the array is spread over devices.
    A change of a single word always changes it, another change all but one time in 2^32.

    Args:
      tree: of arrays of booleans or numbers.

    Returns:
      By the name that `named_leaves` gives.
    """
    # One after the other: of several programs that devices of a CPU have begun at the same time,
    # each may wait for a thread that another one holds, for ever.
    return {name: int(_fingerprint(leaf)) for name, leaf in named_leaves(tree).items()}


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by path, such as ``params/layers/0/norm/scale``."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


# One compilation for each shape, of which a model has few, and not one for the whole tree.
@jax.jit
def _fingerprint(array: Array) -> Array:
    words = _words(array)
    # No axis is merged with another: that would gather what is split over devices.
    strides = [math.prod(words.shape[axis + 1 :]) for axis in range(words.ndim)]
    place = jnp.zeros(words.shape, jnp.uint32)
    for axis, stride in enumerate(strides):
        along = jax.lax.broadcasted_iota(jnp.uint32, words.shape, axis)
        place += along * jnp.uint32(stride % 2**32)
    mixed = words ^ (place * jnp.uint32(_SPREAD))
    for factor, shift in zip(_MIX, (13, 16), strict=True):
        mixed *= jnp.uint32(factor)
        mixed ^= mixed >> shift
    return mixed.sum(dtype=jnp.uint32)


def _words(array: Array) -> Array:
    """The bits of each entry as uint32; with one more axis where one does not hold them."""
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        array = jnp.stack([array.real, array.imag], axis=-1)
    if array.dtype == jnp.bool_:
        return array.astype(jnp.uint32)
    bits = jnp.iinfo if jnp.issubdtype(array.dtype, jnp.integer) else jnp.finfo
    width = bits(array.dtype).bits
    if width >= 32:
        return jax.lax.bitcast_convert_type(array, jnp.uint32)
    same_width = jnp.dtype(f"uint{width}")
    return jax.lax.bitcast_convert_type(array, same_width).astype(jnp.uint32)
