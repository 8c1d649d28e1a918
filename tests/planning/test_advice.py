"""What a plan that does not fit says."""

import dataclasses

import pytest

from mmkd_jax import planning, training
from mmkd_jax.planning import Plan, Topology, advice
from mmkd_jax.runs import MMKDRunSettings, ModelSettings, PairSettings

GIB = 2**30
SETTINGS = MMKDRunSettings(pairs=PairSettings(folder="somewhere"), batch_size=1024)


def too_large(state: float, used: float, batch: int = 1024) -> Plan:
    return Plan(
        topology=Topology("v5e", (4, 4)),
        batch_size=batch,
        state_bytes=int(state * GIB),
        hbm_bytes=int(used * GIB),
        memory=None,
        flops=1e15,
        exchanges=None,
        seconds=None,
        compile_seconds=1.0,
        total_steps=10,
    )


def test_what_fits_needs_none():
    memory = planning.Memory(3 * GIB, 2 * GIB, 2 * GIB, 4 * GIB)
    plan = dataclasses.replace(too_large(2, 7), memory=memory)
    assert plan.fits
    assert memory.total == plan.hbm_bytes
    assert advice(plan, SETTINGS) == []


def test_activations_too_large():
    remat, batch, pieces = advice(too_large(2, 30), SETTINGS)
    assert "--config.student.remat=full" in remat
    limit = training.TPUS["v5e"].hbm / GIB
    fitting = int(64 * (limit - 2) / 28)
    assert f"--config.batch_size={16 * fitting}" in batch
    assert f"--config.accumulation.pieces={2 if fitting >= 32 else 4}" in pieces


def test_rematerialised_already():
    student = dataclasses.replace(SETTINGS.student, remat="full")
    lines = advice(too_large(2, 30), dataclasses.replace(SETTINGS, student=student))
    assert not any("remat" in line for line in lines)


@pytest.mark.parametrize(("state", "parts"), [(6, 2), (12, 4), (100, 16)])
def test_state_too_large(state, parts):
    [line] = [line for line in advice(too_large(state, state + 10), SETTINGS) if "fsdp" in line]
    assert f"--config.mesh.fsdp={parts}" in line


def test_state_is_split_within_a_slice():
    """A mesh whose parameters are split over slices is refused."""
    plan = too_large(100, 110)
    two = dataclasses.replace(plan, topology=dataclasses.replace(plan.topology, slices=2))
    [line] = [line for line in advice(two, SETTINGS) if "fsdp" in line]
    assert "--config.mesh.fsdp=16" in line
    mesh = training.MeshSettings(fsdp=16)
    assert mesh.shape(two.topology.chips)[0] % two.topology.slices == 0


def test_batches_that_are_counted_in_words():
    """Of taggers: the plan has rows, the config words."""
    words = dataclasses.replace(SETTINGS, batch_size=1024 * 40)
    in_words, in_rows = (
        next(line for line in advice(too_large(2, 30), settings) if "batch_size" in line)
        for settings in (words, SETTINGS)
    )
    found, rows = (int(line.partition("=")[2].partition(":")[0]) for line in (in_words, in_rows))
    assert found == 40 * rows


def test_not_even_one_example():
    lines = advice(too_large(2, 30, batch=16), SETTINGS)
    assert [line.partition("=")[0] for line in lines] == ["--config.student.remat"]


def test_the_advice_is_followed():
    """What is printed can be read back."""
    fields = {"dtype": "bfloat16", "vocabulary_size": 10}
    settings = dataclasses.replace(SETTINGS, student=ModelSettings(**fields))
    assert advice(too_large(2, 30), settings)[0].startswith("--config.student.remat=full ")
