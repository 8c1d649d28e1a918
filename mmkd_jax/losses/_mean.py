"""The one reduction over a batch."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from mmkd_jax.losses._checks import check_floats, compute_dtype


def weighted_mean(
    values: Float[Array, "*batch"],
    counts: Int[Array, "*batch"] | Float[Array, "*batch"] | Bool[Array, "*batch"],
    axis_name: str | tuple[str, ...] | None = None,
) -> Float[Array, ""]:
    r"""The mean over a batch whose examples weigh differently.

    .. math:: \bar v = \frac{\sum_i c_i v_i}{\sum_i c_i}

    With a loss that is a mean over an example's tokens, words or sentences, and with their number
    as count, this is the mean over all tokens of the batch. It is right however the batch is
    sharded: under ``jit`` the sums are those of the global batch. The mean of every shard's own
    mean is not, as soon as one shard holds more than another.

    Under ``jax.shard_map`` (or ``vmap`` with an axis name) a function sees its own shard only.
    There ``axis_name`` adds up both sums over the mesh axis before they are divided, and the
    result is the same on all devices. Take the gradient of that result and add nothing up
    yourself: ``shard_map`` sums the gradients of what is replicated (as long as its ``check_vma``
    is on, which is the default)::

        def shard_loss(params, x, where):
            values = losses.token_alignment(model(params, x), x, where)
            return losses.weighted_mean(values, where.sum(-1), axis_name="data")

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import losses
      >>> values = jnp.array([1., 4., jnp.nan])
      >>> print(losses.weighted_mean(values, jnp.array([2, 1, 0])))
      2.0
      >>> print(losses.weighted_mean(values, jnp.zeros(3)))
      0.0

    Args:
      values: ``[...]``, one an example. A value with count 0 is never read.
      counts: ``[...]``, how much each weighs: integers, floats or booleans, none negative.
      axis_name: the mesh axis or axes to sum over; only where a function sees one shard.

    Returns:
      A scalar, 0 with gradient 0 if all counts are 0.

    References:
      Both papers average over the batch of one device. The released code of the structured one
      divides by the number of labelled sentences, but sums over all of them.
    """
    check_floats(values, "values", "[...]")
    if jnp.iscomplexobj(counts):
        raise ValueError(f"counts must be real, got dtype {jnp.result_type(counts)}")
    if jnp.shape(values) != jnp.shape(counts):
        raise ValueError(
            "values and counts must have the same shape, "
            f"got {jnp.shape(values)} and {jnp.shape(counts)}"
        )
    return _weighted_mean(values, counts, axis_name)


@partial(jax.jit, static_argnames="axis_name")
def _weighted_mean(values: Array, counts: Array, axis_name: str | tuple[str, ...] | None) -> Array:
    dtype = compute_dtype(values)
    counts = counts.astype(dtype)
    values = jnp.where(counts == 0, 0.0, values.astype(dtype))
    total, count = (values * counts).sum(), counts.sum()
    if axis_name is not None:
        total, count = lax.psum((total, count), axis_name)
    some = count != 0
    return jnp.where(some, total / jnp.where(some, count, 1.0), 0.0)
