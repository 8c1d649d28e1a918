"""Samples come from the distribution, and from nowhere else."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf
from tests.crf.chains import KINDS, forbid, random_chain
from tests.crf.enumerate import enumerate_all, forward_backward

KEY = jax.random.key(7)


def assert_frequencies(samples, enumeration):
    """A chi-square test: its statistic has mean `freedom` and variance 2 `freedom`."""
    n, length = samples.shape[0], enumeration.length
    assert (samples[:, length:] == -1).all()
    if enumeration.log_z == -np.inf:
        assert (samples == -1).all()
        return
    places = enumeration.tags ** np.arange(length)[::-1]
    counts = np.bincount(samples[:, :length] @ places, minlength=len(enumeration.paths))
    expected = n * enumeration.probs
    assert (counts[enumeration.probs == 0] == 0).all()
    often = expected >= 5
    rest = ~often & (enumeration.probs > 0)
    observed = np.append(counts[often], counts[rest].sum())
    expected = np.append(expected[often], expected[rest].sum() + 1e-9)
    statistic = ((observed - expected) ** 2 / np.maximum(expected, 1)).sum()
    freedom = max(len(expected) - 1, 1)
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("kind", KINDS)
def test_frequencies(kind):
    chain = random_chain(0, kind=kind, scale=0.7)
    samples = np.asarray(crf.sample(KEY, chain, 20000))
    assert samples.shape == (20000, 6, 5) and samples.dtype == np.int32
    for b, enumeration in enumerate(enumerate_all(chain)):
        assert_frequencies(samples[:, b], enumeration)


def test_the_frequency_test_can_fail():
    enumeration = enumerate_all(random_chain(0, scale=0.7))[5]
    other = np.asarray(crf.sample(KEY, random_chain(0, scale=0.8), 20000))
    with pytest.raises(AssertionError):
        assert_frequencies(other[:, 5], enumeration)


def test_only_what_is_possible():
    chain = forbid(random_chain(1), 3, 0.2)
    samples = np.asarray(crf.sample(KEY, chain, 20000))
    for b, enumeration in enumerate(enumerate_all(chain)):
        assert_frequencies(samples[:, b], enumeration)


def test_keys_and_sequences_are_independent():
    chain = jax.tree.map(lambda x: np.zeros_like(x), random_chain(2, leading=(2,), lengths=None))
    first, second = (np.asarray(crf.sample(jax.random.key(s), chain, 3000)) for s in (0, 1))
    np.testing.assert_array_equal(first, crf.sample(jax.random.key(0), chain, 3000))
    for a, b in [
        (first, second),  # keys
        (first[:, 0], first[:, 1]),  # sequences
        (first[..., 1:], first[..., :-1]),  # steps
        (first[1:], first[:-1]),  # draws
    ]:
        # Uniform over 3 tags: two that have nothing to do with each other agree in a third.
        deviation = np.sqrt(2 / 9 / a.size)
        assert abs((a == b).mean() - 1 / 3) < 5 * deviation
    old_style = crf.sample(jax.random.PRNGKey(0), chain, 3000)
    np.testing.assert_array_equal(old_style, first)


@pytest.mark.parametrize("leading", [(), (2, 3)])
def test_shape(leading):
    chain = random_chain(3, leading=leading, lengths=np.full(leading, 3, np.int32))
    samples = crf.sample(KEY, chain, 4)
    assert samples.shape == (4, *leading, 5)
    assert (samples[..., 3:] == -1).all() and (samples[..., :3] >= 0).all()
    assert crf.sample(KEY, chain, 0).shape == (0, *leading, 5)


def test_hard_constraints_and_sharp_emissions():
    """Where scaled probabilities fail and the certificate fires."""
    random = np.random.default_rng(0)
    emissions = random.normal(scale=30, size=(2, 512, 9)).astype(np.float32)
    half = random.random((9, 9)) < 0.5
    transitions = np.where(half, -1e4, random.normal(size=(9, 9))).astype(np.float32)
    chain = crf.LinearChain(emissions, transitions)
    samples = np.asarray(crf.sample(KEY, chain, 500))
    right = forward_backward(emissions, transitions).marginals.clip(0, 1)
    frequencies = jax.nn.one_hot(samples, 9).mean(0)
    deviation = np.sqrt(right * (1 - right) / 500)
    assert (np.abs(frequencies - right) < 5.5 * deviation + 0.01).all()
    assert not half[samples[..., :-1], samples[..., 1:]].any()


def test_nothing_flows_back_through_samples():
    chain = random_chain(4)

    def total(emissions):
        moved = crf.LinearChain(emissions, chain.transitions, lengths=chain.lengths)
        samples = crf.sample(KEY, moved, 2)
        return jax.vmap(lambda tags: crf.score(moved, tags))(samples).sum()

    gradient = jax.grad(total)(chain.emissions)
    samples = crf.sample(
        KEY, crf.LinearChain(chain.emissions, chain.transitions, None, None, chain.lengths), 2
    )
    np.testing.assert_array_equal(gradient, jax.nn.one_hot(samples, 3).sum(0))
    assert jnp.isfinite(gradient).all()
