"""How often paths use each score, counted both ways, is the derivative of their scores."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.crf import _chain, _score
from tests.crf.chains import KINDS, random_chain

B, K, T, N = 6, 4, 5, 3


@pytest.mark.parametrize("kind", KINDS)
def test_counts_are_the_derivative_of_scores(kind):
    random = np.random.default_rng(0)
    paths = jnp.asarray(random.integers(0, N, (B, K, T)))
    weights = jnp.asarray(random.normal(size=(B, K)), jnp.float32)
    batch = _chain.as_batch(jax.tree.map(jnp.asarray, random_chain(0, kind=kind)))
    shape = (B, *batch.transitions.shape[1:])

    def total(unary, transitions, weights):
        moved = batch._replace(unary=unary, transitions=transitions)
        scores = jax.vmap(_score.batch_score, (None, 1), 1)(moved, paths)
        return (weights * scores).sum()

    scores = batch.unary, jnp.broadcast_to(batch.transitions, shape)
    *expected, by_weight = jax.grad(total, (0, 1, 2))(*scores, weights)
    legal = jnp.where(_chain.is_inside(batch.lengths, T)[:, None], paths, -1)
    per_step = kind == KINDS[2]
    for counted in (_score.counted_one_by_one, _score.counted_by_products):

        def through_counts(weights, counted=counted):
            counts = counted(legal, weights, N, per_step)
            return sum((n * s).sum() for n, s in zip(counts, scores, strict=True)), counts

        found, counts = jax.grad(through_counts, has_aux=True)(weights)
        np.testing.assert_allclose(found, by_weight, atol=1e-5)
        for one, other in zip(counts, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_tags_that_are_none_count_for_nothing():
    batch = _chain.as_batch(jax.tree.map(jnp.asarray, random_chain(0)))
    paths = jnp.full((B, 1, T), 1).at[5, 0, 2].set(N).at[4, 0, 1].set(-7)
    unary, pairs = _score.path_counts(batch, paths, jnp.ones((B, 1)))
    np.testing.assert_array_equal(unary.sum((1, 2)), [0, 1, 2, 3, 3, 4])
    np.testing.assert_array_equal(pairs.sum((1, 2)), [0, 0, 1, 2, 1, 2])
