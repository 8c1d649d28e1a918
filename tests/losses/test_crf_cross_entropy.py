import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf, losses
from tests.crf.chains import random_chain
from tests.crf.enumerate import cross_entropy
from tests.losses import chains, checks


def formula(*arrays):
    student, teacher = chains.two_enumerated(arrays)
    return cross_entropy(teacher, student)


def case():
    loss = chains.of_two(lambda s, t: losses.crf_cross_entropy(s, crf.moments(t)))
    return checks.Case(loss, chains.two_arrays(), formula, shared=chains.TWO_SHARED)


@checks.every_law
def test_law(law):
    law(case())


def gradients(loss, student):
    def total(emissions, transitions, start, end):
        return loss(crf.LinearChain(emissions, transitions, start, end)).sum()

    scores = student.emissions, student.transitions, student.start, student.end
    return jax.grad(total, (0, 1, 2, 3))(*map(jnp.asarray, scores))


@pytest.mark.parametrize("kind", ["one a sequence", "one a step"])
def test_is_kl_plus_entropy_and_has_its_gradient(kind):
    student = random_chain(0, leading=(8,), steps=4, lengths=None, kind=kind)
    teacher = chains.chain(1)
    moments = crf.moments(teacher)
    found = losses.crf_cross_entropy(student, moments)
    expected = losses.crf_kl(student, teacher) + crf.entropy(teacher)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    found = gradients(lambda s: losses.crf_cross_entropy(s, moments), student)
    expected = gradients(lambda s: losses.crf_kl(s, teacher), student)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=5e-6), found, expected)


def test_a_mixture_of_teachers_is_the_average_of_exact_losses():
    student = chains.chain(0)
    teachers = [chains.chain(1), crf.independent(chains.chain(2).emissions, chains.LENGTHS)]
    weights = jnp.float32(np.random.default_rng(0).random((2, checks.BATCH)))
    share = weights / weights.sum(axis=0, keepdims=True)
    mixed = crf.mixture([crf.moments(teacher) for teacher in teachers], weights)

    def average(student):
        return sum(w * losses.crf_kl(student, t) for w, t in zip(share, teachers, strict=True))

    def loss(student):
        return losses.crf_cross_entropy(student, mixed)

    constant = sum(w * crf.entropy(t) for w, t in zip(share, teachers, strict=True))
    np.testing.assert_allclose(loss(student), average(student) + constant, rtol=1e-5, atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=5e-6),
        gradients(loss, student),
        gradients(average, student),
    )


def test_padding_is_never_read():
    student, moments = chains.chain(0), crf.moments(chains.chain(1))
    inside = (np.arange(chains.STEPS) < chains.LENGTHS[:, None])[..., None]
    spoiled = crf.Moments(
        jnp.where(inside, moments.marginals, jnp.nan),
        jnp.where(inside[:, 1:, :, None], moments.pairs, jnp.nan),
        moments.lengths,
    )
    expected = losses.crf_cross_entropy(student, moments)
    found = losses.crf_cross_entropy(chains.spoiled(student), spoiled)
    np.testing.assert_array_equal(found, expected)
    assert expected[2] == 0  # of length 0


def test_a_student_that_forbids_what_the_teacher_allows():
    moments = crf.moments(chains.chain(1))
    scores = tuple(map(jnp.float32, chains.score_arrays(0)))

    def both(*scores):
        def total(*scores):
            return losses.crf_cross_entropy(crf.LinearChain(*scores), moments).sum()

        return jax.value_and_grad(total, (0, 1, 2, 3))(*scores)

    for field, index in [(0, (0, 1, 2)), (1, (0, 1)), (2, (1,)), (3, (2,)), (1, slice(None))]:
        changed = list(scores)
        changed[field] = scores[field].at[index].set(-jnp.inf)
        value, gradient = both(*changed)
        assert value == np.inf
        assert all(np.isfinite(g).all() for g in gradient)


def test_a_teacher_that_allows_nothing_teaches_nothing():
    teacher = crf.LinearChain(jnp.full((2, 3, 2), -jnp.inf), jnp.zeros((2, 2)))
    student = random_chain(0, leading=(2,), steps=3, tags=2, lengths=None)
    loss = lambda s: losses.crf_cross_entropy(s, crf.moments(teacher))  # noqa: E731
    np.testing.assert_array_equal(loss(student), 0)
    assert all((g == 0).all() for g in gradients(loss, student))


def test_wrong_arguments_are_named():
    student, moments = chains.chain(0), crf.moments(chains.chain(1))
    with checks.rejected(r"must have the same shape .* got \(8, 4, 4\) and \(8, 4, 3\)"):
        losses.crf_cross_entropy(chains.chain(0, tags=4), moments)
    with checks.rejected(r"moments\.pairs must be \[\.\.\., T-1, N, N\] = \(8, 3, 3, 3\)"):
        losses.crf_cross_entropy(student, crf.Moments(moments.marginals, moments.pairs[0]))
