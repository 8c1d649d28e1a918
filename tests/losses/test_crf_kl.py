import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf, losses
from tests.crf.enumerate import kl_divergence
from tests.losses import chains, checks

TEMPERATURES = [1.0, 2.0, 5.0]


def formula(*arrays, temperature=1.0):
    student, teacher = chains.two_enumerated(arrays, temperature)
    return temperature**2 * kl_divergence(teacher, student)


def case(temperature=1.0):
    return checks.Case(
        chains.of_two(partial(losses.crf_kl, temperature=temperature)),
        chains.two_arrays(),
        partial(formula, temperature=temperature),
        shared=chains.TWO_SHARED,
    )


@checks.every_law
def test_law(law):
    law(case(2.0))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_temperatures(temperature):
    checks.values_are_those_of_the_formula(case(temperature))


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_of_itself_is_0_with_gradient_0(temperature):
    teacher = chains.chain(0)

    def total(emissions, transitions, start, end):
        student = crf.LinearChain(emissions, transitions, start, end)
        return losses.crf_kl(student, teacher, jnp.float32(temperature)).sum()

    scores = teacher.emissions, teacher.transitions, teacher.start, teacher.end
    value, gradients = jax.value_and_grad(total, (0, 1, 2, 3))(*map(jnp.asarray, scores))
    assert value == 0
    for gradient in gradients:
        np.testing.assert_allclose(gradient, 0, atol=5e-6)


def test_a_teacher_of_another_scale_loses_no_digits_in_bfloat16():
    """Dividing by the temperature happens in float32."""
    student, teacher = chains.chain(0), chains.chain(1)
    narrow = [jax.tree.map(jnp.asarray, chain) for chain in (student, teacher)]
    narrow = [dataclasses.replace(c, emissions=c.emissions.astype(jnp.bfloat16)) for c in narrow]
    wide = [dataclasses.replace(c, emissions=c.emissions.astype(jnp.float32)) for c in narrow]
    np.testing.assert_array_equal(losses.crf_kl(*narrow, 3.0), losses.crf_kl(*wide, 3.0))


def test_padding_is_never_read_and_as_if_absent():
    student, teacher = chains.chain(0), chains.chain(1)
    expected = losses.crf_kl(student, teacher)
    found = losses.crf_kl(chains.spoiled(student), chains.spoiled(teacher))
    np.testing.assert_array_equal(found, expected)
    alone = losses.crf_kl(chains.cut(student, 1), chains.cut(teacher, 1))
    np.testing.assert_allclose(alone, expected[1], rtol=1e-5)
    assert expected[2] == 0  # of length 0


def test_a_student_that_forbids_what_the_teacher_allows():
    student, teacher = chains.chain(0), chains.chain(1)

    def total(emissions, temperature):
        transitions = jnp.asarray(student.transitions).at[0, 1].set(-jnp.inf)
        return losses.crf_kl(crf.LinearChain(emissions, transitions), teacher, temperature).sum()

    arguments = jnp.asarray(student.emissions), jnp.float32(2.0)
    value, gradients = jax.value_and_grad(total, (0, 1))(*arguments)
    assert value == np.inf
    assert np.isfinite(gradients[0]).all()


def test_softmax_teacher_of_a_crf_student():
    """Case 3 of the second paper: log Z less the products of the teacher's probabilities."""
    student, logits = chains.chain(0), np.float32(chains.score_arrays(1)[0])
    found = losses.crf_kl(student, crf.independent(logits, chains.LENGTHS))
    for b, length in enumerate(chains.LENGTHS):
        q = chains.softmax(np.float64(logits[b, :length]))
        one = chains.enumerated(
            student.emissions[b], student.transitions, student.start, student.end, length
        )
        expected = one.log_z + (q * np.log(q)).sum()
        expected -= (q * student.emissions[b, :length]).sum()
        for t in range(length - 1):
            expected -= q[t] @ np.float64(student.transitions) @ q[t + 1]
        if length:
            expected -= q[0] @ student.start + q[-1] @ student.end
        np.testing.assert_allclose(found[b], expected, rtol=1e-4, atol=1e-5)


def test_crf_teacher_of_a_softmax_student():
    """Case 2a: a cross-entropy of each token with the teacher's marginals."""
    teacher, logits = chains.chain(0), np.float32(chains.score_arrays(1)[0])
    found = losses.crf_kl(crf.independent(logits), teacher) + crf.entropy(teacher)
    marginals = np.float64(crf.marginals(teacher))
    expected = -(marginals * np.log(chains.softmax(np.float64(logits)))).sum(axis=(1, 2))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_between_softmax_taggers_it_is_token_distillation(temperature):
    student, teacher = (np.float32(chains.score_arrays(seed)[0]) for seed in (0, 1))
    where = jnp.asarray(np.arange(chains.STEPS) < chains.LENGTHS[:, None])
    temperature = jnp.float32(temperature)
    found = losses.crf_kl(
        crf.independent(student), crf.independent(teacher, chains.LENGTHS), temperature
    )
    expected = losses.emission_kl(*map(jnp.asarray, (student, teacher)), where, temperature)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_wrong_arguments_are_named():
    student, teacher = chains.chain(0), chains.chain(1, tags=4)
    with checks.rejected(
        r"student\.emissions and teacher\.emissions must have the same shape .*"
        r"got \(8, 4, 3\) and \(8, 4, 4\)"
    ):
        losses.crf_kl(student, teacher)
    with checks.rejected("temperature must be positive, got 0"):
        losses.crf_kl(student, student, 0.0)
    with checks.rejected(r"teacher\.emissions must hold floats"):
        losses.crf_kl(student, crf.LinearChain(np.ones((4, 3), int), np.ones((3, 3))))
