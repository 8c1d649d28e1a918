import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf, losses
from tests.losses import chains, checks

TAGS = np.random.default_rng(0).integers(0, chains.TAGS, (checks.BATCH, chains.STEPS), np.int32)


def loss(*arrays):
    *scores, lengths, tags = arrays
    return losses.crf_nll(crf.LinearChain(*scores, lengths), tags)


def formula(*arrays):
    one = chains.enumerated(*arrays[:-1])
    return one.log_z - one.score(arrays[-1])


def case():
    arrays = (*chains.score_arrays(0), chains.LENGTHS, TAGS)
    return checks.Case(loss, arrays, formula, shared=(1, 2, 3))


@checks.every_law
def test_law(law):
    law(case())


def test_padding_is_never_read():
    chain = chains.chain(0)
    inside = np.arange(chains.STEPS) < chains.LENGTHS[:, None]
    tags = jnp.asarray(np.where(inside, TAGS, -100))
    found = losses.crf_nll(chains.spoiled(chain), tags)
    np.testing.assert_array_equal(found, losses.crf_nll(chain, jnp.asarray(TAGS)))


@pytest.mark.parametrize("tag", [-1, chains.TAGS])
def test_what_is_no_tag_is_infinitely_surprising(tag):
    tags = jnp.asarray(TAGS).at[0, 1].set(tag)
    scores = tuple(map(jnp.float32, chains.score_arrays(0)))
    value, gradient = jax.value_and_grad(lambda s: loss(*s, chains.LENGTHS, tags).sum())(scores)
    assert value == np.inf
    assert all(np.isfinite(g).all() for g in gradient)


def test_wrong_arguments_are_named():
    chain, tags = chains.chain(0), jnp.asarray(TAGS)
    with checks.rejected(r"tags must be \[\.\.\., T\] = \(8, 4\), got \(8, 3\)"):
        losses.crf_nll(chain, tags[:, 1:])
    with checks.rejected("tags must hold integers"):
        losses.crf_nll(chain, tags.astype(jnp.float32))
    with checks.rejected(r"student\.start must be"):
        losses.crf_nll(crf.LinearChain(chain.emissions, chain.transitions, np.ones(7)), tags)
