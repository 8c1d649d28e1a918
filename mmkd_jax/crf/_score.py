"""The score of given tags, and their probability."""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Integer

from mmkd_jax.crf._chain import (
    Batch,
    LinearChain,
    as_batch,
    check,
    check_integers,
    is_inside,
    leading_shape,
)
from mmkd_jax.crf._forward_backward import forward_backward


@jax.jit
def score(chain: LinearChain, tags: Integer[Array, "*batch T"]) -> Float[Array, "*batch"]:
    r"""The unnormalised score :math:`s(y)` of one tag sequence.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> chain = crf.LinearChain(jnp.ones((3, 2)), jnp.array([[0.5, 0.], [0., 0.5]]))
      >>> crf.score(chain, jnp.array([0, 0, 1]))
      Array(3.5, dtype=float32)

    Args:
      chain: the scores.
      tags: ``[..., T]`` integers. Those behind the lengths are never read; one outside 0..N-1
        inside them makes the score -inf.

    Returns:
      ``[...]``, 0 for length 0.
    """
    batch, tags = _checked(chain, tags)
    return (batch.offset + batch_score(batch, tags)).reshape(leading_shape(chain))


@jax.jit
def log_prob(chain: LinearChain, tags: Integer[Array, "*batch T"]) -> Float[Array, "*batch"]:
    r"""The log probability :math:`\log p(y) = s(y) - \log Z` of one tag sequence.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> chain = crf.LinearChain(jnp.zeros((3, 2)), jnp.zeros((2, 2)))
      >>> jnp.exp(crf.log_prob(chain, jnp.array([0, 0, 1])))  # one of eight
      Array(0.125, dtype=float32)

    Args:
      chain: the scores.
      tags: ``[..., T]`` integers, as `score` takes them.

    Returns:
      ``[...]``, 0 for length 0, -inf for what is impossible.
    """
    batch, tags = _checked(chain, tags)
    log_z = forward_backward(batch.unary, batch.transitions, batch.lengths).log_z
    possible = log_z > -jnp.inf
    result = batch_score(batch, tags) - jnp.where(possible, log_z, 0.0)
    return jnp.where(possible, result, -jnp.inf).reshape(leading_shape(chain))


def batch_score(batch: Batch, tags: Integer[Array, "B T"]) -> Float[Array, "B"]:
    """The score of the tags, without `Batch.offset`."""
    count, steps, n = batch.unary.shape
    inside = is_inside(batch.lengths, steps)
    legal = (tags >= 0) & (tags < n)
    chosen = tags[..., None] == jnp.arange(n)[None, None]
    unary = jnp.where(chosen & inside[..., None], batch.unary, 0.0).sum(axis=(1, 2))
    legal = inside & legal
    safe = jnp.where(legal, tags, 0)
    index = (safe[:, :-1], safe[:, 1:])
    if batch.transitions.ndim == 3 and batch.transitions.shape[0] == 1:
        pairs = batch.transitions[0][index]
    else:
        rows = jnp.arange(count)[:, None]
        if batch.transitions.ndim == 4:
            index = (jnp.arange(steps - 1)[None], *index)
        pairs = batch.transitions[rows, *index]
    pairs = jnp.where(legal[:, :-1] & legal[:, 1:], pairs, 0.0).sum(axis=1)
    impossible = (inside & ~legal).any(axis=1)
    return unary + pairs + jnp.where(impossible, -jnp.inf, 0.0)


def path_counts(
    batch: Batch, paths: Integer[Array, "B K T"], weights: Float[Array, "B K"]
) -> tuple[Float[Array, "B T N"], Array]:
    """How often paths use each score, by weight: the derivative of their weighted scores.

    Tags that are none count for nothing. The counts of transitions are [B, N, N], summed over
    time, or [B, T-1, N, N] where there is a matrix a step.
    """
    steps, tags = batch.unary.shape[1:]
    legal = is_inside(batch.lengths, steps)[:, None] & (paths >= 0) & (paths < tags)
    paths = jnp.where(legal, paths, -1)
    sizes = {"tags": tags, "per_step": batch.transitions.ndim == 4}
    # A CPU adds up one by one faster than it multiplies what is mostly zeros; the others do not,
    # and not in the same order each time.
    return lax.platform_dependent(
        paths,
        weights,
        cpu=partial(counted_one_by_one, **sizes),
        default=partial(counted_by_products, **sizes),
    )


def counted_by_products(
    paths: Integer[Array, "B K T"], weights: Float[Array, "B K"], tags: int, per_step: bool
) -> tuple[Float[Array, "B T N"], Array]:
    """`path_counts` as a product of matrices of zeros and ones; -1 counts for nothing."""
    chosen = paths[..., None] == jnp.arange(tags)[None, None, None]
    weighted = jnp.where(chosen, weights[..., None, None], 0.0)
    pairs = jnp.einsum(
        f"bkti,bktj->{'btij' if per_step else 'bij'}",
        weighted[:, :, :-1],
        chosen[:, :, 1:].astype(weighted.dtype),
        precision=lax.Precision.HIGHEST,
    )
    return weighted.sum(axis=1), pairs


def counted_one_by_one(
    paths: Integer[Array, "B K T"], weights: Float[Array, "B K"], tags: int, per_step: bool
) -> tuple[Float[Array, "B T N"], Array]:
    """`path_counts` as histograms; -1 counts for nothing."""
    steps = paths.shape[-1]
    weights = jnp.broadcast_to(weights[..., None], paths.shape)

    def histogram(cells, weights, legal, shape):
        def of_one(cells, weights):
            return jnp.zeros(math.prod(shape), weights.dtype).at[cells].add(weights)

        full = jax.vmap(of_one)(jnp.where(legal, cells, 0), jnp.where(legal, weights, 0.0))
        return full.reshape(len(paths), *shape)

    time = jnp.arange(steps)[None, None]
    unary = histogram(time * tags + paths, weights, paths >= 0, (steps, tags))
    before, after = paths[..., :-1], paths[..., 1:]
    cells, shape = before * tags + after, (tags, tags)
    if per_step:
        cells, shape = cells + time[..., :-1] * tags**2, (steps - 1, *shape)
    legal = (before >= 0) & (after >= 0)
    return unary, histogram(cells, weights[..., :-1], legal, shape)


@jax.custom_vjp
def known_score(
    batch: Batch, tags: Integer[Array, "B T"], value: Float[Array, "B"]
) -> Float[Array, "B"]:
    """`batch_score` where the search for the tags has found its value already."""
    return value


def _known_score_forward(batch, tags, value):
    return value, (batch, tags)


def _known_score_backward(residuals, cotangent):
    batch, tags = residuals

    def scored(unary, transitions):
        return batch_score(batch._replace(unary=unary, transitions=transitions), tags)

    unary, transitions = jax.vjp(scored, batch.unary, batch.transitions)[1](cotangent)
    return Batch(unary, transitions, None, None), None, None


known_score.defvjp(_known_score_forward, _known_score_backward)


def _checked(chain: LinearChain, tags: Array) -> tuple[Batch, Integer[Array, "B T"]]:
    check(chain)
    *leading, steps, _ = chain.emissions.shape
    check_integers(tags, (*leading, steps), "tags", "[..., T]")
    return as_batch(chain), tags.reshape(-1, steps)
