"""From the vectors of subwords to those of words."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int


def pool_words(
    hidden: Float[Array, "*batch T D"],
    word_of: Int[Array, "*batch T"],
    count: int,
    how: Literal["first", "mean"] = "first",
) -> Float[Array, "*batch W D"]:
    """One vector a word: that of its first subword, or the mean of all its subwords.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> hidden = jnp.array([[9.], [1.], [2.], [4.], [9.]])  # [CLS] gui ##tar solo [SEP]
      >>> word_of = jnp.array([-1, 0, 0, 1, -1])
      >>> print(models.pool_words(hidden, word_of, count=3)[:, 0])
      [1. 4. 0.]
      >>> print(models.pool_words(hidden, word_of, count=3, how="mean")[:, 0])
      [1.5 4.  0. ]

    Args:
      hidden: ``[..., T, D]``, of subwords.
      word_of: ``[..., T]``, the number of the word that each subword is part of; -1 for those that
        are part of none (special tokens, padding), which are never read. Numbers of ``count`` and
        more are left out.
      count: W, how many words there is room for.
      how: first or mean.

    Returns:
      ``[..., W, D]`` in the dtype of ``hidden``; 0 for a word without subwords.
    """
    if jnp.shape(word_of) != jnp.shape(hidden)[:-1]:
        raise ValueError(
            f"word_of must be [..., T] = {jnp.shape(hidden)[:-1]}, got {jnp.shape(word_of)}"
        )
    if how not in ("first", "mean"):
        raise ValueError(f"how must be first or mean, got {how!r}")
    words = jnp.arange(count).reshape(*(1,) * (jnp.ndim(word_of) - 1), count, 1)
    member = word_of[..., None, :] == words  # [..., W, T]
    hidden = jnp.where((word_of >= 0)[..., None], hidden, 0.0)
    if how == "first":
        some = member.any(axis=-1)[..., None]
        first = jnp.take_along_axis(hidden, member.argmax(axis=-1)[..., None], axis=-2)
        return jnp.where(some, first, 0.0)
    sums = jnp.einsum(
        "...wt,...td->...wd",
        member.astype(hidden.dtype),
        hidden,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.promote_types(hidden.dtype, jnp.float32),
    )
    return (sums / jnp.maximum(member.sum(axis=-1), 1)[..., None]).astype(hidden.dtype)
