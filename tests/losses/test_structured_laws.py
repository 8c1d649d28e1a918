"""What holds of the structured losses whatever the scores and the lengths are."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmkd_jax import crf, losses

B, T, N, K = 2, 4, 3, 5
SCORES = hnp.arrays(np.float32, (B, T, N), elements=st.floats(-8, 8, width=16))
TRANSITIONS = hnp.arrays(np.float32, (N, N), elements=st.floats(-8, 8, width=16))
LENGTHS = hnp.arrays(np.int32, (B,), elements=st.integers(0, T))


@jax.jit
def all_losses(student, teacher, lengths):
    student, teacher = (crf.LinearChain(*scores, lengths=lengths) for scores in (student, teacher))
    paths, scores = crf.k_best(teacher, K)
    best = jnp.where(scores > -jnp.inf, scores, -1e9)
    inside = jnp.arange(T)[None] < lengths[:, None]
    return {
        "nll": losses.crf_nll(student, crf.viterbi(student)[0]),
        "kl": losses.crf_kl(student, teacher, 2.0),
        "top_k": losses.crf_top_k(student, paths),
        "top_wk": losses.crf_top_k(student, paths, jax.nn.softmax(best)),
        "posterior": losses.crf_posterior(student, teacher, 2.0),
        "emission": losses.emission_kl(student.emissions, teacher.emissions, inside, 2.0),
        "cross_entropy": losses.crf_cross_entropy(student, crf.moments(teacher)),
        "exact": crf.cross_entropy(teacher, student),
    }


@given(SCORES, TRANSITIONS, SCORES, TRANSITIONS, LENGTHS)
def test_never_below_0_and_0_for_no_tokens(ours, moves, theirs, their_moves, lengths):
    found = all_losses((ours, moves), (theirs, their_moves), lengths)
    for name, values in found.items():
        assert np.isfinite(values).all(), name
        assert (np.asarray(values) > -1e-4).all(), name
        assert (np.asarray(values)[lengths == 0] == 0).all(), name
    np.testing.assert_allclose(found["cross_entropy"], found["exact"], rtol=1e-4, atol=1e-4)


@given(SCORES, TRANSITIONS, LENGTHS)
def test_teaching_oneself_leaves_nothing_to_learn(scores, moves, lengths):
    found = all_losses((scores, moves), (scores, moves), lengths)
    for name in ("kl", "posterior", "emission"):
        np.testing.assert_allclose(found[name], 0.0, atol=1e-4)
