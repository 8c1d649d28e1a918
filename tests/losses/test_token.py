from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from mmkd_jax import losses
from tests.losses import checks

POSITIONS, WIDTH, TOKENS = 3, 4, 13


def formula(logits, targets, where):
    """One chosen position at a time."""
    terms = [np.log(np.exp(logits[i]).sum()) - logits[i, targets[i]] for i in np.flatnonzero(where)]
    return np.mean(terms) if terms else 0.0


def formula_from_hidden(hidden, table, bias, targets, where):
    return formula(hidden @ table.T + bias, targets, where)


def chosen() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    where = random.random((checks.BATCH, POSITIONS)) < 0.6
    where[2], where[3] = False, True
    targets = random.integers(0, TOKENS, (checks.BATCH, POSITIONS))
    # The first and the last token, and one that two chunks of five hold, as the last begins early.
    targets[3] = 0, TOKENS - 1, TOKENS - 5
    return np.where(where, targets, -100), where


def plain() -> checks.Case:
    logits = np.random.default_rng(0).normal(size=(checks.BATCH, POSITIONS, TOKENS))
    return checks.Case(losses.token_alignment, (logits, *chosen()), formula)


def from_hidden(chunk_size: int = 5) -> checks.Case:
    random = np.random.default_rng(0)
    hidden = random.normal(size=(checks.BATCH, POSITIONS, WIDTH))
    table, bias = random.normal(size=(TOKENS, WIDTH)), random.normal(size=TOKENS)
    loss = partial(losses.token_alignment_from_hidden, chunk_size=chunk_size)
    return checks.Case(loss, (hidden, table, bias, *chosen()), formula_from_hidden, shared=(1, 2))


@pytest.mark.parametrize("case", [plain(), from_hidden()], ids=["plain", "from_hidden"])
@checks.every_law
def test_law(law, case):
    law(case)


def from_logits(hidden, table, bias, targets, where):
    logits = jnp.einsum("bpd,vd->bpv", hidden, table, precision="highest") + bias[None, None]
    return losses.token_alignment(logits, targets, where)


@pytest.mark.parametrize("chunk_size", [1, 4, 5, 12, 13, 2048])
def test_chunks_make_no_difference(chunk_size):
    """Those that divide the vocabulary, those that do not, and those that are larger."""
    case = from_hidden(chunk_size)
    arrays = case.single()
    run = checks.total_and_gradients
    found, expected = (run(loss, case.floats)(*arrays) for loss in (case.loss, from_logits))
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-5), found, expected)


@pytest.mark.parametrize("case", [plain(), from_hidden()], ids=["plain", "from_hidden"])
def test_what_is_not_chosen_is_never_read(case):
    states, *between, targets, where = case.single()
    checks.never_reads(
        case.loss,
        (jnp.where(where[..., None], states, 0.0), *between, jnp.where(where, targets, 0), where),
        (jnp.where(where[..., None], states, jnp.nan), *between, targets, where),
    )


@pytest.mark.parametrize("case", [plain(), from_hidden()], ids=["plain", "from_hidden"])
def test_masked_positions_are_as_if_absent(case):
    states, *between, targets, where = case.single()
    for b in range(checks.BATCH):
        rows = np.flatnonzero(where[b])
        if len(rows) == 2:
            found = case.loss(states[b], *between, targets[b], where[b])
            gathered = case.loss(states[b][rows], *between, targets[b][rows], where[b][rows])
            np.testing.assert_allclose(found, gathered, rtol=1e-5)


def test_no_position_at_all_is_0():
    for case in (plain(), from_hidden()):
        states, *between, targets, where = case.single()
        nothing = jnp.zeros_like(where)
        np.testing.assert_array_equal(
            checks.finite(case.loss, states, *between, targets, nothing), 0
        )
        empty = checks.finite(case.loss, states[:, :0], *between, targets[:, :0], where[:, :0])
        np.testing.assert_array_equal(empty, np.zeros(checks.BATCH))


def both_forms(hidden, table, bias, targets, where):
    case = from_hidden()
    for loss in (from_logits, case.loss):
        function = jax.jit(
            lambda *a, loss=loss: (loss(*a), *checks.total_and_gradients(loss, case.floats)(*a))
        )
        yield function(hidden, table, bias, targets, where)


def test_tokens_that_are_none_take_no_part():
    """Rows that pad the table have the bias -inf: the first chunk here, and one in the last."""
    hidden, table, bias, targets, where = from_hidden().single()
    padding = np.isin(np.arange(TOKENS), [0, 1, 2, 3, 4, 12])
    targets = jnp.where(where, 5 + jnp.abs(targets) % 7, -100)
    kept = ~padding
    for loss, _, gradients in both_forms(
        hidden, table, jnp.where(padding, -jnp.inf, bias), targets, where
    ):
        expected = from_logits(hidden, table[kept], bias[kept], targets - 5, where)
        np.testing.assert_allclose(loss, expected, atol=1e-5)
        assert all(np.isfinite(g).all() for g in gradients)
        np.testing.assert_array_equal(gradients[1][padding], 0)


@pytest.mark.parametrize("wrong", [-1, TOKENS])
def test_a_chosen_target_outside_the_vocabulary_has_probability_0(wrong):
    hidden, table, bias, targets, where = from_hidden().single()
    targets = targets.at[3, 1].set(wrong)
    for loss, *_ in both_forms(hidden, table, bias, targets, where):
        np.testing.assert_array_equal(np.isinf(loss), np.arange(checks.BATCH) == 3)


LOGITS = hnp.arrays(
    np.float32, (checks.BATCH, POSITIONS, TOKENS), elements=st.floats(-500, 500, width=32)
)
TARGETS = hnp.arrays(np.int32, (checks.BATCH, POSITIONS), elements=st.integers(0, TOKENS - 1))
MASKS = hnp.arrays(bool, (checks.BATCH, POSITIONS))


@given(LOGITS, TARGETS, MASKS)
def test_is_finite_not_negative_and_blind_to_a_constant(logits, targets, where):
    found = checks.finite(losses.token_alignment, logits, targets, where)
    assert (found >= -1e-4).all()
    shifted = losses.token_alignment(*map(jnp.asarray, (logits + 64, targets, where)))
    np.testing.assert_allclose(shifted, found, rtol=1e-5, atol=1e-3)


@given(
    hnp.arrays(np.float32, (checks.BATCH, POSITIONS, WIDTH), elements=st.floats(-9, 9, width=32)),
    hnp.arrays(np.float32, (TOKENS, WIDTH), elements=st.floats(-9, 9, width=32)),
    TARGETS,
    MASKS,
)
def test_running_sums_are_sums(hidden, table, targets, where):
    arrays = tuple(map(jnp.asarray, (hidden, table, np.zeros(TOKENS, np.float32), targets, where)))
    found = checks.finite(from_hidden().loss, *arrays)
    np.testing.assert_allclose(found, from_logits(*arrays), rtol=1e-5, atol=1e-3)


def test_a_sharded_table_makes_no_difference():
    case = from_hidden(chunk_size=3)
    hidden, table, bias, targets, where = case.single()
    table, bias = jnp.resize(table, (16, WIDTH)), jnp.resize(bias, 16)
    arrays = hidden, table, bias, targets, where
    mesh = jax.make_mesh((2, 4), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    specs = [("data",), ("model",), ("model",), ("data",), ("data",)]
    sharded = [
        jax.device_put(a, NamedSharding(mesh, PartitionSpec(*spec)))
        for a, spec in zip(arrays, specs, strict=True)
    ]
    function = jax.jit(checks.total_and_gradients(case.loss, case.floats))
    found, expected = function(*sharded), function(*arrays)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6), found, expected)


def test_from_hidden_never_holds_the_logits():
    """At the shapes of multilingual BERT, compiled but not run."""
    rows, tokens, width = 614, 119547, 768
    shapes = [(1, rows, width), (tokens, width), (tokens,)]
    floats = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    integers = jax.ShapeDtypeStruct((1, rows), jnp.int32)
    mask = jax.ShapeDtypeStruct((1, rows), jnp.bool_)

    def total(*arrays):
        return losses.token_alignment_from_hidden(*arrays).sum()

    function = jax.jit(jax.value_and_grad(total, (0, 1, 2)))
    memory = function.lower(*floats, integers, mask).compile().memory_analysis()
    assert memory.temp_size_in_bytes < rows * tokens * 4 / 4


def test_wrong_arguments_are_named():
    hidden, table, bias, targets, where = from_hidden().single()
    loss = losses.token_alignment_from_hidden
    with checks.rejected(
        r"table must be \[V, D\] and bias \[V\], with hidden's D = 4, got \(13, 3\)"
    ):
        loss(hidden, table[:, 1:], bias, targets, where)
    with checks.rejected(r"got \(13, 4\) and \(12,\)"):
        loss(hidden, table, bias[1:], targets, where)
    with checks.rejected("targets must hold integers, got dtype float32"):
        loss(hidden, table, bias, targets.astype(jnp.float32), where)
    with checks.rejected("where must be a boolean mask, got dtype int32"):
        loss(hidden, table, bias, targets, where.astype(jnp.int32))
    with checks.rejected("chunk_size must be a positive whole number, got 0"):
        loss(hidden, table, bias, targets, where, chunk_size=0)
    logits = plain().single()[0]
    with checks.rejected(r"targets must be \[\.\.\., P\] = \(8, 3\), got \(8, 2\)"):
        losses.token_alignment(logits, targets[:, 1:], where)
    with checks.rejected(r"where must be \[\.\.\., P\] = \(8, 3\), got \(8,\)"):
        losses.token_alignment(logits, targets, where[:, 0])
    with checks.rejected(r"logits must be \[\.\.\., P, V\]"):
        losses.token_alignment(logits[0, 0], targets[0, 0], where[0, 0])
