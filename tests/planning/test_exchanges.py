"""What is read off a compiled program, of eight virtual devices, is what was sent."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from mmkd_jax.planning._collectives import Exchange, by_kind, exchanges
from mmkd_jax.planning._hlo import arrays, read_program
from mmkd_jax.planning._traffic import traffic

DEVICES = 8
ROWS, COLUMNS = 4, 16  # of a shard


@pytest.fixture(scope="module")
def mesh():
    auto = (jax.sharding.AxisType.Auto,) * 2
    return jax.make_mesh((2, 4), ("outer", "inner"), axis_types=auto)


def found_in(function, mesh: Mesh, slices: int = 1) -> list[Exchange]:
    spec = PartitionSpec(("outer", "inner"))
    mapped = jax.shard_map(function, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    argument = jax.ShapeDtypeStruct((DEVICES * ROWS, COLUMNS), jnp.float32)
    compiled = jax.jit(mapped).lower(argument).compile()
    return exchanges(read_program(compiled.as_text()), DEVICES, slices)


SHARD = 4 * ROWS * COLUMNS
CASES = {
    "all-reduce": (lambda x: jax.lax.psum(x, "inner"), SHARD, 2 * SHARD * 3 / 4),
    "all-gather": (
        lambda x: jax.lax.all_gather(x, "inner", tiled=True)[:ROWS] * 2,
        4 * SHARD,
        4 * SHARD * 3 / 4,
    ),
    "reduce-scatter": (
        lambda x: jnp.tile(jax.lax.psum_scatter(x, "inner", tiled=True), (4, 1)),
        SHARD,
        SHARD * 3 / 4,
    ),
    "all-to-all": (
        lambda x: jax.lax.all_to_all(x, "inner", 0, 0, tiled=True),
        SHARD,
        SHARD * 3 / 4,
    ),
    "collective-permute": (
        lambda x: jax.lax.ppermute(x, "inner", [(n, (n + 1) % 4) for n in range(4)]),
        SHARD,
        SHARD,
    ),
}


@pytest.mark.parametrize("kind", CASES)
def test_kinds(kind, mesh):
    function, size, sent = CASES[kind]
    [exchange] = found_in(function, mesh)
    assert (exchange.kind, exchange.bytes) == (kind, size)
    assert exchange.sent == sent
    assert exchange.sent_to_slices == 0


@pytest.mark.parametrize("kind", CASES)
def test_in_a_loop_each_turn_counts(kind, mesh):
    function, size, _ = CASES[kind]

    def rounds(x):
        return jax.lax.fori_loop(0, 7, lambda _, x: jnp.sin(function(x)), x)

    assert by_kind(found_in(rounds, mesh)) == {kind: 7 * size}


def test_loops_in_loops(mesh):
    def inner(x):
        return jax.lax.fori_loop(0, 3, lambda _, x: jnp.sin(jax.lax.psum(x, "inner")), x)

    found = found_in(lambda x: jax.lax.fori_loop(0, 5, lambda _, x: inner(x), x), mesh)
    assert by_kind(found) == {"all-reduce": 15 * SHARD}


def test_two_slices(mesh):
    """Devices 0-3 are one slice: over "inner" nothing leaves it, over "outer" everything does."""
    [within] = found_in(CASES["all-reduce"][0], mesh, slices=2)
    assert (within.chips, within.slices, within.sent_to_slices) == (4, 1, 0)
    [across] = found_in(lambda x: jax.lax.psum(x, "outer"), mesh, slices=2)
    assert (across.chips, across.slices) == (2, 2)
    assert (across.sent, across.sent_to_slices) == (0, SHARD)
    [both] = found_in(lambda x: jax.lax.psum(x, ("outer", "inner")), mesh, slices=2)
    assert (both.chips, both.slices) == (8, 2)
    assert (both.sent, both.sent_to_slices) == (2 * SHARD * 3 / 4, SHARD / 4)


def test_where_it_comes_from(mesh):
    def named(x):
        with jax.named_scope("a_name"):
            return jax.lax.psum(x, "inner")

    [exchange] = found_in(named, mesh)
    assert "a_name" in exchange.op_name


def test_one_device_sends_nothing():
    text = jax.jit(lambda x: x @ x).lower(jnp.ones((4, 4))).compile().as_text()
    assert exchanges(read_program(text), 1, 1) == []


def test_types():
    assert [(a.bytes, a.space) for a in arrays("f32[8,128]{1,0:T(8,128)S(1)}")] == [(4096, 1)]
    assert [a.bytes for a in arrays("(bf16[3]{0:T(256)(2,1)}, pred[], s4[5], u32[2])")] == [
        *(6, 1, 3, 8)
    ]
    assert [a.bytes for a in arrays("f8e4m3fn[16]{0}")] == [16]


def test_no_program():
    with pytest.raises(ValueError, match="ENTRY"):
        read_program("nothing")


# --- Traffic ------------------------------------------------------------------------------------


def moved(function, *arguments) -> float:
    return traffic(read_program(jax.jit(function).lower(*arguments).compile().as_text()))


def test_a_sum_reads_two_and_writes_one():
    x = jnp.ones((256, 256))
    assert moved(lambda x, y: x + y, x, x) == 3 * x.nbytes


def test_a_slice_is_what_is_read_of_a_table():
    table = jnp.ones((1000, 64))

    def chunk(table, start):
        return 2 * jax.lax.dynamic_slice_in_dim(table, start, 10)

    read = moved(chunk, table, 3)
    assert 2 * 10 * 64 * 4 <= read < 3 * 10 * 64 * 4


def test_what_loops_move_counts_each_time():
    table = jnp.ones((1000, 64))

    def add(table, x):
        return jax.lax.fori_loop(0, 100, partial(step, table), x)

    def step(table, number, x):
        return x + jnp.sin(jax.lax.dynamic_slice_in_dim(table, 10 * number, 10))

    once = 10 * 64 * 4
    assert 100 * 3 * once <= moved(add, table, np.ones((10, 64), np.float32)) < 100 * 5 * once
