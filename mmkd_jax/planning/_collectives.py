"""What chips send one another in a step."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mmkd_jax.planning._hlo import Computation, Instruction, Program

KINDS = (
    *("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "ragged-all-to-all"),
    *("collective-permute", "collective-broadcast", "send"),
)
_LISTED = re.compile(r"replica_groups=\{(\{[\d,]*\})")
_IOTA = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")


class Exchange(NamedTuple):
    """A collective as often as it runs.

    Attributes:
      kind: Such as "all-reduce".
      bytes: Of the whole array that it is about, on one chip, times how often it runs.
      chips: That take part in it together.
      slices: That those chips lie in.
      op_name: Where in the Python program it comes from.
    """

    kind: str
    bytes: float
    chips: int
    slices: int
    op_name: str

    @property
    def sent(self) -> float:
        """Bytes that a chip sends to others of its slice at least, in rings."""
        return self._ring(self.bytes, self.chips // self.slices)

    @property
    def sent_to_slices(self) -> float:
        """Bytes that a chip sends to other slices at least.

        The chips of a slice share in what the slice has to send.
        """
        return self._ring(self.bytes / (self.chips // self.slices), self.slices)

    def _ring(self, size: float, members: int) -> float:
        if self.kind in ("collective-permute", "send"):
            return size if members > 1 else 0.0
        rounds = 2 if self.kind == "all-reduce" else 1
        return size * rounds * (members - 1) / members


def exchanges(program: Program, chips: int, slices: int) -> list[Exchange]:
    """All of a program's.

    Args:
      program: Compiled.
      chips: That run it.
      slices: That they lie in, one after the other.
    """
    found = []
    for instruction, computation, times in program.runs(inside_fusions=True):
        kind = instruction.opcode.removesuffix("-start")
        if kind not in KINDS or not times:
            continue
        group = _group(instruction, chips)
        across = len({int(chip) * slices // chips for chip in group})
        size = times * _payload(instruction, computation, kind)
        found.append(Exchange(kind, size, len(group), across, instruction.op_name))
    # A group of one sends nothing.
    return [exchange for exchange in found if exchange.chips > 1]


def by_kind(found: list[Exchange]) -> Mapping[str, float]:
    """Bytes of each kind."""
    sums: dict[str, float] = defaultdict(float)
    for exchange in found:
        sums[exchange.kind] += exchange.bytes
    return dict(sorted(sums.items()))


def _payload(instruction: Instruction, computation: Computation, kind: str) -> int:
    """The whole array: what is gathered, what is reduced, what is to be scattered."""
    taken = sum(
        array.bytes
        for name in instruction.operands
        if name in computation
        for array in computation[name].results
    )
    results = [array.bytes for array in instruction.results]
    given = sum(results)
    if instruction.opcode.endswith("-start") and kind in ("all-gather", "collective-permute"):
        given -= taken  # it hands on what it was given, and then the result
    return max(taken, given) if kind != "send" else taken


def _group(instruction: Instruction, chips: int) -> np.ndarray:
    """One of the groups that do it together."""
    if listed := _LISTED.search(instruction.attributes):
        return np.array([int(n) for n in listed.group(1).strip("{}").split(",") if n], int)
    if iota := _IOTA.search(instruction.attributes):
        sizes, before, order = (
            [int(n) for n in part.split(",")] if part else None for part in iota.groups()
        )
        numbers = np.arange(np.prod(before)).reshape(before)
        return (numbers if order is None else numbers.transpose(order)).reshape(sizes)[0]
    return np.arange(chips)
