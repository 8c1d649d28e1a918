"""The plan of a run: whether it fits, how long it takes, and what the chips send one another."""

import dataclasses
import logging
import re
import time
from typing import Any

import jax
import numpy as np

from mmkd_jax import training
from mmkd_jax.planning._collectives import Exchange, by_kind, exchanges
from mmkd_jax.planning._hlo import read_program
from mmkd_jax.planning._products import passes_flops
from mmkd_jax.planning._roofline import STATED, Roofline, roofline
from mmkd_jax.planning._topology import Topology, devices_of
from mmkd_jax.planning._traffic import traffic
from mmkd_jax.runs import RUNS

_LOG = logging.getLogger(__name__)
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# What the compiler says when it gives up: of all that a step takes, or of what lives within it.
_TOO_MUCH = re.compile(r"(Used |HLO temporaries \()([\d.]+)([KMGT]?)\b")


@dataclasses.dataclass(frozen=True)
class Memory:
    """Bytes of one chip's memory that a step takes.

    Attributes:
      arguments: State, frozen parameters and batch.
      outputs: The new state and metrics.
      aliased: What of them is the old state's memory.
      temporaries: What lives within the step.
    """

    arguments: int
    outputs: int
    aliased: int
    temporaries: int

    @property
    def total(self) -> int:
        """All together."""
        return self.arguments + self.outputs + self.temporaries - self.aliased


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is known of a run before it has a machine.

    Attributes:
      topology: The slices.
      batch_size: Examples a step.
      state_bytes: Of state and frozen parameters on one chip.
      hbm_bytes: Of one chip's memory that the step takes.
      memory: What it takes them for; None where the compiler has given up.
      flops: Of a step, by the method's formula.
      exchanges: What chips send one another; None where the compiler has given up.
      seconds: Of a step at best; likewise.
      compile_seconds: Here.
      total_steps: Of the run; None where they depend on how much data there is.
    """

    topology: Topology
    batch_size: int
    state_bytes: int
    hbm_bytes: int
    memory: Memory | None
    flops: float
    exchanges: list[Exchange] | None
    seconds: Roofline | None
    compile_seconds: float
    total_steps: int | None

    @property
    def hours(self) -> float | None:
        """Of the whole run at best, where that is known."""
        if self.seconds is None or self.total_steps is None:
            return None
        return self.total_steps * self.seconds.step / 3600

    @property
    def fits(self) -> bool:
        """Whether a chip's memory is large enough."""
        return self.memory is not None and self.hbm_bytes <= self.topology.tpu.hbm

    @property
    def mfu(self) -> float | None:
        """The share of the chips' best that goes into what the method has to multiply."""
        if self.seconds is None:
            return None
        peak = training.peak_flops(self.topology.tpu.kind, "bfloat16")
        return self.flops / self.seconds.step / peak / self.topology.chips

    @property
    def of_vectors(self) -> float | None:
        """The share of what is sent that compares examples with one another."""
        if self.exchanges is None:
            return None
        total = sum(exchange.bytes for exchange in self.exchanges)
        across = sum(exchange.bytes for exchange in self.exchanges if self._is_of_vectors(exchange))
        return across / total if total else 0.0

    def _is_of_vectors(self, exchange: Exchange) -> bool:
        """A row for each example of the whole batch: no gradient of a parameter has that."""
        named = training.ACROSS_EXAMPLES in exchange.op_name
        return named and exchange.shape[:1] == (self.batch_size,)

    def to_dict(self) -> dict[str, Any]:
        """As json can write it."""
        step = self.seconds and self.seconds.step
        return {
            "topology": str(self.topology),
            "slices": self.topology.slices,
            "chips": self.topology.chips,
            "batch_size": self.batch_size,
            "hbm_bytes_per_chip": self.hbm_bytes,
            "hbm_limit": int(self.topology.tpu.hbm),
            "state_bytes": self.state_bytes,
            "hbm": self.memory and dataclasses.asdict(self.memory),
            "fits": self.fits,
            "flops_per_step": self.flops,
            "collective_bytes_per_chip": self.exchanges and by_kind(self.exchanges),
            "collective_share_of_sentence_vectors": self.of_vectors,
            "compile_seconds": self.compile_seconds,
            "predicted_step_seconds": step,
            "predicted_seconds": self.seconds and dataclasses.asdict(self.seconds),
            "predicted_mfu": self.mfu,
            "roofline": STATED,
            "pairs_per_second": step and self.batch_size / step,
            "hours_for_run": self.hours,
        }


def plan(settings: Any, topology: Topology) -> Plan:
    """Compiles the step of a run for TPUs that need not be there.

    Args:
      settings: Of the run, as `mmkd_jax.config.read` gives them.
      topology: The slices.
    """
    mesh = training.make_mesh(settings.mesh, devices_of(topology))
    shapes = RUNS[settings.method].abstract(settings, mesh)
    _check_batch(shapes.batch, mesh)
    begin = time.perf_counter()
    traced = shapes.jitted().trace(shapes.state, shapes.frozen, shapes.batch)
    lowered = traced.lower()
    known = {
        "topology": topology,
        "batch_size": _examples(shapes.batch),
        "state_bytes": _bytes_of_chip((shapes.state, shapes.frozen)),
        "flops": shapes.method.flops(_full(shapes.batch)),
        "total_steps": None if getattr(settings, "epochs", 0) else settings.total_steps,
    }
    _LOG.info(
        "compiling a step for %d chips of %s: seconds for small models, minutes for large ones",
        topology.chips,
        topology.kind,
    )
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        found = _TOO_MUCH.search(str(error))
        if found is None or "RESOURCE_EXHAUSTED" not in str(error):
            raise
        said, number, unit = found.groups()
        used = float(number) * _UNITS[unit] + (0 if said == "Used " else known["state_bytes"])
        seconds = time.perf_counter() - begin
        return Plan(
            **known,
            hbm_bytes=int(used),
            memory=None,
            exchanges=None,
            seconds=None,
            compile_seconds=seconds,
        )
    seconds = time.perf_counter() - begin
    program = read_program(compiled.as_text())
    sent = exchanges(program, topology.chips, topology.slices)
    memory = _memory(compiled.memory_analysis())
    products = passes_flops(traced.jaxpr.jaxpr) / topology.chips
    return Plan(
        **known,
        hbm_bytes=memory.total,
        memory=memory,
        exchanges=sent,
        seconds=roofline(topology.tpu, products, traffic(program), sent),
        compile_seconds=seconds,
    )


def _memory(analysis: Any) -> Memory:
    return Memory(
        analysis.argument_size_in_bytes,
        analysis.output_size_in_bytes,
        analysis.alias_size_in_bytes,
        analysis.temp_size_in_bytes,
    )


def _examples(batch: Any) -> int:
    return jax.tree.leaves(batch)[0].shape[0]


def _check_batch(batch: Any, mesh: jax.sharding.Mesh) -> None:
    parts = mesh.shape["data"] * mesh.shape["fsdp"]
    if (examples := _examples(batch)) % parts:
        raise ValueError(
            f'a batch of {examples} is not divided by the {parts} parts that the axes "data" and '
            f'"fsdp" of the mesh make: set batch_size to a multiple of {parts}'
        )


def _full(batch: Any) -> Any:
    """A batch without padding, which is what the step computes whatever it gets."""
    full = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), batch)
    if "lengths" in full._fields:
        rows, words = full.tags.shape
        full = full._replace(lengths=np.full(rows, words, np.int32))
    return full


def _bytes_of_chip(tree: Any) -> int:
    return sum(
        int(np.prod(leaf.sharding.shard_shape(leaf.shape))) * leaf.dtype.itemsize
        for leaf in jax.tree.leaves(tree)
    )
