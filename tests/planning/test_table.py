import dataclasses
import re

from mmkd_jax import planning
from mmkd_jax.planning import Plan, Topology, table
from mmkd_jax.planning._collectives import Exchange

MIB = 2**20


def plan(scale: float) -> Plan:
    """One that is so many times as large as a small one."""
    return Plan(
        topology=Topology("v5e", (2, 2)),
        batch_size=8,
        state_bytes=int(scale * MIB),
        hbm_bytes=int(scale * 3 * MIB),
        memory=planning.Memory(int(scale * MIB), 0, 0, int(scale * 2 * MIB)),
        flops=scale * 1e9,
        exchanges=[Exchange("all-reduce", (2, 2), scale * 100, 4, 1, "")],
        seconds=planning.Roofline(scale * 2e-6, scale * 1e-6, scale * 3e-6, 0.0),
        compile_seconds=1.0,
        total_steps=int(1e6),
    )


def lines(found: Plan) -> dict[str, str]:
    return dict(re.split(r"  +", line.strip(), maxsplit=1) for line in table(found).splitlines())


def test_small_and_large_steps_are_told_in_units_of_their_size():
    small, large = lines(plan(1)), lines(plan(10_000))
    assert small["memory a chip"] == "3.0 MiB of 15.75 GiB, 0%: fits"
    assert large["memory a chip"] == "29.30 GiB of 15.75 GiB, 186%: DOES NOT FIT"
    assert (small["all-reduce"], large["all-reduce"]) == ("100.0 B", "976.6 KiB")
    assert (small["a step at best"], large["a step at best"]) == ("5.0 µs", "50.0 ms")
    assert (small["the whole run"], large["the whole run"]) == ("5.0 s", "13.9 h")
    assert small["network"] == "0.0 µs"


def test_a_run_as_long_as_its_data():
    assert "as long as its data" in table(dataclasses.replace(plan(1), total_steps=None))
