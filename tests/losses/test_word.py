from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmkd_jax import losses
from tests.losses import checks

WORDS, WIDTH = 5, 4
OPTIONS = [
    {"temperature": 0.3},
    {"cosine": True},
    {"both_directions": True},
    {"temperature": 0.2, "cosine": True, "both_directions": True},
]


def formula(student, teacher, masked, valid, temperature=1.0, cosine=False, both_directions=False):
    """One masked word at a time, over the words of the sentence."""
    if cosine:
        student, teacher = (v / np.linalg.norm(v, axis=-1)[:, None] for v in (student, teacher))
    terms = []
    for i in np.flatnonzero(masked & valid):
        directions = [(teacher, student), (student, teacher)][: 1 + both_directions]
        for one, other in directions:
            scores = {j: one[i] @ other[j] / temperature for j in np.flatnonzero(valid)}
            terms.append(np.log(sum(map(np.exp, scores.values()))) - scores[i])
    return np.mean(terms) if terms else 0.0


def arrays() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    student, teacher = random.normal(size=(2, checks.BATCH, WORDS, WIDTH))
    lengths = np.array([5, 4, 3, 5, 2, 1, 0, 5])
    valid = np.arange(WORDS) < lengths[:, None]
    masked = random.random((checks.BATCH, WORDS)) < 0.5
    masked[3] = False
    return student, teacher, masked, valid


def case(**options) -> checks.Case:
    loss = partial(losses.word_alignment, **options)
    return checks.Case(loss, arrays(), partial(formula, **options))


def single() -> tuple[jax.Array, ...]:
    return case().single()


@checks.every_law
def test_law(law):
    law(case())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(options):
    checks.values_are_those_of_the_formula(case(**options))


@pytest.mark.parametrize("options", OPTIONS[-2:], ids=str)
def test_gradients_of_options(options):
    checks.gradients_are_finite_differences(case(**options))


@pytest.mark.parametrize("options", [{}, OPTIONS[-1]], ids=str)
def test_padding_is_never_read(options):
    student, teacher, masked, valid = single()
    hidden = ~valid[..., None]
    spoiled = jnp.where(hidden, jnp.nan, student), jnp.where(hidden, jnp.inf, teacher)
    loss = partial(losses.word_alignment, **options)
    # A mask that points into the padding chooses nothing there.
    checks.never_reads(
        loss, (student, teacher, masked & valid, valid), (*spoiled, masked | ~valid, valid)
    )


def test_padding_is_as_if_absent():
    arrays = single()
    valid = np.array([1, 1, 0, 1, 0], bool)
    student, teacher, masked, _ = (a[0] for a in arrays)
    masked = masked.at[1].set(True)
    found = losses.word_alignment(student, teacher, masked, jnp.asarray(valid))
    gathered = losses.word_alignment(
        student[valid], teacher[valid], masked[valid], jnp.ones(3, bool)
    )
    np.testing.assert_allclose(found, gathered, rtol=1e-5)


VECTORS = hnp.arrays(
    np.float32, (checks.BATCH, WORDS, WIDTH), elements=st.floats(-3, 3, width=32) | st.just(0.0)
)
MASKS = hnp.arrays(bool, (checks.BATCH, WORDS))


@pytest.mark.parametrize("options", [{}, OPTIONS[-1]], ids=str)
@given(student=VECTORS, teacher=VECTORS, masked=MASKS, valid=MASKS)
def test_is_finite_not_negative_and_0_without_masked_words(
    options, student, teacher, masked, valid
):
    loss = partial(losses.word_alignment, **options)
    found = checks.finite(loss, student, teacher, masked, valid)
    assert (found >= -1e-6).all()
    np.testing.assert_array_equal(found[~(masked & valid).any(axis=1)], 0)


def test_alike_words_leave_the_logarithm_of_their_number():
    *_, masked, valid = single()
    zeros = jnp.zeros((checks.BATCH, WORDS, WIDTH))
    found = losses.word_alignment(zeros, zeros, masked, valid)
    some = (masked & valid).any(axis=1)
    np.testing.assert_allclose(found[some], jnp.log(valid.sum(axis=1))[some], rtol=1e-6)


def test_both_directions_exchange_teacher_and_student():
    student, teacher, masked, valid = single()
    one = losses.word_alignment(student, teacher, masked, valid)
    other = losses.word_alignment(teacher, student, masked, valid)
    both = losses.word_alignment(student, teacher, masked, valid, both_directions=True)
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-5)


def test_only_masked_words_count():
    student, teacher, _, valid = single()
    valid = jnp.ones_like(valid)
    each = [
        losses.word_alignment(
            student, teacher, jnp.arange(WORDS)[None] == jnp.full((8, 1), i), valid
        )
        for i in range(WORDS)
    ]
    found = losses.word_alignment(student, teacher, valid, valid)
    np.testing.assert_allclose(found, jnp.stack(each).mean(axis=0), rtol=1e-5)


def test_wrong_arguments_are_named():
    student, teacher, masked, valid = single()
    with checks.rejected(r"teacher_words must be .* = \(8, 5, 4\), got \(8, 4, 4\)"):
        losses.word_alignment(student, teacher[:, 1:], masked, valid)
    with checks.rejected("masked must be a boolean mask, got dtype float32"):
        losses.word_alignment(student, teacher, masked.astype(jnp.float32), valid)
    with checks.rejected(r"valid must be \[\.\.\., W\] = \(8, 5\), got \(8,\)"):
        losses.word_alignment(student, teacher, masked, valid[:, 0])
    with checks.rejected("temperature must be positive"):
        losses.word_alignment(student, teacher, masked, valid, -1.0)
    with checks.rejected(r"student_words must be \[\.\.\., W, D\]"):
        losses.word_alignment(student[0, 0], teacher[0, 0], masked[0, 0], valid[0, 0])
