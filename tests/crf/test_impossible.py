"""Scores of -inf: what is impossible is never predicted, and never makes a NaN."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmkd_jax import crf
from tests.crf.chains import KINDS, forbid, random_chain
from tests.crf.everything import (
    assert_all_close,
    assert_finite,
    assert_paths_right,
    enumerated_values,
    gradients,
    values,
    with_scores,
)

B, T, N = 6, 5, 3
TAGS = np.random.default_rng(0).integers(0, N, (B, T)).astype(np.int32)
EACH_FIELD = ("emissions", "transitions", "start", "end")


def check(p, q):
    actual = jax.tree.map(np.asarray, values(p, q, TAGS))
    assert_all_close(actual, enumerated_values(p, q, TAGS))
    assert_paths_right(actual, p)
    assert_finite(gradients(p, q, TAGS))
    return actual


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
@settings(derandomize=True, max_examples=30)
@given(st.integers(0, 999), st.sampled_from([0.1, 0.3, 0.6]), st.sampled_from([0.1, 0.3, 0.6]))
def test_anything_may_be_impossible(kind, seed, p_share, q_share):
    p = forbid(random_chain(seed, kind=kind), seed, p_share)
    check(p, forbid(random_chain(seed + 1, kind=kind), seed + 1, q_share))


@pytest.mark.parametrize("field", EACH_FIELD)
def test_one_field_alone(field):
    chain = random_chain(1)
    keep = [name for name in EACH_FIELD if name != field]
    for seed in range(5):
        check(forbid(chain, seed, 0.4, keep), chain)


@settings(derandomize=True, max_examples=30)
@given(st.integers(0, 999))
def test_divergence_is_finite_where_both_forbid_the_same(seed):
    p = forbid(random_chain(seed), seed, 0.15)
    q = forbid(random_chain(seed + 1), seed, 0.15)  # the same seed: the same places
    actual = check(p, q)
    assert np.isfinite(actual["kl_divergence"]).all()
    assert np.isfinite(actual["cross_entropy"]).all()
    # and where p forbids more than q
    more = forbid(p, seed + 2, 0.15)
    assert np.isfinite(check(more, q)["kl_divergence"]).all()


def test_divergence_is_infinite_where_q_forbids_what_p_allows():
    p, q = random_chain(2), random_chain(3)
    emissions = q.emissions.copy()
    emissions[:, 1, 2] = -np.inf
    actual = check(p, with_scores(q, {"emissions": emissions}))
    assert (
        actual["kl_divergence"] == np.where(p.lengths > 1, np.inf, actual["kl_divergence"])
    ).all()
    assert np.isfinite(actual["kl_divergence"][:2]).all()
    transitions = q.transitions.copy()
    transitions[0, 1] = -np.inf
    actual = check(p, with_scores(q, {"transitions": transitions}))
    assert (np.isposinf(actual["kl_divergence"]) == (p.lengths > 1)).all()


def test_an_impossible_tag_that_p_forbids_elsewhere_does_not_count():
    """q forbids tag 2 in an emission; p forbids it by all transitions into it and at the start."""
    p, q = random_chain(4), random_chain(5)
    transitions, start, emissions = p.transitions.copy(), p.start.copy(), q.emissions.copy()
    transitions[:, 2] = start[2] = emissions[:, :, 2] = -np.inf
    p = with_scores(p, {"transitions": transitions, "start": start})
    q = with_scores(q, {"emissions": emissions})
    assert np.isfinite(check(p, q)["kl_divergence"]).all()
    # the other way round too: q's transitions forbid the same
    assert np.isfinite(check(q, p)["kl_divergence"]).all()


NOWHERE = {
    "a step without tags": ("emissions", np.s_[:, 0], -np.inf),
    "no transition": ("transitions", np.s_[:], -np.inf),
    "no start": ("start", np.s_[:], -np.inf),
    "no end": ("end", np.s_[:], -np.inf),
}


@pytest.mark.parametrize("field,index,value", NOWHERE.values(), ids=NOWHERE)
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_no_path_at_all(kind, field, index, value):
    p, q = random_chain(6, kind=kind), random_chain(7, kind=kind)
    scores = getattr(p, field).copy()
    scores[index] = value
    p = with_scores(p, {field: scores})
    actual = check(p, q)
    none = p.lengths > (1 if field == "transitions" else 0)
    for name in ("log_partition", "viterbi_score", "log_prob"):
        assert (actual[name][none] == -np.inf).all(), name
    assert (actual["k_best_scores"][none] == -np.inf).all()
    for name in ("marginals", "pair_marginals", "entropy", "kl_divergence", "cross_entropy"):
        assert (actual[name][none] == 0).all(), name
    for name in ("viterbi_tags", "k_best_tags"):
        assert (actual[name][none] == -1).all(), name
    assert (crf.sample(jax.random.key(0), p, 3)[:, none] == -1).all()
    for name, by in gradients(p, q, TAGS).items():
        if name != "score by p":
            assert (by["emissions"][none] == 0).all(), name
    # q without a path forbids all that p allows
    assert (check(q, p)["kl_divergence"][none] == np.inf).all()


def test_both_without_a_path():
    p = with_scores(random_chain(8), {"start": np.full(N, -np.inf, np.float32)})
    assert (check(p, p)["kl_divergence"] == 0).all()


def test_divergence_from_itself_is_exactly_zero():
    for seed in range(10):
        p = forbid(random_chain(seed), seed, 0.3)
        assert (values(p, p, TAGS)["kl_divergence"] == 0).all()


def test_a_sequence_without_a_path_does_not_disturb_the_others():
    p, q = random_chain(9), random_chain(10)
    emissions = p.emissions.copy()
    emissions[5, 2] = -np.inf
    blocked = with_scores(p, {"emissions": emissions})
    for function in (values, gradients):
        before, after = function(p, q, TAGS), function(blocked, q, TAGS)
        if function is gradients:  # those of shared fields sum over all sequences
            before = {name: by["emissions"] for name, by in before.items()}
            after = {name: by["emissions"] for name, by in after.items()}
        for name in before:
            if np.shape(before[name])[:1] == (B,):
                np.testing.assert_allclose(
                    after[name][:5], before[name][:5], atol=2e-6, rtol=1e-6, err_msg=name
                )


def test_tags_constrained_by_scores_are_those_decoded():
    """BIO: I may not start, nor follow O. The usual mask is one matrix and one start vector."""
    chain = random_chain(11, scale=5)
    O, B_, I = range(3)
    transitions, start = chain.transitions.copy(), chain.start.copy()
    transitions[O, I] = start[I] = -np.inf
    chain = dataclasses.replace(chain, transitions=transitions, start=start)
    paths = np.concatenate(
        [
            np.reshape(crf.k_best(chain, 8)[0], (-1, T)),
            np.reshape(crf.sample(jax.random.key(0), chain, 200), (-1, T)),
        ]
    )
    assert not ((paths[:, :-1] == O) & (paths[:, 1:] == I)).any()
    assert not (paths[:, 0] == I).any()
    illegal = np.tile(np.array([O, I, I, B_, I], np.int32), (B, 1))
    assert (crf.log_prob(chain, illegal)[2:] == -jnp.inf).all()
