"""What is true of every chain, whatever its scores and lengths."""

import dataclasses

import hypothesis.extra.numpy as hnp
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_jax import crf
from tests.crf.chains import KINDS, random_chain, transitions_shape
from tests.crf.enumerate import enumerate_all, sequences
from tests.crf.everything import (
    assert_all_close,
    assert_finite,
    assert_paths_right,
    enumerated_values,
    gradients,
    scores_of,
    values,
    with_scores,
)

B, T, N = 6, 5, 3
SCORES = st.floats(-30, 30, width=32, allow_subnormal=False)
LAW = settings(derandomize=True, max_examples=25)


def scores(*shape, elements=None):
    # The fill of an array repeats one value: hypothesis makes ties of it.
    return hnp.arrays(np.float32, shape, elements=SCORES if elements is None else elements)


@st.composite
def chains(draw, kind="shared", elements=None):
    return crf.LinearChain(
        draw(scores(B, T, N, elements=elements)),
        draw(scores(*transitions_shape(kind, (B,), T, N), elements=elements)),
        draw(scores(N, elements=elements)),
        draw(scores(N, elements=elements)),
        draw(hnp.arrays(np.int32, B, elements=st.integers(0, T))),
    )


TIES = st.integers(-1, 1).map(float)
TAGS = hnp.arrays(np.int32, (B, T), elements=st.integers(0, N - 1))


def found(p, q=None, tags=None):
    tags = np.zeros((B, T), np.int32) if tags is None else tags
    return jax.tree.map(np.asarray, values(p, p if q is None else q, tags))


@LAW
@given(chains(), chains(), TAGS)
def test_all_functions_are_what_enumeration_says(p, q, tags):
    actual = found(p, q, tags)
    # Scores of 30 over 5 steps: float32 has 1.5e-5 between neighbours there.
    assert_all_close(actual, enumerated_values(p, q, tags), atol=2e-4, rtol=1e-5)
    assert_paths_right(actual, p)


@LAW
@given(chains("one a step"))
def test_marginals_sum_to_one_and_pairs_sum_to_marginals(p):
    actual = found(p)
    marginals, pairs = actual["marginals"], actual["pair_marginals"]
    inside = np.arange(T) < p.lengths[:, None]
    np.testing.assert_allclose(marginals.sum(-1), inside, atol=2e-6)
    assert (marginals >= 0).all() and (marginals <= 1 + 1e-6).all()
    np.testing.assert_allclose(
        pairs.sum(-1), np.where(inside[:, 1:, None], marginals[:, :-1], 0), atol=2e-6
    )
    np.testing.assert_allclose(
        pairs.sum(-2), np.where(inside[:, 1:, None], marginals[:, 1:], 0), atol=2e-6
    )


@LAW
@given(chains(elements=TIES))
def test_at_ties_the_best_of_k_is_viterbi_and_the_lowest_tags_win(p):
    actual = found(p)
    np.testing.assert_array_equal(actual["k_best_tags"][:, 0], actual["viterbi_tags"])
    np.testing.assert_array_equal(actual["k_best_scores"][:, 0], actual["viterbi_score"])
    np.testing.assert_array_equal(
        actual["viterbi_tags"], [one.viterbi[0] for one in enumerate_all(p)]
    )
    assert_paths_right(actual, p, atol=0)


@LAW
@given(chains())
def test_the_best_of_k_is_viterbi(p):
    actual = found(p)
    np.testing.assert_array_equal(actual["k_best_tags"][:, 0], actual["viterbi_tags"])
    np.testing.assert_array_equal(actual["k_best_scores"][:, 0], actual["viterbi_score"])


def test_all_ties():
    zeros = crf.LinearChain(np.zeros((B, T, N), np.float32), np.zeros((N, N), np.float32))
    tags, scores = crf.k_best(zeros, N**T + 3)
    assert {tuple(path) for path in tags[0, : N**T].tolist()} == set(np.ndindex(*(N,) * T))
    assert (scores[:, : N**T] == 0).all() and (scores[:, N**T :] == -jnp.inf).all()
    assert (tags[:, N**T :] == -1).all()
    np.testing.assert_allclose(crf.entropy(zeros), np.full(B, T * np.log(N)), rtol=1e-6)


@LAW
@given(chains())
def test_divergence_from_itself_is_zero_and_so_is_its_gradient(p):
    assert (found(p)["kl_divergence"] == 0).all()
    by = gradients(p, p, np.zeros((B, T), np.int32))
    for name in ("kl_divergence by p", "kl_divergence by q"):
        for field, value in by[name].items():
            np.testing.assert_allclose(value, np.zeros_like(value), atol=2e-6, err_msg=field)


@LAW
@given(chains(), chains())
def test_entropies_and_divergences(p, q):
    mixed, alone = found(p, q), found(p)
    entropy = mixed["entropy"]
    close = {"rtol": 1e-5, "atol": 2e-4}
    np.testing.assert_allclose(alone["cross_entropy"], entropy, **close)
    np.testing.assert_allclose(mixed["cross_entropy"] - entropy, mixed["kl_divergence"], **close)
    assert (mixed["kl_divergence"] >= -2e-4).all()
    assert (entropy >= -2e-4).all()
    assert (entropy <= p.lengths * np.log(N) + 2e-4).all()


@LAW
@given(chains(), st.floats(-1, 1, width=32))
def test_divergence_of_near_distributions_keeps_its_digits(p, change):
    """KL of a small change is half its variance: a difference of log Z's would lose it."""
    epsilon = np.float32(1e-3 * change)
    moved = p.emissions.copy()
    moved[:, 0, 0] += epsilon
    # What float32 made of it, exactly.
    epsilon = np.float64(moved[:, 0, 0]) - np.float64(p.emissions[:, 0, 0])
    share = np.array([one.marginals[0, 0] for one in enumerate_all(p)])
    right = np.log1p(share * np.expm1(epsilon)) - share * epsilon
    actual = found(p, dataclasses.replace(p, emissions=moved))["kl_divergence"]
    # A rounding at each step, of scores as large as these.
    fields = (np.asarray(field) for field in scores_of(p).values() if field is not None)
    largest = max(np.abs(field[np.isfinite(field)]).max(initial=1.0) for field in fields)
    atol = 4 * T * np.finfo(np.float32).eps * (1 + largest)
    np.testing.assert_allclose(actual, np.where(p.lengths > 0, right, 0), atol=atol)


@pytest.mark.parametrize("kind,ends", [(KINDS[0], "shared"), (KINDS[2], "one a sequence")])
def test_expected_counts_are_the_gradient(kind, ends):
    chain = random_chain(20, kind=kind, ends=ends)
    counts = crf.expected_counts(chain)
    gradient = jax.grad(lambda chain: crf.log_partition(chain).sum(), allow_int=True)(chain)
    assert_all_close(scores_of(counts), scores_of(gradient), atol=1e-6)
    np.testing.assert_array_equal(counts.lengths, chain.lengths)
    assert jax.tree.structure(counts) == jax.tree.structure(chain)
    assert crf.expected_counts(random_chain(20, ends=None)).start is None


@LAW
@given(chains(), hnp.arrays(np.float32, (B, T), elements=st.integers(-1000, 1000).map(float)))
def test_shifting_the_emissions_of_a_step_changes_only_the_scores(p, shift):
    # Powers of two apart, so that the shifted scores are the same floats.
    p = dataclasses.replace(p, emissions=np.round(p.emissions * 64) / 64)
    shifted = dataclasses.replace(p, emissions=p.emissions + shift[..., None])
    before, after = found(p), found(shifted)
    by = np.where(np.arange(T) < p.lengths[:, None], shift, 0).sum(-1)
    for name in ("log_partition", "viterbi_score", "score"):
        np.testing.assert_allclose(after[name], before[name] + by, rtol=1e-6, atol=1e-3)
    same = ("marginals", "pair_marginals", "entropy", "log_prob", "viterbi_tags")
    assert_all_close({name: after[name] for name in same}, before, atol=5e-5)
    divergence = found(shifted, p)["kl_divergence"]
    np.testing.assert_allclose(divergence, np.zeros(B), atol=5e-5)


def reversed_in_time(chain):
    flipped = []
    for one in sequences(chain):
        emissions, transitions = one.emissions.copy(), one.transitions.copy()
        n = int(one.lengths)
        emissions[:n] = emissions[:n][::-1]
        transitions = np.swapaxes(transitions, -1, -2).copy()
        if transitions.ndim == 3 and n:
            transitions[: n - 1] = transitions[: n - 1][::-1]
        flipped.append((emissions, transitions))
    emissions, transitions = map(np.stack, zip(*flipped, strict=True))
    if np.ndim(chain.transitions) == 2:
        transitions = transitions[0]
    return crf.LinearChain(emissions, transitions, chain.end, chain.start, chain.lengths)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
@LAW
@given(st.data())
def test_reversal(kind, data):
    p, q = data.draw(chains(kind)), data.draw(chains(kind))
    q = dataclasses.replace(q, lengths=p.lengths)
    there, back = found(p, q), found(reversed_in_time(p), reversed_in_time(q))
    same = ("log_partition", "entropy", "cross_entropy", "kl_divergence", "k_best_scores")
    assert_all_close({name: there[name] for name in same}, back, atol=2e-4, rtol=1e-5)
    for b, n in enumerate(p.lengths):
        marginals = back["marginals"][b, :n][::-1]
        np.testing.assert_allclose(there["marginals"][b, :n], marginals, atol=2e-5)
        pairs = np.swapaxes(back["pair_marginals"][b, : max(n - 1, 0)][::-1], -1, -2)
        np.testing.assert_allclose(there["pair_marginals"][b, : max(n - 1, 0)], pairs, atol=2e-5)


@LAW
@given(chains(), st.floats(0.25, 8, width=32))
def test_temper_is_the_power_of_the_distribution(p, temperature):
    actual = found(crf.temper(p, temperature))
    for b, one in enumerate(enumerate_all(p)):
        powers = np.exp(one.log_probs / temperature)
        one.probs = powers / powers.sum()
        np.testing.assert_allclose(actual["marginals"][b], one.marginals, atol=5e-5)
        np.testing.assert_allclose(actual["pair_marginals"][b], one.pair_marginals, atol=5e-5)
    assert_all_close(actual, found(crf.temper(p, np.float32(temperature))), atol=0, rtol=0)


def test_temper_keeps_what_it_is_not_to_change():
    p = random_chain(21, kind=KINDS[2])
    tempered = jax.jit(crf.temper)(p, 2.0)
    for name, value in scores_of(p).items():
        np.testing.assert_allclose(getattr(tempered, name), value / 2, rtol=1e-6)
    np.testing.assert_array_equal(tempered.lengths, p.lengths)
    assert crf.temper(random_chain(21, ends=None, lengths=None), 2.0).start is None
    half = crf.temper(random_chain(21, dtype=jnp.bfloat16), 2.0)
    assert half.emissions.dtype == jnp.bfloat16


def test_temperature_may_be_traced_and_has_a_finite_gradient():
    p = random_chain(22)
    emissions = p.emissions.copy()
    emissions[:, :, 1] = -np.inf
    p = dataclasses.replace(p, emissions=emissions)

    @jax.jit
    @jax.value_and_grad
    def total(temperature):
        return crf.log_partition(crf.temper(p, temperature)).sum()

    value, slope = total(1.5)
    step = 1e-2
    difference = (total(1.5 + step)[0] - total(1.5 - step)[0]) / (2 * step)
    np.testing.assert_allclose(slope, difference, rtol=1e-2)
    assert np.isfinite(value)


def longer(chain, steps, fill):
    """More padding, filled with something."""
    more = steps - T
    emissions = np.pad(chain.emissions, [(0, 0), (0, more), (0, 0)], constant_values=fill)
    transitions = chain.transitions
    if transitions.ndim == 4:
        widths = [(0, 0), (0, more), (0, 0), (0, 0)]
        transitions = np.pad(transitions, widths, constant_values=fill)
    return dataclasses.replace(chain, emissions=emissions, transitions=transitions)


@pytest.mark.parametrize("fill", [0.0, 50.0, np.nan])
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_more_padding_changes_nothing(kind, fill):
    p, q = (random_chain(seed, kind=kind) for seed in (23, 24))
    tags = np.random.default_rng(25).integers(0, N, (B, T)).astype(np.int32)
    more_tags = np.pad(tags, [(0, 0), (0, 17)], constant_values=-9)
    before = found(p, q, tags)
    after = jax.tree.map(
        np.asarray, values(longer(p, T + 17, fill), longer(q, T + 17, fill), more_tags)
    )
    time_axis = {"marginals": 1, "pair_marginals": 1, "viterbi_tags": 1, "k_best_tags": 2}
    time_axis |= {"counts_emissions": 1} | ({"counts_transitions": 1} if kind == KINDS[2] else {})
    for name, axis in time_axis.items():
        size = before[name].shape[axis]
        padding = np.take(after[name], range(size, size + 17), axis)
        assert (padding == (-1 if "tags" in name else 0)).all(), name
        after[name] = np.take(after[name], range(size), axis)
    assert_all_close(after, before, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_the_padding_is_never_read(kind, garbage):
    """Neither a value nor a gradient changes, whatever stands behind the lengths."""
    p, q = (random_chain(seed, kind=kind) for seed in (26, 27))
    tags = np.random.default_rng(28).integers(0, N, (B, T)).astype(np.int32)

    def spoiled(chain):
        outside = np.arange(T) >= chain.lengths[:, None]
        emissions = np.where(outside[..., None], garbage, chain.emissions).astype(np.float32)
        fields = {"emissions": emissions}
        if kind == KINDS[2]:
            fields["transitions"] = np.where(
                outside[:, 1:, None, None], garbage, chain.transitions
            ).astype(np.float32)
        return with_scores(chain, fields)

    assert_all_close(found(spoiled(p), spoiled(q), tags), found(p, q, tags), atol=0, rtol=0)
    actual = gradients(spoiled(p), spoiled(q), tags)
    assert_finite(actual)
    assert_all_close(actual, gradients(p, q, tags), atol=0, rtol=0)
    key = jax.random.key(0)
    np.testing.assert_array_equal(crf.sample(key, spoiled(p), 4), crf.sample(key, p, 4))


def test_the_lengths_of_p_rule_both():
    p, q = random_chain(29), random_chain(30)
    others = dataclasses.replace(q, lengths=np.zeros(B, np.int32))
    actual, desired = found(p, others), found(p, q)
    assert_all_close(actual, desired, atol=0, rtol=0)


def test_mask_to_lengths():
    mask = np.array([[1, 1, 0], [0, 0, 0], [1, 1, 1]])
    for right in (mask, mask.astype(bool), mask.astype(np.float32), jnp.asarray(mask)):
        lengths = crf.mask_to_lengths(right)
        assert lengths.dtype == jnp.int32 and lengths.tolist() == [2, 0, 3]
    assert crf.mask_to_lengths(mask[:, None]).shape == (3, 1)
    assert crf.mask_to_lengths(mask[0]).tolist() == 2
    assert jax.jit(crf.mask_to_lengths)(mask).tolist() == [2, 0, 3]


@pytest.mark.parametrize("holes", [[[0, 1, 1]], [[1, 1, 1], [1, 0, 1]], [[False, True, False]]])
def test_a_mask_with_holes_has_no_lengths(holes):
    with pytest.raises(ValueError, match="mask must be right-padded"):
        crf.mask_to_lengths(np.array(holes))


def test_a_mask_of_other_numbers_is_an_error():
    with pytest.raises(ValueError, match="mask must be boolean or 0/1"):
        crf.mask_to_lengths(np.array([[2, 1, 0]]))
