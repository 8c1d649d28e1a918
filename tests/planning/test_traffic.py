"""What moves between a chip and its memory, as a reader of the program would count it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.planning._hlo import read_program
from mmkd_jax.planning._traffic import traffic


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


def test_twice_as_many_layers_in_a_loop_move_twice_as_much():
    """Each turn reads its layer of what is stacked, and writes its own: never the whole stack."""

    def loss(layers, x):
        x, _ = jax.lax.scan(lambda x, layer: (jnp.tanh(x * layer), None), x, layers)
        return x.sum()

    few, many = (
        moved(jax.grad(loss), jnp.ones((layers, 64, 64)), jnp.ones((64, 64))) for layers in (16, 32)
    )
    assert many == pytest.approx(2 * few, rel=0.1)


# As the compiler for TPUs writes them: fusions within fusions, several results of one, and arrays
# that lie on the chip. A stack has 12 layers of 1,024 bytes.
KINDS = {
    "STACK": "f32[12,256]{1,0:T(8,128)}",
    "LAYER": "f32[1,256]{1,0:T(1,128)}",
    "ON_CHIP": "f32[1,256]{1,0:T(1,128)S(1)}",
    "COUNTER": "s32[]{:T(128)S(6)}",
}
PROGRAMS = {
    "a fusion within takes a layer": (
        """
%inner {
  %a = STACK parameter(0)
  %i = COUNTER parameter(1)
  ROOT %slice = LAYER dynamic-slice(%a, %i, %i), dynamic_slice_sizes={1,256}
}
%fused {
  %a = STACK parameter(0)
  %i = COUNTER parameter(1)
  %within = LAYER fusion(%a, %i), kind=kLoop, calls=%inner
  ROOT %sine = LAYER sine(%within)
}
ENTRY %main {
  %a = STACK parameter(0)
  %i = COUNTER parameter(1)
  ROOT %out = LAYER fusion(%a, %i), kind=kOutput, calls=%fused
}
""",
        2,  # read, written
    ),
    "a layer of two stacks is written, and one stays on the chip": (
        """
%fused {
  %a = STACK parameter(0)
  %b = STACK parameter(1)
  %x = LAYER parameter(2)
  %i = COUNTER parameter(3)
  %sine = LAYER sine(%x)
  %one = STACK dynamic-update-slice(%a, %x, %i, %i)
  %other = STACK dynamic-update-slice(%b, %sine, %i, %i)
  %seen = STACK bitcast(%other)
  ROOT %all = (STACK, STACK, LAYER) tuple(%one, %seen, %sine)
}
ENTRY %main {
  %a = STACK parameter(0)
  %b = STACK parameter(1)
  %x = LAYER parameter(2)
  %i = COUNTER parameter(3)
  ROOT %out = (STACK, STACK, ON_CHIP) fusion(%a, %b, %x, %i), kind=kLoop, calls=%fused
}
""",
        3,  # x, and into each stack
    ),
    "a stack is made before a layer is written into it": (
        """
%fused {
  %x = LAYER parameter(0)
  %i = COUNTER parameter(1)
  %none = f32[] constant(0)
  %zeros = STACK broadcast(%none), dimensions={}
  ROOT %one = STACK dynamic-update-slice(%zeros, %x, %i, %i)
}
ENTRY %main {
  %x = LAYER parameter(0)
  %i = COUNTER parameter(1)
  ROOT %out = STACK fusion(%x, %i), kind=kLoop, calls=%fused
}
""",
        1 + 12,
    ),
    "what runs meanwhile counts once": (
        """
%meanwhile {
  %a = LAYER parameter(0)
  ROOT %copy = LAYER copy(%a)
}
ENTRY %main {
  %a = LAYER parameter(0)
  %start = ((LAYER), LAYER, COUNTER) async-start(%a), calls=%meanwhile
  ROOT %done = LAYER async-done(%start)
}
""",
        2,
    ),
    "a layer is brought onto the chip meanwhile, and a place for a stack is kept free": (
        """
ENTRY %main {
  %a = STACK parameter(0)
  %room = STACK custom-call(), custom_call_target="AllocateBuffer"
  %start = ((STACK), ON_CHIP, COUNTER) slice-start(%a), slice={[0:1], [0:256]}
  ROOT %done = ON_CHIP slice-done(%start)
}
""",
        1,
    ),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_programs_for_tpus(case):
    text, layers = PROGRAMS[case]
    for name, kind in KINDS.items():
        text = text.replace(name, kind)
    assert traffic(read_program(text)) == layers * 1024
