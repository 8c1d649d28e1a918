"""TPUs that are not there: their names, and devices to compile for."""

import dataclasses
import importlib.metadata
import importlib.util
import math
import os
import re
from typing import Any

from mmkd_jax.training import TPU, TPUS

# For libtpu, which would ask the cloud where it is, and keep a TPU for one process alone.
VARIABLES = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    # It warns of these where they are not set, though nothing asks for them.
    "TPU_ACCELERATOR_TYPE": "v5e-1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
}
# The compiler's names, and what a host has at most of each axis.
_COMPILER = {
    "v4": ("v4", (2, 2, 1)),
    "v5e": ("v5e", (2, 2, 1)),
    "v5p": ("v5", (2, 2, 1)),
    "v6e": ("v6e", (2, 2, 1)),
}
_AXES = {"v4": 3, "v5e": 2, "v5p": 3, "v6e": 2}


@dataclasses.dataclass(frozen=True)
class Topology:
    """Slices of TPUs, all alike.

    Attributes:
      kind: v4, v5e, v5p or v6e.
      shape: Chips along each axis of a slice.
      slices: How many there are; the network of the data centre connects them.
    """

    kind: str
    shape: tuple[int, ...]
    slices: int = 1

    def __post_init__(self):
        if self.kind not in TPUS:
            raise ValueError(f"the kind of TPU must be {', '.join(TPUS)}, got {self.kind!r}")
        axes = _AXES[self.kind]
        if len(self.shape) != axes or min(self.shape) < 1:
            example = "x".join(["4"] * axes)
            raise ValueError(
                f"{self.kind} has {axes} axes, such as {self.kind}:{example}, "
                f"got {'x'.join(map(str, self.shape))}"
            )
        if self.slices < 1:
            raise ValueError(f"slices must be at least 1, got {self.slices}")

    @property
    def chips(self) -> int:
        """In all slices."""
        return math.prod(self.shape) * self.slices

    @property
    def tpu(self) -> TPU:
        """What one chip can do."""
        return TPUS[self.kind]

    def __str__(self):
        return f"{self.kind}:{'x'.join(map(str, self.shape))}"


def parse_topology(text: str, slices: int = 1) -> Topology:
    """Reads ``v5e:16x16`` or ``v5p:4x4x4``."""
    found = re.fullmatch(r"(\w+):(\d+(?:x\d+)+)", text)
    if not found:
        raise ValueError(
            "a topology is a kind of TPU and the chips along each axis of a slice, such as "
            f"v5e:16x16 or v5p:4x4x8, got {text!r}"
        )
    kind, shape = found.groups()
    return Topology(kind, tuple(int(size) for size in shape.split("x")), slices)


def devices_of(topology: Topology) -> list[Any]:
    """Devices that programs can be compiled for, and nothing else.

    Raises:
      ModuleNotFoundError: If libtpu is not installed.
      ValueError: If the compiler knows no such slice.
    """
    check_libtpu()
    for name, value in VARIABLES.items():
        os.environ[name] = value
    from jax.experimental import topologies

    name, per_host = _COMPILER[topology.kind]
    shape = "x".join(map(str, topology.shape))
    bounds = [math.gcd(size, most) for size, most in zip(topology.shape, per_host, strict=False)]
    arguments: dict[str, Any] = {"chips_per_host_bounds": tuple(bounds + [1] * (3 - len(bounds)))}
    if topology.kind == "v4":
        arguments["chip_config_name"] = "megacore"  # a chip's two cores as one device
    if topology.slices > 1:
        arguments["num_slices"] = topology.slices
    try:
        return topologies.get_topology_desc(f"{name}:{shape}", "tpu", **arguments).devices
    except RuntimeError as error:
        raise ValueError(f"the compiler knows no slice {topology}: {error}") from error


def check_libtpu() -> None:
    """Raises ModuleNotFoundError unless the compiler for TPUs is there, in the right version."""
    wanted = next(
        (line for line in importlib.metadata.requires("jax") or () if line.startswith("libtpu")), ""
    ).partition(";")[0]
    if not importlib.util.find_spec("libtpu"):
        raise ModuleNotFoundError(
            f"libtpu is not installed, which compiles for TPUs: pip install '{wanted.strip()}', "
            'or the extra "plan" of this package'
        )
