"""Log marginals on both of their ways, and the certificate that chooses between them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mmkd_jax import crf
from mmkd_jax.crf import _chain, _log_marginals, _log_scaled, _scaled
from mmkd_jax.tags import TagSet
from tests.crf.chains import KINDS, forbid, random_chain
from tests.crf.everything import assert_finite, scores_of, with_scores
from tests.crf.test_transforms import cases

BIO = TagSet.of_types(["A", "B", "C"])
LENGTHS = np.array([30, 17, 1, 0], np.int32)


def long_chain(seed, sharpness=1.0):
    chain = random_chain(seed, (4,), 30, len(BIO), lengths=LENGTHS)
    return dataclasses.replace(chain, emissions=chain.emissions * np.float32(sharpness))


def constrained(chain, low=-np.inf):
    """What BIO forbids scores ``low``."""
    allowed = {
        "transitions": BIO.allowed_transitions(),
        "start": BIO.allowed_starts(),
        "end": BIO.allowed_ends(),
    }
    scores = {k: np.where(a, getattr(chain, k), low) for k, a in allowed.items()}
    return with_scores(chain, {k: v.astype(chain.emissions.dtype) for k, v in scores.items()})


def into_one_tag(chain, low):
    """No other tag leads to tag 2, which nothing but the start does."""
    transitions = chain.transitions.copy()
    transitions[..., :, 2] = low
    return with_scores(chain, {"transitions": transitions})


def blocked(chain):
    emissions = chain.emissions.copy()
    emissions[1, 3] = -np.inf
    emissions[0, 5, :4] = -np.inf
    return with_scores(chain, {"emissions": emissions})


# What it does to a chain, and whether the fast way must be certain (None: either will do).
CHAINS = {
    "ordinary": (lambda c: c, True),
    "constrained": (constrained, True),
    "constrained by -1e4": (lambda c: constrained(c, -1e4), True),
    "a tag out of reach": (lambda c: into_one_tag(c, -np.inf), True),
    "a tag all but out of reach": (lambda c: into_one_tag(c, -1e4), False),
    "a tag hardly in reach": (lambda c: into_one_tag(c, -60.0), None),
    "steps of few tags and of none": (blocked, True),
    "half of all forbidden": (lambda c: forbid(c, 0, 0.5), None),
    "some of all forbidden": (lambda c: forbid(c, 0, 0.1), None),
}


@jax.jit
def certain(chain):
    batch = _chain.as_batch(chain)
    kernel, _ = _scaled.exp_transitions(batch.transitions)
    messages = _log_scaled.messages(batch.unary, kernel, batch.lengths)
    return _log_scaled.certain(messages, batch.unary, batch.transitions, batch.lengths)


def weighted(function):
    """A scalar of the log marginals, with its gradient by all scores."""

    def total(fields, chain):
        found = function(with_scores(chain, fields))
        weights = jnp.cos(jnp.arange(found.size, dtype=found.dtype)).reshape(found.shape)
        return jnp.where(found > -jnp.inf, found * weights, 0.0).sum()

    return jax.jit(lambda chain: (function(chain), jax.grad(total)(scores_of(chain), chain)))


def sure(chain):
    """Log marginals without the fast way."""
    batch = _chain.as_batch(chain)
    found = _log_marginals._sure_scores(batch.unary, batch.transitions, batch.lengths)
    found = _log_marginals.normalised_rows(found)[0]
    inside = _chain.is_inside(batch.lengths, found.shape[1])
    return jnp.where(inside[..., None], found, -jnp.inf)


found_here, expected_of = weighted(crf.log_marginals), weighted(sure)


@pytest.mark.parametrize("sharpness", [1.0, 20.0, 300.0])
@pytest.mark.parametrize("name", CHAINS)
def test_values_and_gradients_are_those_of_logarithms_in_double_precision(name, sharpness):
    change, must_be = CHAINS[name]
    chain = change(long_chain(0, sharpness))
    found = found_here(chain)
    with jax.enable_x64(True):
        wide = with_scores(chain, {k: np.float64(v) for k, v in scores_of(chain).items()})
        expected = jax.tree.map(np.asarray, expected_of(wide))
    # Scores of hundreds have no more digits.
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=2e-5 * max(1, sharpness / 20))
    assert_finite(found[1])
    for field, gradient in expected[1].items():
        np.testing.assert_allclose(found[1][field], gradient, rtol=1e-4, atol=1e-3, err_msg=field)
    if must_be is not None and sharpness == 1:
        assert certain(chain) == must_be


def test_without_the_certificate_it_would_be_wrong():
    """The test above could not fail if the fast way were right there."""
    chain = into_one_tag(long_chain(0), np.float32(-1e4))
    batch = _chain.as_batch(jax.tree.map(jnp.asarray, chain))
    kernel, _ = _scaled.exp_transitions(batch.transitions)
    messages = _log_scaled.messages(batch.unary, kernel, batch.lengths)
    assert (_log_scaled.log_scores(messages, batch.unary)[0, 5, 2]) == -np.inf
    assert np.isfinite(crf.log_marginals(chain)[0, 5, 2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("forbidding", [False, True])
def test_derivatives_of_the_first_and_second_order(kind, forbidding):
    with jax.enable_x64(True):
        chain = random_chain(1, (3,), 4, 3, kind, lengths=np.array([4, 3, 1]), dtype=np.float64)
        if forbidding:
            transitions = chain.transitions.copy()
            transitions[..., 0, 1] = -np.inf
            chain = with_scores(chain, {"transitions": transitions})
        finite = np.isfinite(chain.transitions)
        assert certain(chain)

        def probabilities(emissions, transitions):
            transitions = jnp.where(finite, transitions, -jnp.inf)
            moved = with_scores(chain, {"emissions": emissions, "transitions": transitions})
            found = crf.log_marginals(moved)
            return jnp.where(found > -jnp.inf, found, 0.0)

        at = jnp.asarray(chain.emissions), jnp.where(finite, chain.transitions, 0.0)
        check_grads(probabilities, at, order=2, modes=["rev"])


def gradient(emissions, transitions, lengths):
    def total(*scores):
        found = crf.log_marginals(crf.LinearChain(*scores, lengths=lengths))
        return jnp.where(found > -jnp.inf, jnp.sin(found), 0.0).sum()

    return jax.grad(total, (0, 1))(emissions, transitions)


@pytest.mark.parametrize("kind,axis", [("shared", None), ("one a sequence", 0)])
@pytest.mark.parametrize("low", [0.0, -1e4])
def test_vmap_is_a_loop_and_keeps_the_branches(kind, axis, low):
    """Also where one of the mapped chains is not certain."""
    chain = random_chain(2, kind=kind)
    transitions = chain.transitions.copy()
    transitions[..., 2] += np.float32(low)
    arguments = chain.emissions, transitions, chain.lengths
    mapped = jax.vmap(gradient, (0, axis, 0))
    found = mapped(*arguments)
    one_by_one = [
        gradient(chain.emissions[b], transitions if axis is None else transitions[b], n)
        for b, n in enumerate(chain.lengths)
    ]
    for part, expected in zip(found, zip(*one_by_one, strict=True), strict=True):
        np.testing.assert_allclose(part, np.stack(expected), atol=1e-5)
    whole = gradient(*arguments)
    np.testing.assert_allclose(found[0], whole[0], atol=1e-5)
    summed = found[1].sum(0) if axis is None else found[1]
    np.testing.assert_allclose(summed, whole[1], atol=1e-5)
    assert cases(mapped, *arguments) == cases(gradient, *arguments) >= 2
