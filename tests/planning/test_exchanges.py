"""What is read off a compiled program, of eight virtual devices, is what was sent."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import Mesh, PartitionSpec

from mmkd_jax.planning._collectives import Exchange, _group, by_kind, exchanges
from mmkd_jax.planning._hlo import Instruction, arrays, read_program

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
    found = found_in(function, mesh)
    assert by_kind(found) == {kind: size}
    assert sum(exchange.sent for exchange in found) == sent
    assert not any(exchange.sent_to_slices for exchange in found)


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


@pytest.mark.parametrize(
    ("groups", "members"),
    [
        ("{{0,2},{1,3}}", [0, 2]),
        ("[2,2]<=[4]", [0, 1]),
        ("[2,2]<=[2,2]T(1,0)", [0, 2]),
        ("mesh['a'=2,'b'=2] {'b'}", [0, 1]),
        ("mesh['a'=2,'b'=2] {'a'}", [0, 2]),
        ("mesh['a'=2,'b'=2] {'a','b'}", [0, 1, 2, 3]),
        ("mesh['a'=8] {'a':(2)4}", [0, 1, 2, 3]),
        ("mesh['a'=8] {'a':(1)2}", [0, 4]),
    ],
)
def test_groups(groups, members):
    attributes = f", replica_groups={groups}, to_apply=%add"
    instruction = Instruction("a", "all-reduce", (), "%b", attributes, False)
    assert _group(instruction, 8).tolist() == members


def test_arrays_that_were_put_together_come_apart(mesh):
    """Each keeps its own shape, and the name of what has made it."""

    def both(x):
        with jax.named_scope("one"):
            first = jnp.sin(x)
        with jax.named_scope("other"):
            second = jnp.cos(x).sum(axis=0)
        return jax.lax.psum(first, "inner") + jax.lax.psum(second, "inner")[None]

    found = {exchange.shape: exchange for exchange in found_in(both, mesh)}
    assert found.keys() == {(ROWS, COLUMNS), (COLUMNS,)}
    assert found[ROWS, COLUMNS].bytes == SHARD and found[COLUMNS,].bytes == SHARD / ROWS


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
