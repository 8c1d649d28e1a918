"""Digits: long chains, large scores, hard constraints, half precision and double precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf
from mmkd_jax.crf import _chain, _scaled
from tests.crf.chains import random_chain
from tests.crf.enumerate import forward_backward
from tests.crf.everything import (
    along,
    assert_all_close,
    differentiate,
    enumerated_values,
    gradients,
    random_direction,
    scores_of,
    values,
    weights,
)


@jax.jit
def posterior(chain):
    """Log Z, its gradient by the transitions, and the marginals: the gradient by emissions."""

    def total(emissions, transitions):
        log_z = crf.log_partition(crf.LinearChain(emissions, transitions, lengths=chain.lengths))
        return log_z.sum(), log_z

    by, log_z = jax.grad(total, (0, 1), has_aux=True)(chain.emissions, chain.transitions)
    return log_z, *by, crf.marginals(chain)


@jax.jit
def certain(chain):
    """Whether the fast path proves its own result."""
    batch = _chain.as_batch(chain)
    kernel, _ = _scaled.exp_transitions(batch.transitions)
    return _scaled.messages(batch.unary, kernel, batch.lengths).certain


def check(chain, atol=5e-6):
    right = forward_backward(chain.emissions, chain.transitions)
    log_z, emissions, transitions, marginals = posterior(chain)
    np.testing.assert_allclose(log_z, right.log_z, rtol=3e-6)
    np.testing.assert_allclose(marginals, right.marginals, atol=atol)
    np.testing.assert_allclose(emissions, right.marginals, atol=atol)
    # Counts are sums over all steps.
    np.testing.assert_allclose(transitions, right.counts, atol=2 * atol, rtol=5e-6)


def long_chain(seed=0):
    return random_chain(seed, leading=(2,), steps=2048, tags=17, ends=None, lengths=None, scale=1)


def constrained_chain(sharpness, seed=0):
    """Half of the transitions all but forbidden, at random."""
    chain = random_chain(seed, leading=(2,), steps=512, tags=9, ends=None, lengths=None, scale=1)
    half = np.random.default_rng(seed).random((9, 9)) < 0.5
    transitions = np.where(half, np.float32(-1e4), chain.transitions)
    return crf.LinearChain(chain.emissions * np.float32(sharpness), transitions)


@pytest.mark.parametrize("scale,shift", [(1, 0), (100, 0), (1, 1000), (1, -1000)])
def test_long_chain(scale, shift):
    chain = long_chain()
    emissions = chain.emissions * np.float32(scale) + np.float32(shift)
    chain = crf.LinearChain(emissions, chain.transitions)
    check(chain)
    assert certain(chain)


def test_large_transitions():
    chain = long_chain()
    check(crf.LinearChain(chain.emissions, chain.transitions + np.float32(1000)))
    # What is left of a score after a difference of hundreds is as exact as these are.
    check(crf.LinearChain(chain.emissions, chain.transitions * np.float32(100)), atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("sharpness", [1, 5, 10, 15, 20, 30])
def test_hard_constraints_and_sharp_emissions(sharpness, seed):
    check(constrained_chain(sharpness, seed))


def test_certificate_fires_where_it_must_and_not_on_ordinary_chains():
    assert not certain(constrained_chain(30))
    assert certain(constrained_chain(1))
    assert certain(constrained_chain(3))
    for scale in (0.0, 1.0, 3.0, 10.0):
        assert certain(random_chain(0, scale=scale))
    transitions = np.zeros((3, 3), np.float32)
    transitions[0, 2] = -np.inf
    chain = random_chain(1)
    assert certain(crf.LinearChain(chain.emissions, transitions, lengths=chain.lengths))


def test_without_the_certificate_hard_constraints_would_be_wrong():
    """The test above could not fail if the fast path were right there."""
    batch = _chain.as_batch(jax.tree.map(jnp.asarray, constrained_chain(30)))
    kernel, largest = _scaled.exp_transitions(batch.transitions)
    messages = _scaled.messages(batch.unary, kernel, batch.lengths)
    marginals = _scaled.posterior(messages, kernel, largest, batch.lengths)[1]
    right = forward_backward(*scores_of(constrained_chain(30)).values()).marginals
    assert not np.allclose(marginals, right, atol=0.1)


@pytest.mark.parametrize("cost", [50, 80, 90, 100, 150, 190])
def test_a_detour_that_both_messages_lose(cost):
    """A state that costs 100 to enter and to leave, but is worth 1 a step, for 400 steps.

    Its way in is lost forwards and its way out backwards; where they meet, neither message has
    a trace of it. Its share is everything.
    """
    emissions = np.tile(np.float32([0, 1]), (2, 400, 1))
    emissions[:, 0, 1] = emissions[:, -1, 1] = -np.inf  # begins and ends outside
    transitions = -np.float32(cost) * (1 - np.eye(2, dtype=np.float32))
    check(crf.LinearChain(emissions, transitions))


@pytest.mark.parametrize("scale", [1, 10, 100, 1000])
def test_viterbi_of_a_long_chain_is_the_best_in_double_precision(scale):
    chain = long_chain(1)
    emissions = np.float64(chain.emissions * np.float32(scale))
    best = emissions[:, 0]
    for t in range(1, 2048):
        reached = (best[:, :, None] + np.float64(chain.transitions)[None]).max(axis=1)
        best = reached + emissions[:, t]
    chain = crf.LinearChain(np.float32(emissions), chain.transitions)
    tags, score = crf.viterbi(chain)
    np.testing.assert_allclose(score, best.max(-1), rtol=1e-6)
    np.testing.assert_allclose(exact_score(chain, np.asarray(tags)), best.max(-1), rtol=1e-7)
    np.testing.assert_allclose(crf.score(chain, tags), score, rtol=2e-6)


def exact_score(chain, tags):
    emissions, transitions = np.float64(chain.emissions), np.float64(chain.transitions)
    total = np.take_along_axis(emissions, tags[..., None], axis=-1).sum((1, 2))
    return total + transitions[tags[:, :-1], tags[:, 1:]].sum(-1)


def test_divergence_of_long_chains_that_are_all_but_equal():
    """Log Z is 9000 here, where float32 has 1e-3 between neighbours; the divergence is 1e-3."""
    p = long_chain(2)
    change = np.random.default_rng(3).normal(scale=1e-3, size=p.emissions.shape)
    q = crf.LinearChain((p.emissions + change).astype(np.float32), p.transitions)
    p_right, q_right = (forward_backward(c.emissions, c.transitions) for c in (p, q))
    apart = np.float64(p.emissions) - np.float64(q.emissions)
    right = q_right.log_z - p_right.log_z + (p_right.marginals * apart).sum((1, 2))
    assert (right > 5e-4).all()
    np.testing.assert_allclose(crf.kl_divergence(p, q), right, atol=3e-5)
    assert (crf.kl_divergence(p, p) == 0).all()


@jax.jit
@jax.grad
def gradient_of_weighted_posterior(fields):
    chain = crf.LinearChain(**fields)
    marginals, counts = crf.marginals(chain), crf.expected_counts(chain).transitions
    weighted = marginals * weights(marginals.shape)
    return weighted.sum() + (counts * weights(counts.shape)).sum()


def weighted_posterior(chain):
    right = forward_backward(chain.emissions, chain.transitions)
    marginals = (right.marginals * weights(right.marginals.shape)).sum()
    return marginals + (right.counts * weights(right.counts.shape)).sum()


@pytest.mark.parametrize("sharpness", [1, 10, 20, 30])
def test_second_derivatives_on_both_paths(sharpness):
    chain = constrained_chain(sharpness)
    actual = gradient_of_weighted_posterior(scores_of(chain))
    direction = random_direction(chain, 4)
    right = differentiate(weighted_posterior, chain, direction)
    np.testing.assert_allclose(along(actual, direction), right, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_halves_are_computed_in_single_precision(dtype):
    """The same as raising them first: nothing inside is rounded to a half."""
    p, q = random_chain(2, dtype=dtype), random_chain(3, dtype=dtype)
    tags = np.zeros((6, 5), np.int32)
    actual = values(p, q, tags)
    raised = [jax.tree.map(lambda x: x.astype(np.float32), scores_of(c)) for c in (p, q)]
    desired = values(*(crf.LinearChain(**r, lengths=p.lengths) for r in raised), tags)
    for name, value in actual.items():
        if name.startswith("counts"):  # gradients have the type of what they belong to
            assert value.dtype == dtype, name
            np.testing.assert_array_equal(value, desired[name].astype(dtype), err_msg=name)
        else:
            assert value.dtype in (jnp.float32, jnp.int32), name
            np.testing.assert_allclose(value, desired[name], rtol=1e-6, atol=1e-6, err_msg=name)
    mixed = crf.LinearChain(p.emissions, np.asarray(raised[0]["transitions"]), lengths=p.lengths)
    assert crf.log_partition(mixed).dtype == jnp.float32
    assert crf.log_partition(random_chain(0, dtype=dtype, ends=None)).dtype == jnp.float32


def test_doubles_stay():
    with jax.enable_x64(True):
        p, q = random_chain(4, dtype=np.float64), random_chain(5, dtype=np.float64)
        tags = np.zeros((6, 5), np.int32)
        actual = jax.tree.map(np.asarray, values(p, q, tags))
        assert_all_close(actual, enumerated_values(p, q, tags), atol=1e-12, rtol=1e-12)
        for name, value in actual.items():
            assert value.dtype in (np.float64, np.int32), name
        for name, by in gradients(p, q, tags).items():
            assert all(leaf.dtype == np.float64 for leaf in by.values()), name
        single = values(random_chain(4), random_chain(5), tags)
        for name, value in single.items():
            assert value.dtype in (np.float32, np.int32), name
        assert crf.temper(random_chain(4), 2.0).emissions.dtype == np.float32
        assert (crf.sample(jax.random.key(0), p, 2) < 3).all()
