from functools import partial

import jax.numpy as jnp
import numpy as np

from mmkd_jax import losses
from tests.losses import chains, checks
from tests.losses.test_crf_posterior import token_kl

WHERE = np.random.default_rng(3).random((checks.BATCH, chains.STEPS)) < 0.6
WHERE[2] = False


def formula(student, teacher, where, temperature=1.0):
    p, q = (chains.softmax(scores[where]) for scores in (teacher, student))
    return token_kl(p, q, temperature)


def case(temperature=1.0):
    arrays = (chains.score_arrays(0)[0], chains.score_arrays(1)[0], WHERE)
    loss = partial(losses.emission_kl, temperature=temperature)
    return checks.Case(loss, arrays, partial(formula, temperature=temperature))


@checks.every_law
def test_law(law):
    law(case(3.0))


def test_temperature_1():
    checks.values_are_those_of_the_formula(case())


def test_masked_is_as_if_absent():
    student, teacher, where = case().single()
    found = losses.emission_kl(student, teacher, where)
    mine = where[0]
    gathered = losses.emission_kl(
        student[0][mine], teacher[0][mine], jnp.ones(int(mine.sum()), bool)
    )
    np.testing.assert_allclose(found[0], gathered, rtol=1e-5)
    assert found[2] == 0


def test_masked_is_never_read():
    student, teacher, where = case().single()
    hidden = ~where[..., None]
    spoiled = jnp.where(hidden, jnp.nan, student), jnp.where(hidden, jnp.inf, teacher)
    checks.never_reads(losses.emission_kl, (student, teacher, where), (*spoiled, where))


def test_tags_that_both_leave_out():
    student, teacher, where = case(2.0).single()
    left_out = jnp.full_like(student[..., :1], -jnp.inf)
    loss = partial(losses.emission_kl, temperature=2.0)
    found = checks.finite(
        loss,
        jnp.concatenate([student, left_out], axis=-1),
        jnp.concatenate([teacher, left_out], axis=-1),
        where,
    )
    np.testing.assert_allclose(found, loss(student, teacher, where), rtol=1e-5)
    forbidden = student.at[0, :, 1].set(-jnp.inf)
    assert loss(forbidden, teacher, where)[0] == np.inf


def test_wrong_arguments_are_named():
    student, teacher, where = case().single()
    with checks.rejected(r"teacher must be .* = \(8, 4, 3\), got \(8, 3, 3\)"):
        losses.emission_kl(student, teacher[:, 1:], where)
    with checks.rejected(r"where must be \[\.\.\., T\] = \(8, 4\), got \(8,\)"):
        losses.emission_kl(student, teacher, where[:, 0])
    with checks.rejected(r"temperature must be a scalar, got shape \(2,\)"):
        losses.emission_kl(student, teacher, where, jnp.ones(2))
