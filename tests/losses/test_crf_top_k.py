import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf, losses
from tests.losses import chains, checks

K = 3
RANDOM = np.random.default_rng(0)
PATHS = RANDOM.integers(0, chains.TAGS, (checks.BATCH, K, chains.STEPS), np.int32)
WEIGHTS = RANDOM.uniform(0.1, 1.0, (checks.BATCH, K))
MISSING = PATHS.copy()
MISSING[3, 2] = MISSING[5, 1:] = -1


def loss(*arrays):
    *scores, lengths, paths, weights = arrays
    return losses.crf_top_k(crf.LinearChain(*scores, lengths), paths, weights)


def uniform(*arrays):
    *scores, lengths, paths = arrays
    return losses.crf_top_k(crf.LinearChain(*scores, lengths), paths)


def formula(*arrays):
    *chain, paths, weights = arrays
    one = chains.enumerated(*chain)
    return sum(w * (one.log_z - one.score(y)) for y, w in zip(paths, weights, strict=True) if w)


def uniform_formula(*arrays):
    *chain, paths = arrays
    real = [path for path in paths if path[0] >= 0 and chain[-1]]
    return formula(*chain, np.array(real), np.ones(len(real)) / max(len(real), 1))


ARRAYS = (*chains.score_arrays(0), chains.LENGTHS, PATHS, WEIGHTS)


@checks.every_law
def test_law(law):
    law(checks.Case(loss, ARRAYS, formula, shared=(1, 2, 3)))


@pytest.mark.parametrize(
    "law",
    [
        checks.values_are_those_of_the_formula,
        checks.vmap_is_a_loop,
        checks.gradients_are_finite_differences,
    ],
)
def test_law_of_uniform_weights(law):
    law(checks.Case(uniform, (*ARRAYS[:-2], MISSING), uniform_formula, shared=(1, 2, 3)))


def test_all_paths_with_their_probabilities_are_the_exact_cross_entropy():
    student, teacher = chains.chain(0), chains.chain(1)
    number = chains.TAGS**chains.STEPS
    paths = np.array(list(itertools.product(range(chains.TAGS), repeat=chains.STEPS)), np.int32)
    paths = np.broadcast_to(paths, (checks.BATCH, *paths.shape))
    full = np.full(checks.BATCH, chains.STEPS, np.int32)
    student, teacher = (
        crf.LinearChain(c.emissions, c.transitions, c.start, c.end, full)
        for c in (student, teacher)
    )
    found, scores = crf.k_best(teacher, number)
    weights = jax.nn.softmax(scores)
    expected = crf.cross_entropy(teacher, student)
    np.testing.assert_allclose(losses.crf_top_k(student, found, weights), expected, rtol=1e-5)
    log_probs = jax.vmap(crf.log_prob, (None, 1), 1)(teacher, jnp.asarray(paths))
    found = losses.crf_top_k(student, jnp.asarray(paths), jnp.exp(log_probs))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_k_best_of_the_teacher_short_sentences_too():
    """What does not exist counts for nothing, with and without weights."""
    student, teacher = chains.chain(0), chains.chain(1)
    paths, scores = crf.k_best(teacher, 10)
    uniform, weighted = np.zeros((2, checks.BATCH))
    for b, length in enumerate(chains.LENGTHS):
        of = [
            chains.enumerated(c.emissions[b], c.transitions, c.start, c.end, length)
            for c in (student, teacher)
        ]
        best, log_p = of[1].k_best(10)
        real = log_p > -np.inf
        nll = np.array([of[0].log_z - of[0].score(path) for path in best[real]])
        uniform[b], weighted[b] = nll.mean(), chains.softmax(log_p[real]) @ nll
    np.testing.assert_allclose(losses.crf_top_k(student, paths), uniform, rtol=1e-5)
    found = losses.crf_top_k(student, paths, jax.nn.softmax(scores))
    np.testing.assert_allclose(found, weighted, rtol=1e-5)


def test_paths_of_several_teachers():
    student = chains.chain(0)
    found = [crf.k_best(chains.chain(seed), 2) for seed in (1, 2)]
    weights = [jax.nn.softmax(scores) / 2 for _, scores in found]
    paths = jnp.concatenate([tags for tags, _ in found], axis=-2)
    together = losses.crf_top_k(student, paths, jnp.concatenate(weights, axis=-1))
    apart = sum(
        losses.crf_top_k(student, tags, weight)
        for (tags, _), weight in zip(found, weights, strict=True)
    )
    np.testing.assert_allclose(together, apart, rtol=1e-5)


def test_weight_0_has_no_value_and_no_gradient():
    """Even where the student makes the path impossible."""
    emissions, transitions, start, end = map(jnp.float32, chains.score_arrays(0))
    transitions = transitions.at[1, 2].set(-jnp.inf)
    paths = jnp.asarray(PATHS).at[:, 0, :2].set(jnp.array([[1, 2]]))
    weights = jnp.float32(WEIGHTS).at[:, 0].set(0.0)
    rest = paths.at[:, 1:].min(1)
    both = jax.value_and_grad(lambda *a: loss(*a).sum(), (0, 1, 2, 3))
    found = both(emissions, transitions, start, end, chains.LENGTHS, rest, weights)
    expected = both(emissions, transitions, start, end, chains.LENGTHS, rest[:, 1:], weights[:, 1:])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), found, expected)
    value, gradients = both(
        emissions, transitions, start, end, chains.LENGTHS, rest, weights.at[0, 0].set(1.0)
    )
    assert value == np.inf
    assert all(np.isfinite(g).all() for g in gradients)


def test_a_path_of_tags_that_are_none_is_impossible():
    """It is the only one that is; what it weighs decides the sign."""
    paths = jnp.asarray(PATHS).at[0, 1, 2].set(chains.TAGS)
    weights = jnp.float32(WEIGHTS)
    both = jax.value_and_grad(lambda *a: loss(*a).sum(), (0, 1, 6))
    chain = *map(jnp.float32, chains.score_arrays(0)), jnp.asarray(chains.LENGTHS)
    for sign in (1.0, -1.0):
        value, gradients = both(*chain, paths, weights.at[0, 1].mul(sign))
        assert value == sign * np.inf
        assert all(np.isfinite(g).all() for g in gradients)
    found = loss(*chain, paths, weights)
    expected = loss(*chain, jnp.asarray(PATHS), weights)
    np.testing.assert_array_equal(found[1:], expected[1:])


def test_padding_is_never_read():
    chain = chains.chain(0)
    inside = (np.arange(chains.STEPS) < chains.LENGTHS[:, None])[:, None]
    paths = jnp.asarray(np.where(inside, PATHS, 99))
    for weights in (None, jnp.float32(WEIGHTS)):
        found = losses.crf_top_k(chains.spoiled(chain), paths, weights)
        expected = losses.crf_top_k(chain, jnp.asarray(PATHS), weights)
        np.testing.assert_array_equal(found, expected)


def test_log_z_is_computed_once():
    """Whatever K is, there are as many loops, and none of them grows with K."""

    def scans(k):
        paths = jnp.zeros((checks.BATCH, k, chains.STEPS), jnp.int32)
        chain = jax.tree.map(jnp.asarray, chains.chain(0))

        def total(emissions):
            student = crf.LinearChain(emissions, chain.transitions)
            return losses.crf_top_k(student, paths).sum()

        text = str(jax.make_jaxpr(jax.value_and_grad(total))(chain.emissions))
        return text.count("scan["), text.count(f"f32[{checks.BATCH * k},")

    assert scans(7)[0] == scans(1)[0] > 0
    assert scans(7)[1] == 0


def test_wrong_arguments_are_named():
    chain, paths = chains.chain(0), jnp.asarray(PATHS)
    with checks.rejected(r"paths must be \[\.\.\., K, T\] = \(8, 3, 4\), got \(8, 3, 3\)"):
        losses.crf_top_k(chain, paths[..., 1:])
    with checks.rejected(r"paths must be \[\.\.\., K, T\]"):
        losses.crf_top_k(chain, paths[:, 0])
    with checks.rejected(r"weights must be \[\.\.\., K\] = \(8, 3\), got \(3,\)"):
        losses.crf_top_k(chain, paths, jnp.ones(3))
    with checks.rejected("weights must hold floats"):
        losses.crf_top_k(chain, paths, jnp.ones((8, 3), int))
