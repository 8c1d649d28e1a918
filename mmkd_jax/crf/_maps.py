"""Marginals and moments in another tag set."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from mmkd_jax.crf._chain import _check_float
from mmkd_jax.crf._moments import Moments, check_moments, flat_moments, like
from mmkd_jax.crf._scaled import _reciprocal
from mmkd_jax.tags import BioesRewrite, TagMap


def map_marginals(
    marginals: Float[Array, "*batch N"],
    mapping: TagMap | Array | np.ndarray,
    size: int | None = None,
) -> Float[Array, "*batch M"]:
    r"""The probabilities of another set's tags: :math:`P(k) = \sum_{j \mapsto k} P(j)`.

    With the student's marginals mapped as well as the teacher's, each tag set may tell things
    apart that the other does not (`tags.shared` makes the two maps); `losses.marginal_kl` compares
    them.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, tags
      >>> fine, coarse = tags.TagSet(["NOUN", "PROPN", "VERB"]), tags.TagSet(["NOUN", "VERB"])
      >>> tag_map = tags.TagMap.of_names(fine, coarse, {"PROPN": "NOUN"})
      >>> print(crf.map_marginals(jnp.array([[0.5, 0.25, 0.25]]), tag_map))
      [[0.75 0.25]]

    Args:
      marginals: ``[..., N]``.
      mapping: a `tags.TagMap`; or ``[N]`` integers, the new tag of each tag; or a matrix
        ``[N, M]`` whose rows sum to 1 (and need not be 0s and 1s).
      size: M, where ``mapping`` holds integers.

    Returns:
      ``[..., M]``.
    """
    _check_float(marginals, "marginals")
    if jnp.ndim(marginals) < 1:
        raise ValueError("marginals must be [..., N], got ()")
    return _map_marginals(marginals, _matrix(mapping, jnp.shape(marginals)[-1], size))


def map_tags(
    moments: Moments, mapping: TagMap | Array | np.ndarray, size: int | None = None
) -> Moments:
    r"""The moments of the sequence that has each of its tags mapped: sums over what is merged.

    Exact for any distribution. (A chain with some of its tags merged is a chain no longer, so
    there is no such map of chains.)

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> teacher = crf.LinearChain(jnp.zeros((2, 3)), jnp.zeros((3, 3)))
      >>> mapped = crf.map_tags(crf.moments(teacher), jnp.array([0, 1, 1]), size=2)
      >>> print(mapped.marginals)
      [[0.33333334 0.6666667 ]
       [0.33333334 0.6666667 ]]

    Args:
      moments: of N tags.
      mapping: N tags to M, as `map_marginals` takes it.
      size: M, where ``mapping`` holds integers.

    Returns:
      Moments of M tags, 0 in the padding.
    """
    check_moments(moments)
    return _map_tags(moments, _matrix(mapping, jnp.shape(moments.marginals)[-1], size))


def bio_to_bioes(moments: Moments, rewrite: BioesRewrite) -> Moments:
    r"""The moments of a BIO tagger that is made to write BIOES.

    Whether a B becomes S, and an I becomes E, is up to the next tag, so this is no map of single
    tags. With :math:`A_{jb}` for "a tag that is rewritten as j has b after it, or the end",

    .. math:: P'(j_t) = \sum_b A_{jb} P(\beta(j)_t, b_{t+1}), \quad
              P'(j_t, k_{t+1}) = A_{j \beta(k)} P(\beta(j)_t, \beta(k)_{t+1})
                                 \frac{P'(k_{t+1})}{P(\beta(k)_{t+1})}

    where :math:`\beta` gives the BIO tag of a BIOES tag. The marginals are exact whatever the
    moments are of. The pairs are exact for the moments of a chain, in which the tag after next is
    independent of this one once the next is known; so rewrite first, and `map_tags` or take a
    `mixture` after.

    The other way, from BIOES to BIO, is `map_tags` with `tags.TagMap.of_types`.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, tags
      >>> bio, bioes = (tags.TagSet.of_types(["X"], scheme) for scheme in ("BIO", "BIOES"))
      >>> teacher = crf.independent(jnp.log(jnp.array([[0., 1., 0.], [0.5, 0., 0.5]])))
      >>> written = crf.bio_to_bioes(crf.moments(teacher), tags.BioesRewrite(bio, bioes))
      >>> print(*zip(bioes.names, written.marginals[0].tolist()))  # B-X, unless I-X comes next
      ('O', 0.0) ('B-X', 0.5) ('I-X', 0.0) ('E-X', 0.0) ('S-X', 0.5)

    Args:
      moments: of the tags of ``rewrite.bio``.
      rewrite: the tables, a `tags.BioesRewrite`.

    Returns:
      Moments of the tags of ``rewrite.bioes``, 0 in the padding.
    """
    check_moments(moments)
    tags = jnp.shape(moments.marginals)[-1]
    if len(rewrite.bio) != tags:
        raise ValueError(
            f"moments must be of the {len(rewrite.bio)} tags of rewrite.bio, got {tags} tags"
        )
    tables = rewrite.bio_of, rewrite.next_allowed, rewrite.may_end
    return _bio_to_bioes(moments, *map(jnp.asarray, tables))


@jax.jit
def _map_marginals(marginals: Array, matrix: Array) -> Array:
    dtype = jnp.result_type(marginals, jnp.float32)
    return _product("...i,ij->...j", marginals.astype(dtype), matrix.astype(dtype))


@jax.jit
def _map_tags(moments: Moments, matrix: Array) -> Moments:
    marginals, pairs, _ = flat_moments(moments)
    matrix = matrix.astype(marginals.dtype)
    rows = _product("btij,ik->btkj", pairs, matrix)
    return like(
        moments,
        _product("bti,ij->btj", marginals, matrix),
        _product("btkj,jl->btkl", rows, matrix),
    )


@jax.jit
def _bio_to_bioes(moments: Moments, bio_of: Array, next_allowed: Array, may_end: Array) -> Moments:
    marginals, pairs, lengths = flat_moments(moments)
    steps = marginals.shape[1]
    allowed = next_allowed.astype(marginals.dtype)
    at_end = marginals[..., bio_of] * may_end[None, None]
    before_end = (pairs[..., bio_of, :] * allowed[None, None]).sum(axis=-1)
    before_end = jnp.pad(before_end, ((0, 0), (0, 1), (0, 0)))
    last_step = lengths[:, None, None] - 1
    written = jnp.where(jnp.arange(steps)[None, :, None] == last_step, at_end, before_end)

    # How the next tag is rewritten does not depend on this one.
    some = marginals > 0
    inverse = jnp.where(some, _reciprocal(jnp.where(some, marginals, 1.0)), 0.0)
    given_bio = (written * inverse[..., bio_of])[:, 1:]
    both = pairs[..., bio_of[:, None], bio_of[None]] * allowed[:, bio_of][None, None]
    return like(moments, written, both * given_bio[:, :, None])


def _product(subscripts: str, left: Array, right: Array) -> Array:
    return jnp.einsum(subscripts, left, right, precision=lax.Precision.HIGHEST)


def _matrix(mapping: Any, tags: int, size: int | None) -> Array:
    """The mapping as a matrix [N, M]; ValueError for one that is none, where that is known."""
    if isinstance(mapping, TagMap):
        mapping = mapping.matrix()
    shape, dtype = jnp.shape(mapping), jnp.result_type(mapping)
    known = not isinstance(mapping, jax.core.Tracer)
    if shape == (tags,) and jnp.issubdtype(dtype, jnp.integer):
        if size is None:
            raise ValueError("size, the number of tags after the map, is needed with integers")
        if known and not ((np.asarray(mapping) >= 0) & (np.asarray(mapping) < size)).all():
            raise ValueError(f"mapping must hold integers in 0..{size - 1}")
        return jnp.asarray(mapping)[:, None] == jnp.arange(size)[None]
    if len(shape) != 2 or shape[0] != tags:
        raise ValueError(
            f"mapping must be of the N = {tags} tags: a TagMap, [N] integers, or a matrix "
            f"[N, M]; got shape {shape}, dtype {dtype}"
        )
    if size not in (None, shape[1]):
        raise ValueError(f"size must be the mapping's {shape[1]}, or None, got {size}")
    if known and not np.allclose(np.asarray(mapping, np.float64).sum(axis=1), 1.0, atol=1e-2):
        raise ValueError("mapping must have rows that sum to 1: it may not lose a tag")
    return jnp.asarray(mapping)
