from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax import lax
from jax.sharding import AxisType, PartitionSpec

from mmkd_jax import losses
from tests.losses import checks

OPTIONS = [{"temperature": 0.3}, {"include_self": False}]


def formula(student, teacher, where, temperature=1.0, include_self=True):
    """One row of the softmax at a time, over the columns that take part."""
    result = np.zeros(len(where))
    for i in np.flatnonzero(where):
        columns = [j for j in np.flatnonzero(where) if include_self or j != i]
        p, q = (
            np.exp([np.dot(v[i], v[j]) / np.linalg.norm(v[i]) / np.linalg.norm(v[j]) / temperature
                    for j in columns])
            for v in (teacher, student)
        )  # fmt: skip
        p, q = p / p.sum(), q / q.sum()
        result[i] = np.sum(p * np.log(p / q))
    return result


def arrays() -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(0)
    where = np.ones(checks.BATCH, bool)
    where[[2, 7]] = False
    return (
        random.normal(size=(checks.BATCH, 4)),
        random.normal(size=(checks.BATCH, 6)),
        where,
    )


def case(**options) -> checks.Case:
    loss = partial(losses.structure_alignment, **options)
    return checks.Case(loss, arrays(), partial(formula, **options), compares=True)


def single() -> tuple[jax.Array, ...]:
    return case().single()


@checks.every_law
def test_law(law):
    law(case())


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(options):
    checks.values_are_those_of_the_formula(case(**options))


def test_where_defaults_to_all():
    student, teacher, where = single()
    found = losses.structure_alignment(student, teacher)
    np.testing.assert_array_equal(
        found, losses.structure_alignment(student, teacher, jnp.ones_like(where))
    )


@pytest.mark.parametrize("include_self", [True, False])
def test_masked_rows_are_as_if_absent(include_self):
    loss = partial(losses.structure_alignment, include_self=include_self)
    student, teacher, where = single()
    found = loss(student, teacher, where)
    np.testing.assert_array_equal(found[~where], 0)
    gathered = loss(student[where], teacher[where])
    np.testing.assert_allclose(found[where], gathered, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("include_self", [True, False])
def test_masked_rows_are_never_read(include_self):
    student, teacher, where = single()
    hidden = ~where[:, None]
    checks.never_reads(
        partial(losses.structure_alignment, include_self=include_self),
        (student, teacher, where),
        (jnp.where(hidden, jnp.nan, student), jnp.where(hidden, jnp.inf, teacher), where),
    )


@pytest.mark.parametrize("include_self", [True, False])
def test_nothing_to_compare_is_0(include_self):
    loss = partial(losses.structure_alignment, include_self=include_self)
    student, teacher, where = single()
    for mask in (np.zeros(checks.BATCH, bool), np.arange(checks.BATCH) == 3):
        np.testing.assert_array_equal(checks.finite(loss, student, teacher, mask), 0)
    np.testing.assert_array_equal(checks.finite(loss, student[:1], teacher[:1]), 0)
    assert checks.finite(loss, student[:0], teacher[:0]).shape == (0,)


VECTORS = hnp.arrays(
    np.float32, (checks.BATCH, 3), elements=st.floats(-3, 3, width=32) | st.just(0.0)
)
MASKS = hnp.arrays(bool, checks.BATCH)


@given(VECTORS, VECTORS, MASKS, st.floats(0.0625, 5))
def test_is_a_divergence(student, teacher, where, temperature):
    loss = partial(losses.structure_alignment, temperature=jnp.float32(temperature))
    assert (checks.finite(loss, student, teacher, where) >= -1e-5).all()
    gradient = jax.grad(lambda s: loss(s, jnp.asarray(teacher), jnp.asarray(where)).sum())
    np.testing.assert_array_equal(loss(*map(jnp.asarray, (teacher, teacher, where))), 0)
    scale = 1 / np.maximum(np.linalg.norm(teacher, axis=1, keepdims=True), 1e-19)
    assert (np.abs(gradient(jnp.asarray(teacher))) <= 1e-4 * scale / temperature).all()


def test_permuting_the_batch_permutes_the_losses():
    student, teacher, where = single()
    order = np.random.default_rng(1).permutation(checks.BATCH)
    found = losses.structure_alignment(student[order], teacher[order], where[order])
    expected = losses.structure_alignment(student, teacher, where)[order]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_only_angles_count():
    student, teacher, where = single()
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
    found = losses.structure_alignment(7 * student @ jnp.float32(rotation), teacher, where)
    expected = losses.structure_alignment(student, teacher, where)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_gathering_first_is_the_global_batch_under_shard_map():
    """As the docstring tells users to."""
    mesh = jax.make_mesh((checks.BATCH,), ("data",), axis_types=(AxisType.Auto,))

    def shard(student, teacher, where):
        gather = partial(lax.all_gather, axis_name="data", tiled=True)
        rows = losses.structure_alignment(gather(student), gather(teacher), gather(where))
        return lax.dynamic_slice_in_dim(rows, lax.axis_index("data") * len(student), len(student))

    data = PartitionSpec("data")
    mapped = jax.shard_map(shard, mesh=mesh, in_specs=data, out_specs=data)
    expected = losses.structure_alignment(*single())
    np.testing.assert_allclose(jax.jit(mapped)(*single()), expected, atol=1e-6)
    gradient = jax.grad(lambda s, t, w: mapped(s, t, w).sum(), (0, 1))(*single())
    plain = jax.grad(lambda s, t, w: losses.structure_alignment(s, t, w).sum(), (0, 1))(*single())
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), gradient, plain)


def test_wrong_arguments_are_named():
    student, teacher, where = single()
    with checks.rejected(r"with the same B, got \(8, 4\) and \(7, 6\)"):
        losses.structure_alignment(student, teacher[1:], where)
    with checks.rejected(r"student must be \[B, D\]"):
        losses.structure_alignment(student[None], teacher[None])
    with checks.rejected("where must be a boolean mask, got dtype int32; .* mask != 0"):
        losses.structure_alignment(student, teacher, where.astype(jnp.int32))
    with checks.rejected(r"where must be \[B\] = \(8,\), got \(7,\)"):
        losses.structure_alignment(student, teacher, where[1:])
    with checks.rejected("temperature must be positive, got 0"):
        losses.structure_alignment(student, teacher, where, 0.0)
    with checks.rejected(r"temperature must be a scalar, got shape \(2,\)"):
        losses.structure_alignment(student, teacher, where, jnp.ones(2))
