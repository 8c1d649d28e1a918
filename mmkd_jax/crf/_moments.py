"""What a student chain needs to know of a teacher, whatever the teacher is."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from mmkd_jax.crf._chain import (
    LinearChain,
    _check_float,
    as_batch,
    check,
    check_integers,
    flat_lengths,
    is_inside,
    leading_shape,
)
from mmkd_jax.crf._forward_backward import forward_backward
from mmkd_jax.crf._marginals import per_step


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Moments:
    r"""The probabilities of single tags and of neighbouring tags, under any distribution.

    The cross-entropy of a chain with *any* distribution over tag sequences depends on that
    distribution only through these numbers:
    :math:`-\sum_y p(y) \log q(y) = \log Z_q - \langle \mu_p, \theta_q \rangle`. So a teacher may be
    a chain (`moments`), a mixture of several (`mixture`), one with other tags (`map_tags`,
    `bio_to_bioes`), or something else whose probabilities are computed elsewhere, such as a span
    classifier. `losses.crf_cross_entropy` is the objective.

    As in a `LinearChain`, the fields are stored as given and never checked here, and what lies
    behind ``lengths`` is never read.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> certain = crf.Moments(jnp.array([[1., 0.], [0., 1.]]), jnp.array([[[0., 1.], [0., 0.]]]))
      >>> merged = crf.map_tags(certain, jnp.ones((2, 1)))
      >>> print(merged.marginals.tolist(), merged.pairs.tolist())
      [[1.0], [1.0]] [[[1.0]]]

    Attributes:
      marginals: ``[..., T, N]``, the probability of each tag at each step.
      pairs: ``[..., T-1, N, N]``, the probability of each two tags at a step (row) and the next.
      lengths: ``[...]`` integers, clipped to ``[0, T]``, or None where all have length T.
    """

    marginals: Any
    pairs: Any
    lengths: Any = None


@jax.jit
def moments(chain: LinearChain) -> Moments:
    """The moments of a chain: `marginals` and `pair_marginals` from one pass.

    It needs memory for N² numbers a step. Where teacher and student are chains over the same tags,
    `kl_divergence` needs N.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> found = crf.moments(crf.LinearChain(jnp.zeros((2, 2)), jnp.zeros((2, 2))))
      >>> print(found.marginals.tolist(), found.pairs.tolist())
      [[0.5, 0.5], [0.5, 0.5]] [[[0.25, 0.25], [0.25, 0.25]]]

    Args:
      chain: the scores.

    Returns:
      The moments, 0 in the padding, and all 0 where no sequence is possible.
    """
    check(chain)
    batch = as_batch(chain)
    transitions = per_step(batch.transitions, batch.unary.shape)
    posterior = forward_backward(batch.unary, transitions, batch.lengths)
    pairs = posterior.counts.reshape(*leading_shape(chain), *transitions.shape[1:])
    return Moments(posterior.marginals.reshape(chain.emissions.shape), pairs, chain.lengths)


def check_moments(moments: Moments, name: str = "moments") -> None:
    """Raises ValueError, naming field, shape and rule, where a static shape or dtype is wrong."""
    _check_float(moments.marginals, f"{name}.marginals")
    shape = jnp.shape(moments.marginals)
    if len(shape) < 2 or 0 in shape[-2:]:
        raise ValueError(
            f"{name}.marginals must be [..., T, N] with T and N at least 1, got {shape}"
        )
    *leading, steps, tags = shape
    _check_float(moments.pairs, f"{name}.pairs")
    wanted = (*leading, steps - 1, tags, tags)
    if jnp.shape(moments.pairs) != wanted:
        raise ValueError(
            f"{name}.pairs must be [..., T-1, N, N] = {wanted}, got {jnp.shape(moments.pairs)}"
        )
    if moments.lengths is not None:
        check_integers(moments.lengths, tuple(leading), f"{name}.lengths", "[...]")


def flat_moments(
    moments: Moments,
) -> tuple[Float[Array, "B T N"], Float[Array, "B T1 N N"], Int[Array, "B"]]:
    """Marginals, pairs and lengths on one batch axis, float32 or better, 0 in the padding."""
    *leading, steps, tags = moments.marginals.shape
    count = math.prod(leading)
    dtype = jnp.result_type(moments.marginals, moments.pairs, jnp.float32)
    lengths = flat_lengths(LinearChain(moments.marginals, None, lengths=moments.lengths))
    inside = is_inside(lengths, steps)[..., None]
    marginals = moments.marginals.reshape(count, steps, tags).astype(dtype)
    pairs = moments.pairs.reshape(count, steps - 1, tags, tags).astype(dtype)
    return (
        jnp.where(inside, marginals, 0.0),
        jnp.where(inside[:, 1:, None], pairs, 0.0),
        lengths,
    )


def like(moments: Moments, marginals: Array, pairs: Array) -> Moments:
    """Flat marginals and pairs, with as many tags as they have, as moments of the same batch."""
    leading = moments.marginals.shape[:-2]
    return Moments(
        marginals.reshape(*leading, *marginals.shape[1:]),
        pairs.reshape(*leading, *pairs.shape[1:]),
        moments.lengths,
    )
