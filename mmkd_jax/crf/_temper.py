"""Sharper or flatter distributions."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array

from mmkd_jax.crf._chain import LinearChain, check


def temper(chain: LinearChain, temperature: ArrayLike) -> LinearChain:
    r"""The chain of :math:`p^{1/\tau}`, renormalised: all scores divided by the temperature.

    This is the temperature of whole sequences. Raising each marginal to the power
    :math:`1/\tau` is something else, and no distribution over sequences has those marginals.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> chain = crf.LinearChain(jnp.array([[0., 2.]]), jnp.zeros((2, 2)))
      >>> print(crf.temper(chain, 2.).emissions)
      [[0. 1.]]

    Args:
      chain: the scores.
      temperature: a positive scalar, which may be traced. Above 1 flattens, below 1 sharpens.

    Returns:
      A chain of the same fields and shapes.
    """
    check(chain)
    if jnp.ndim(temperature) != 0:
        raise ValueError(f"temperature must be a scalar, got shape {jnp.shape(temperature)}")
    if not isinstance(temperature, jax.core.Tracer) and not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature}")

    def divided(scores: Any) -> Array | None:
        if scores is None:
            return None
        # -inf stays -inf, and its derivative by the temperature is 0, not NaN.
        some = jnp.isfinite(scores)
        return jnp.where(some, jnp.where(some, scores, 0.0) / temperature, scores)

    names = ("emissions", "transitions", "start", "end")
    return dataclasses.replace(chain, **{name: divided(getattr(chain, name)) for name in names})
