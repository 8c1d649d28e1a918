from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from mmkd_jax import crf, losses, tags
from tests.losses import chains, checks
from tests.losses.test_crf_posterior import token_kl

SHAPE = (checks.BATCH, chains.STEPS, chains.TAGS)
WHERE = np.arange(chains.STEPS) < chains.LENGTHS[:, None]


def formula(student, teacher, where, temperature=1.0):
    return token_kl(teacher[where], student[where], temperature)


def arrays():
    student, teacher = np.random.default_rng(0).dirichlet(3 * np.ones(chains.TAGS), (2, *SHAPE[:2]))
    return student, teacher, WHERE


def case(temperature=1.0):
    loss = partial(losses.marginal_kl, temperature=temperature)
    return checks.Case(loss, arrays(), partial(formula, temperature=temperature))


@checks.every_law
def test_law(law):
    law(case(2.0))


def test_temperature_1():
    checks.values_are_those_of_the_formula(case())


def test_padding_is_never_read():
    student, teacher, where = case().single()
    hidden = ~where[..., None]
    spoiled = jnp.where(hidden, jnp.nan, student), jnp.where(hidden, jnp.inf, teacher)
    checks.never_reads(losses.marginal_kl, (student, teacher, where), (*spoiled, where))


def test_zeros():
    """0 in both is no difference; 0 in the student alone is large and finite."""
    where = jnp.ones(2, bool)
    sure = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    for temperature in (1.0, 4.0):
        loss = partial(losses.marginal_kl, temperature=temperature)
        assert checks.finite(loss, sure, sure, where) == 0
        assert checks.finite(loss, sure, jnp.zeros_like(sure), where) == 0
        assert 40 < checks.finite(loss, sure[::-1], sure, where) / temperature < 100
    assert checks.finite(loss, jnp.float32([[1.0, 1e-30]]), sure[:1], where[:1]) == 0


def test_partial_tag_sets():
    """Student and teacher share one type; what only one of them knows is O to the other."""
    student_tags = tags.TagSet.of_types(["PER", "LOC"])
    teacher_tags = tags.TagSet.of_types(["LOC", "ORG"], "BIOES")
    of_student, of_teacher = tags.shared(student_tags, teacher_tags)
    student = chains.chain(0, tags=len(student_tags))
    teacher = chains.chain(1, tags=len(teacher_tags))

    def loss(emissions):
        chain = crf.LinearChain(emissions, student.transitions, student.start, student.end)
        chain = jax.tree.map(jnp.asarray, chain)
        chain = crf.LinearChain(
            chain.emissions, chain.transitions, chain.start, chain.end, chains.LENGTHS
        )
        return losses.marginal_kl(
            crf.map_marginals(crf.marginals(chain), of_student),
            crf.map_marginals(crf.marginals(teacher), of_teacher),
            jnp.asarray(WHERE),
        )

    found = loss(jnp.asarray(student.emissions))
    q, p = (np.float64(crf.marginals(c)) for c in (student, teacher))
    # O, B-LOC, I-LOC of each, by hand.
    q = np.stack([q[..., 0] + q[..., 1] + q[..., 2], q[..., 3], q[..., 4]], axis=-1)
    p = np.stack(
        [p[..., [0, 5, 6, 7, 8]].sum(-1), p[..., 1] + p[..., 4], p[..., 2] + p[..., 3]], -1
    )
    expected = [token_kl(p[b][WHERE[b]], q[b][WHERE[b]]) for b in range(checks.BATCH)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    gradient = jax.grad(lambda e: loss(e).sum())(jnp.asarray(student.emissions))
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 1e-2


def test_wrong_arguments_are_named():
    student, teacher, where = case().single()
    with checks.rejected(r"teacher_marginals must be .* = \(8, 4, 3\), got \(8, 4, 2\)"):
        losses.marginal_kl(student, teacher[..., 1:], where)
    with checks.rejected("where must be a boolean mask"):
        losses.marginal_kl(student, teacher, where.astype(jnp.float32))
    with checks.rejected("temperature must be positive"):
        losses.marginal_kl(student, teacher, where, 0.0)
