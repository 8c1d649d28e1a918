"""Several teachers as one."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array

from mmkd_jax.crf._moments import Moments, check_moments, flat_moments, like


def mixture(
    moments: Sequence[Moments], weights: Sequence[ArrayLike] | Array | np.ndarray | None = None
) -> Moments:
    r"""The moments of a mixture :math:`\sum_k w_k p_k(y)`, exact: they are linear in p.

    A cross-entropy with a mixture is the average of the cross-entropies with its parts, so a
    student learns from all teachers at the price of one.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> one = crf.moments(crf.independent(jnp.array([[0., -jnp.inf]])))
      >>> two = crf.moments(crf.independent(jnp.array([[-jnp.inf, 0.]])))
      >>> print(crf.mixture([one, two]).marginals, crf.mixture([one, two], [3, 1]).marginals)
      [[0.5 0.5]] [[0.75 0.25]]

    Args:
      moments: one a teacher, all of the same shape. The lengths of the first rule all.
      weights: one a teacher, none negative, each a scalar or ``[...]``, one a sentence; they need
        not sum to 1. A teacher of weight 0 is never read, and one that allows no sequence at all
        has no say. None weighs all teachers alike.

    Returns:
      The moments; all 0 for a sentence on which no teacher has a say.
    """
    moments = list(moments)
    if not moments:
        raise ValueError("moments must hold those of one teacher at least")
    shape = jnp.shape(moments[0].marginals)
    for index, one in enumerate(moments):
        check_moments(one, f"moments[{index}]")
        if jnp.shape(one.marginals) != shape:
            raise ValueError(
                "moments must all have the same shape [..., T, N], "
                f"got {shape} and {jnp.shape(one.marginals)}"
            )
    weights = [1.0] * len(moments) if weights is None else list(weights)
    if len(weights) != len(moments):
        raise ValueError(
            f"weights must be one a teacher, got {len(weights)} for {len(moments)} teachers"
        )
    for index, weight in enumerate(weights):
        if jnp.shape(weight) not in ((), shape[:-2]):
            raise ValueError(
                f"weights[{index}] must be a scalar or [...] = {shape[:-2]}, "
                f"got {jnp.shape(weight)}"
            )
    return _mixture(moments, weights)


@jax.jit
def _mixture(moments: list[Moments], weights: list[Array]) -> Moments:
    lengths = moments[0].lengths
    parts = [flat_moments(Moments(one.marginals, one.pairs, lengths))[:2] for one in moments]
    dtype = jnp.result_type(*(marginals for marginals, _ in parts))
    shares = []
    for weight, (marginals, _) in zip(weights, parts, strict=True):
        flat = jnp.broadcast_to(jnp.asarray(weight, dtype).reshape(-1), len(marginals))
        allows_some = (marginals[:, 0] > 0).any(axis=-1)
        shares.append(jnp.where(allows_some & (flat != 0), flat, 0.0))
    total = sum(shares)
    shares = [jnp.where(total > 0, w / jnp.where(total > 0, total, 1.0), 0.0) for w in shares]
    marginals, pairs = (
        sum(_share(weight, part[i]) for weight, part in zip(shares, parts, strict=True))
        for i in range(2)
    )
    return like(moments[0], marginals, pairs)


def _share(weight: Array, values: Array) -> Array:
    weight = weight.reshape(-1, *(1,) * (values.ndim - 1))
    return jnp.where(weight != 0, weight * jnp.where(weight != 0, values, 0.0), 0.0)
