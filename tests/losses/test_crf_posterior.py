from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf, losses
from tests.losses import chains, checks

TEMPERATURES = [1.0, 2.25, 5.0]


def token_kl(p, q, temperature=1.0):
    """Of two arrays of probabilities, [n, N], flattened token by token."""
    p, q = (x ** (1 / temperature) for x in (p, q))
    p, q = (x / x.sum(axis=-1, keepdims=True) for x in (p, q))
    return temperature**2 * (p * np.log(p / q)).sum()


def formula(*arrays, temperature=1.0):
    student, teacher = chains.two_enumerated(arrays)
    n = teacher.length
    return token_kl(teacher.marginals[:n], student.marginals[:n], temperature)


def case(temperature=1.0):
    return checks.Case(
        chains.of_two(partial(losses.crf_posterior, temperature=temperature)),
        chains.two_arrays(),
        partial(formula, temperature=temperature),
        shared=chains.TWO_SHARED,
    )


@checks.every_law
def test_law(law):
    law(case(2.25))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_temperatures(temperature):
    checks.values_are_those_of_the_formula(case(temperature))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_is_the_kl_of_the_marginals(temperature):
    student, teacher = chains.chain(0), chains.chain(1)
    temperature = jnp.float32(temperature)
    where = jnp.asarray(np.arange(chains.STEPS) < chains.LENGTHS[:, None])
    found = losses.crf_posterior(student, teacher, temperature)
    expected = losses.marginal_kl(
        crf.marginals(student), crf.marginals(teacher), where, temperature
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 5.0])
def test_of_itself_is_0_with_gradient_0(temperature):
    teacher = chains.chain(0)

    def total(emissions, transitions):
        student = crf.LinearChain(emissions, transitions, teacher.start, teacher.end)
        return losses.crf_posterior(student, teacher, jnp.float32(temperature)).sum()

    arguments = jnp.asarray(teacher.emissions), jnp.asarray(teacher.transitions)
    value, gradients = jax.value_and_grad(total, (0, 1))(*arguments)
    np.testing.assert_allclose(value, 0, atol=1e-6)
    for gradient in gradients:
        np.testing.assert_allclose(gradient, 0, atol=2e-6)


def test_padding_is_never_read_and_as_if_absent():
    student, teacher = chains.chain(0), chains.chain(1)

    def both(student, teacher):
        def total(emissions):
            chain = crf.LinearChain(emissions, student.transitions, student.start, student.end)
            return losses.crf_posterior(chain, teacher).sum()

        return losses.crf_posterior(student, teacher), jax.grad(total)(
            jnp.asarray(student.emissions)
        )

    expected = both(student, teacher)
    found = both(chains.spoiled(student), chains.spoiled(teacher))
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    alone = losses.crf_posterior(chains.cut(student, 1), chains.cut(teacher, 1))
    np.testing.assert_allclose(alone, expected[0][1], rtol=1e-5)
    assert expected[0][2] == 0  # of length 0


@pytest.mark.parametrize("gap", [30.0, 60.0, 500.0])
def test_a_student_that_is_sure_of_something_wrong_is_corrected(gap):
    """Its marginals underflow; the gradient is that of a softmax all the same: q - p."""
    logits = jnp.array([[gap, 0.0], [0.0, 0.0]])
    teacher = crf.LinearChain(jnp.array([[0.0, gap], [0.0, 0.0]]), jnp.zeros((2, 2)))

    def total(logits):
        return losses.crf_posterior(crf.independent(logits), teacher)

    value, gradient = jax.value_and_grad(total)(logits)
    np.testing.assert_allclose(value, gap, rtol=1e-5)
    np.testing.assert_allclose(gradient, [[1.0, -1.0], [0.0, 0.0]], atol=1e-6)


def test_what_is_forbidden():
    """+inf with a finite gradient where the student alone forbids; 0 · -inf is 0."""
    forbid = jnp.asarray(chains.chain(0).transitions).at[0].set(-jnp.inf)
    base = chains.chain(0)
    allowed = crf.LinearChain(base.emissions, base.transitions, lengths=base.lengths)

    def total(emissions, temperature, teacher):
        student = crf.LinearChain(emissions, forbid)
        return losses.crf_posterior(student, teacher, temperature).sum()

    both = jax.value_and_grad(total, (0, 1))
    arguments = jnp.asarray(base.emissions), jnp.float32(3.0)
    value, gradients = both(*arguments, allowed)
    assert value == np.inf
    assert np.isfinite(gradients[0]).all()
    same = crf.LinearChain(base.emissions + 1.0, forbid, lengths=base.lengths)
    value, gradients = both(*arguments, same)
    np.testing.assert_allclose(value, 0, atol=1e-5)
    assert all(np.isfinite(g).all() for g in gradients)
    nothing = crf.LinearChain(base.emissions, forbid * jnp.inf * 0 - jnp.inf, lengths=base.lengths)
    value, gradients = both(*arguments, nothing)
    assert np.isfinite(value)
    assert all(np.isfinite(g).all() for g in gradients)


def test_wrong_arguments_are_named():
    student = chains.chain(0)
    with checks.rejected(r"student\.emissions and teacher\.emissions must have the same shape"):
        losses.crf_posterior(student, chains.chain(1, tags=4))
    with checks.rejected("temperature must be positive, got -1"):
        losses.crf_posterior(student, student, -1.0)
