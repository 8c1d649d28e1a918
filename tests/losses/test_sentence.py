import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mmkd_jax import losses
from tests.losses import checks

WIDTH = 5


def formula(student, teacher):
    cosine = student @ teacher / np.sqrt((student @ student) * (teacher @ teacher))
    return 2 - 2 * cosine


def case() -> checks.Case:
    student, teacher = np.random.default_rng(0).normal(size=(2, checks.BATCH, WIDTH))
    return checks.Case(losses.sentence_alignment, (student, teacher), formula)


@checks.every_law
def test_law(law):
    law(case())


VECTORS = hnp.arrays(
    np.float32,
    (checks.BATCH, WIDTH),
    elements=st.floats(-10, 10, width=32) | st.floats(-(2.0**-50), 2.0**-50, width=32),
)


@given(VECTORS, VECTORS)
def test_is_finite_and_lies_between_0_and_4(student, teacher):
    loss = checks.finite(losses.sentence_alignment, student, teacher)
    assert ((loss >= -1e-6) & (loss <= 4 + 1e-6)).all()


@given(VECTORS, VECTORS)
def test_only_directions_count(student, teacher):
    loss = losses.sentence_alignment(jnp.asarray(student), jnp.asarray(teacher))
    scaled = losses.sentence_alignment(jnp.asarray(student * 4), jnp.asarray(teacher / 8))
    # What is shorter counts as zero.
    lengths = np.minimum(*(np.abs(vectors).max(axis=1) for vectors in (student, teacher)))
    long = lengths > 2.0**-59
    np.testing.assert_allclose(loss[long], scaled[long], atol=1e-6)


def test_a_zero_vector_has_cosine_0():
    vectors = np.random.default_rng(0).normal(size=(checks.BATCH, WIDTH)).astype(np.float32)
    zeros = np.zeros_like(vectors)
    np.testing.assert_array_equal(checks.finite(losses.sentence_alignment, zeros, vectors), 2)
    np.testing.assert_array_equal(checks.finite(losses.sentence_alignment, zeros, zeros), 2)


def test_huge_and_tiny_vectors():
    ones = np.ones((checks.BATCH, WIDTH), np.float32)
    for scale, expected in ((1e-38, 2), (1e-30, 2), (1e-18, 0), (1e18, 0), (1e37, 0)):
        loss = checks.finite(losses.sentence_alignment, ones * np.float32(scale), ones)
        np.testing.assert_allclose(loss, expected, atol=1e-6)


def test_wrong_arguments_are_named():
    vectors = jnp.ones((checks.BATCH, WIDTH))
    with checks.rejected(r"teacher must be .* \[\.\.\., D\] = \(8, 5\), got \(8, 4\)"):
        losses.sentence_alignment(vectors, vectors[:, 1:])
    with checks.rejected("student must hold floats, got dtype int32"):
        losses.sentence_alignment(vectors.astype(jnp.int32), vectors)
    with checks.rejected(r"student must be \[\.\.\., D\], the last axis not empty"):
        losses.sentence_alignment(vectors[:, :0], vectors[:, :0])
