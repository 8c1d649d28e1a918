"""Cross-entropy against a large vocabulary, a chunk of it at a time.

The loop runs over the vocabulary and takes all rows each time: a loop over rows would read the
table, by far the largest array, once for each chunk of rows, and read and write its gradient as
often. The gradient cannot be had in the same pass as the loss: that of the table weighs each row
by what the caller makes of the row's loss, which is unknown until the backward pass.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from mmkd_jax.losses._checks import compute_dtype

_HIGHEST = lax.Precision.HIGHEST


class _Chunk(NamedTuple):
    start: Int[Array, ""]
    table: Float[Array, "C D"]
    logits: Float[Array, "R C"]
    is_target: Bool[Array, "R C"]
    # The last chunk begins early where the vocabulary does not divide: tokens already seen.
    is_new: Bool[Array, "1 C"]


@partial(jax.jit, static_argnames="chunk_size")
def cross_entropies(
    rows: Float[Array, "R D"],
    table: Float[Array, "V D"],
    bias: Float[Array, "V"],
    targets: Int[Array, "R"],
    chunk_size: int,
) -> Float[Array, "R"]:
    """-log softmax(table @ row + bias)[target] of each row; inf for a target outside 0..V-1."""
    rows, table, bias, targets = _placed_alike(rows, table, bias, targets)
    return _cross_entropies(rows, table, bias, targets, chunk_size)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _cross_entropies(
    rows: Array, table: Array, bias: Array, targets: Array, chunk_size: int
) -> Float[Array, "R"]:
    return _forward(rows, table, bias, targets, chunk_size)[0]


def _forward(
    rows: Array, table: Array, bias: Array, targets: Array, chunk_size: int
) -> tuple[Float[Array, "R"], tuple[Array, ...]]:
    def add_chunk(index, carry):
        largest, total, chosen = carry
        chunk = _read(rows, table, bias, targets, chunk_size, index)
        logits = jnp.where(chunk.is_new, chunk.logits, -jnp.inf)
        new_largest = jnp.maximum(largest, logits.max(axis=1))
        # As long as all logits are -inf there is nothing to subtract.
        level = jnp.where(new_largest > -jnp.inf, new_largest, 0.0)
        total = total * jnp.exp(largest - level) + jnp.exp(logits - level[:, None]).sum(axis=1)
        here = chunk.is_target & chunk.is_new
        chosen = chosen + jnp.where(here, chunk.logits, 0.0).sum(axis=1)
        return new_largest, total, chosen

    # Not jnp.zeros: under shard_map a carry must be placed as the rows are.
    zeros = jnp.zeros_like(rows[:, 0], dtype=compute_dtype(rows, table, bias))
    carry = jnp.full_like(zeros, -jnp.inf), zeros, zeros
    largest, total, chosen = _loop(add_chunk, carry, len(table), chunk_size)
    log_z = largest + jnp.log(total)
    in_vocabulary = (targets >= 0) & (targets < len(table))
    losses = log_z - jnp.where(in_vocabulary, chosen, -jnp.inf)
    return losses, (rows, table, bias, targets, log_z)


def _backward(
    chunk_size: int, kept: tuple[Array, ...], weights: Float[Array, "R"]
) -> tuple[Array, Array, Array, None]:
    rows, table, bias, targets, log_z = kept
    wide_rows = rows.astype(weights.dtype)

    def add_chunk(index, carry):
        d_rows, d_table, d_bias = carry
        chunk = _read(rows, table, bias, targets, chunk_size, index)
        pull = (jnp.exp(chunk.logits - log_z[:, None]) - chunk.is_target) * weights[:, None]
        # Tokens seen before get the same gradient a second time: written, not added.
        rows_of_table = jnp.einsum("rc,rd->cd", pull, wide_rows, precision=_HIGHEST)
        d_table = lax.dynamic_update_slice_in_dim(
            d_table, rows_of_table.astype(table.dtype), chunk.start, axis=0
        )
        d_bias = lax.dynamic_update_slice_in_dim(
            d_bias, pull.sum(axis=0).astype(bias.dtype), chunk.start, axis=0
        )
        new = jnp.where(chunk.is_new, pull, 0.0)
        wide_table = chunk.table.astype(new.dtype)
        d_rows = d_rows + jnp.einsum("rc,cd->rd", new, wide_table, precision=_HIGHEST)
        return d_rows, d_table, d_bias

    carry = jnp.zeros_like(wide_rows), jnp.zeros_like(table), jnp.zeros_like(bias)
    d_rows, d_table, d_bias = _loop(add_chunk, carry, len(table), chunk_size)
    return d_rows.astype(rows.dtype), d_table, d_bias, None


_cross_entropies.defvjp(_forward, _backward)


def _read(
    rows: Array, table: Array, bias: Array, targets: Array, chunk_size: int, index: Array
) -> _Chunk:
    start = jnp.minimum(index * chunk_size, len(table) - chunk_size)
    tokens = (start + jnp.arange(chunk_size))[None]
    part = lax.dynamic_slice_in_dim(table, start, chunk_size)
    # Products of bfloat16 numbers are exact in float32, so the factors may stay narrow.
    dtype = compute_dtype(rows, table, bias)
    logits = jnp.einsum(
        "rd,cd->rc", rows, part, precision=_HIGHEST, preferred_element_type=dtype
    ) + lax.dynamic_slice_in_dim(bias, start, chunk_size)[None].astype(dtype)
    return _Chunk(start, part, logits, tokens == targets[:, None], tokens >= index * chunk_size)


def _loop(body, carry, tokens: int, chunk_size: int):
    return lax.fori_loop(0, -(-tokens // chunk_size), body, carry)


def _placed_alike(*arrays: Array) -> list[Array]:
    """The arrays, each varying over the mesh axes that any varies over.

    Under shard_map the rows differ from shard to shard and the table does not. Adding a zero that
    depends on all says so to JAX, which then sums the table's gradient over the shards. XLA
    removes the addition.
    """
    first = [array[(slice(1),) * array.ndim].astype(jnp.int32) for array in arrays]
    zero = sum(0 * array.sum() for array in first)
    return [array + zero.astype(array.dtype) for array in arrays]
