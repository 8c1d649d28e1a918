import dataclasses

import numpy as np
import pytest

from mmkd_jax import training
from mmkd_jax.planning import Topology, parse_topology
from mmkd_jax.training import TPUS, peak_flops


def test_names():
    assert parse_topology("v5e:16x16") == Topology("v5e", (16, 16))
    assert str(parse_topology("v5p:4x4x8")) == "v5p:4x4x8"
    assert parse_topology("v6e:4x8", slices=3).chips == 96


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("v5e-256", "such as v5e:16x16"),
        ("v5e:256", "such as v5e:16x16"),
        ("v3:4x4", "v4, v5e, v5p, v6e"),
        ("v5e:4x4x4", "v5e has 2 axes"),
        ("v4:4x4", "such as v4:4x4x4"),
        ("v5e:0x4", "v5e has 2 axes"),
    ],
)
def test_other_names(name, said):
    with pytest.raises(ValueError, match=said):
        parse_topology(name)


def test_slices():
    with pytest.raises(ValueError, match="slices must be at least 1"):
        parse_topology("v5e:4x4", slices=0)


@pytest.mark.parametrize("kind", TPUS)
def test_what_is_known_of_each(kind):
    tpu = TPUS[kind]
    assert peak_flops(tpu.kind, "bfloat16") > 1e14
    # The large memory is slower than the chip, links slower than it, the network slowest.
    assert peak_flops(tpu.kind, "bfloat16") > tpu.hbm_bandwidth > tpu.links > tpu.network


@dataclasses.dataclass(frozen=True)
class Device:
    """Enough of a device for a mesh."""

    id: int
    slice_index: int
    process_index: int = 0
    platform: str = "cpu"
    device_kind: str = "a device of a test"


def test_meshes_of_slices():
    """Slices make up the outermost part of the axis "data"; fsdp stays within one."""
    devices = [Device(number, number // 8) for number in range(16)]
    mesh = training.make_mesh(training.MeshSettings(fsdp=2, model=2), devices)
    assert dict(mesh.shape) == {"data": 4, "fsdp": 2, "model": 2}
    slices = np.vectorize(lambda device: device.slice_index)(mesh.devices)
    np.testing.assert_array_equal(slices[:2], 0)
    np.testing.assert_array_equal(slices[2:], 1)


def test_parameters_are_not_split_over_slices():
    devices = [Device(number, number // 4) for number in range(8)]
    with pytest.raises(ValueError, match="mesh.data must be a multiple of the 2 slices"):
        training.make_mesh(training.MeshSettings(fsdp=8), devices)
