"""All functions against the enumeration of all paths, on every kind of chain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf
from tests.crf.chains import KINDS, RAGGED, random_chain
from tests.crf.enumerate import Enumeration, enumerate_all
from tests.crf.everything import assert_all_close, assert_paths_right, enumerated_values, values


def random_tags(leading, seed=3, steps=5, tags=3):
    return np.random.default_rng(seed).integers(0, tags, (*leading, steps)).astype(np.int32)


def check(p, q):
    tags = random_tags(np.shape(p.emissions)[:-2])
    actual = jax.tree.map(np.asarray, values(p, q, tags))
    desired = enumerated_values(p, q, tags)
    assert set(desired) == set(actual) - {"viterbi_tags", "k_best_tags"}
    for name, value in desired.items():
        assert actual[name].shape == value.shape, name
    assert_all_close(actual, desired)
    assert_paths_right(actual, p)


@pytest.mark.parametrize(
    "kind,ends",
    [
        ("shared", None),
        ("shared", "shared"),
        ("one a sequence", "shared"),
        ("one a sequence", "one a sequence"),
        ("one a step", None),
        ("one a step", "one a sequence"),
    ],
)
def test_ragged_batch(kind, ends):
    check(random_chain(0, kind=kind, ends=ends), random_chain(1, kind=kind, ends=ends))


@pytest.mark.parametrize("p_kind,q_kind", [(KINDS[0], KINDS[2]), (KINDS[2], KINDS[1])])
def test_p_and_q_of_different_kinds(p_kind, q_kind):
    check(random_chain(2, kind=p_kind, ends=None), random_chain(3, kind=q_kind))


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_no_leading_axis(kind):
    chains = (random_chain(s, leading=(), kind=kind, lengths=np.int32(4)) for s in (4, 5))
    check(*chains)


def test_no_lengths_are_full_lengths():
    chain = random_chain(6, leading=(2,), lengths=None)
    full = crf.LinearChain(*(chain.emissions, chain.transitions, chain.start, chain.end, [5, 5]))
    right = [one.log_z for one in enumerate_all(full)]
    np.testing.assert_allclose(crf.log_partition(chain), right, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 1, 3, 3), (1, 1, 3, 3), (1, 3, 4, 3, 3)])
def test_two_leading_axes_and_transitions_shared_along_some(shape):
    lengths = RAGGED.reshape(2, 3)
    p, q = (random_chain(s, leading=(2, 3), ends="one a sequence", lengths=lengths) for s in (7, 8))
    transitions = np.random.default_rng(9).normal(size=shape).astype(np.float32)
    start = p.start[:1]  # [1, 3, N]
    end = p.end[:, :1]
    p = crf.LinearChain(p.emissions, transitions, start, end, lengths)
    check(p, q)


def test_lengths_are_clipped():
    chain = random_chain(10, lengths=np.array([-3, 9, 5, 0, 6, -1], np.int32))
    clipped = random_chain(10, lengths=np.array([0, 5, 5, 0, 5, 0], np.int32))
    tags = random_tags((6,))
    for name, value in values(chain, chain, tags).items():
        np.testing.assert_array_equal(value, values(clipped, clipped, tags)[name], err_msg=name)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16])
def test_lengths_and_tags_of_narrow_integers(dtype):
    chain = random_chain(11, leading=(2,), steps=300, lengths=np.array([100, 3], dtype))
    wide = random_chain(11, leading=(2,), steps=300, lengths=np.array([100, 3], np.int32))
    np.testing.assert_array_equal(crf.log_partition(chain), crf.log_partition(wide))
    tags = random_tags((2,), steps=300)
    np.testing.assert_array_equal(crf.score(chain, tags.astype(dtype)), crf.score(wide, tags))


@pytest.mark.parametrize(
    "leading,steps,tags,kind",
    [((1,), 1, 3, KINDS[0]), ((1,), 1, 3, KINDS[2]), ((), 1, 1, KINDS[0]), ((2,), 4, 1, KINDS[2])],
)
def test_one_step_one_tag_one_sequence(leading, steps, tags, kind):
    shape = {"leading": leading, "steps": steps, "tags": tags, "kind": kind, "lengths": None}
    p, q = random_chain(12, **shape), random_chain(13, **shape)
    path = random_tags(leading, steps=steps, tags=tags)
    actual = jax.tree.map(np.asarray, values(p, q, path))
    assert_all_close(actual, enumerated_values(p, q, path))
    assert_paths_right(actual, p)
    assert crf.sample(jax.random.key(0), p, 2).shape == (2, *leading, steps)


def test_empty_batch():
    chain = crf.LinearChain(np.zeros((0, 5, 3), np.float32), np.zeros((3, 3), np.float32))
    found = values(chain, chain, random_tags((0,)))
    assert found["log_partition"].shape == found["kl_divergence"].shape == (0,)
    assert found["marginals"].shape == (0, 5, 3) and found["viterbi_tags"].shape == (0, 5)
    assert found["k_best_tags"].shape == (0, 8, 5)
    assert (found["counts_transitions"] == 0).all()
    assert crf.sample(jax.random.key(0), chain, 2).shape == (2, 0, 5)


def test_length_zero():
    chain = random_chain(14, lengths=np.zeros(6, np.int32))
    found = values(chain, random_chain(15), random_tags((6,)))
    zero = ("score", "log_partition", "log_prob", "entropy", "cross_entropy", "kl_divergence")
    for name in (*zero, "viterbi_score", "marginals", "pair_marginals"):
        np.testing.assert_array_equal(found[name], np.zeros_like(found[name]), err_msg=name)
    assert found["k_best_scores"][:, 0].tolist() == [0.0] * 6
    assert (found["k_best_scores"][:, 1:] == -jnp.inf).all()
    assert (found["k_best_tags"] == -1).all() and (found["viterbi_tags"] == -1).all()
    assert (crf.sample(jax.random.key(0), chain, 3) == -1).all()


def test_tags_behind_the_lengths_are_never_read_and_inside_must_be_tags():
    chain, tags = random_chain(16), random_tags((6,))
    right = crf.score(chain, tags), crf.log_prob(chain, tags)
    garbage = np.where(np.arange(5) < RAGGED[:, None], tags, [[-100, 3, 2**31 - 1, -1, 77]])
    for found in (crf.score, crf.log_prob):
        np.testing.assert_array_equal(
            found(chain, garbage.astype(np.int32)), right[found is crf.log_prob]
        )
    for wrong in (-1, 3, 1000):
        outside = tags.copy()
        outside[np.arange(1, 6), RAGGED[1:] - 1] = wrong
        assert (crf.score(chain, outside)[1:] == -jnp.inf).all()
        assert (crf.log_prob(chain, outside)[1:] == -jnp.inf).all()
        assert crf.score(chain, outside)[0] == 0


@pytest.mark.parametrize("k", [1, 30])
def test_more_paths_asked_for_than_there_are(k):
    chain = random_chain(17, steps=3, lengths=np.array([0, 1, 2, 3, 3, 2], np.int32))
    tags, scores = crf.k_best(chain, k)
    assert tags.shape == (6, k, 3) and scores.shape == (6, k)
    for one, paths, found in zip(enumerate_all(chain), tags, scores, strict=True):
        right_paths, right_scores = one.k_best(k)
        np.testing.assert_array_equal(paths, right_paths)
        np.testing.assert_allclose(found, right_scores, rtol=1e-5, atol=1e-5)


def test_paper_example():
    """The worked example of Wang et al. (2020), "Structure-level knowledge distillation"."""
    with np.errstate(divide="ignore"):
        psi = np.log(np.float32([[[2, 0.5], [0.5, 2]], [[1 / 3, 3], [4, 1 / 4]]]))
    chain = crf.LinearChain(np.zeros((3, 2), np.float32), psi)
    close = {"atol": 6e-4}
    np.testing.assert_allclose(crf.log_partition(chain), np.log(18.9583), rtol=1e-5)
    tags, scores = crf.k_best(chain, 2)
    assert tags.tolist() == [[1, 1, 0], [0, 0, 1]]
    np.testing.assert_allclose(jax.nn.softmax(scores), [0.571, 0.429], **close)
    paths = np.array([np.unravel_index(i, (2, 2, 2)) for i in range(8)], np.int32)
    probs = [np.exp(crf.log_prob(chain, path)) for path in paths]
    right = [0.035, 0.316, 0.105, 0.007, 0.009, 0.079, 0.422, 0.026]
    np.testing.assert_allclose(probs, right, **close)
    right = [[0.464, 0.536], [0.440, 0.560], [0.571, 0.429]]
    np.testing.assert_allclose(crf.marginals(chain), right, **close)
    right = [[[0.3516, 0.1121], [0.0879, 0.4484]], [[0.0440, 0.3956], [0.5275, 0.0330]]]
    np.testing.assert_allclose(crf.pair_marginals(chain), right, atol=6e-5)


def test_enumeration_itself_on_a_chain_done_by_hand():
    """0.5 nats for going on, 1 for tag 1, and two steps: 00, 01, 10, 11."""
    chain = crf.LinearChain(np.float32([[0, 1], [0, 1]]), np.float32([[0.5, 0], [0, 0.5]]))
    one = Enumeration(chain)
    assert one.scores.tolist() == [0.5, 1.0, 1.0, 2.5]
    z = np.exp([0.5, 1.0, 1.0, 2.5]).sum()
    np.testing.assert_allclose(one.log_z, np.log(z))
    np.testing.assert_allclose(one.marginals[0, 1], (np.exp(1.0) + np.exp(2.5)) / z)
    assert one.k_best(3)[0].tolist() == [[1, 1], [1, 0], [0, 1]]
