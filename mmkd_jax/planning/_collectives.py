"""What chips send one another in a step."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from mmkd_jax.planning._hlo import Array, Computation, Instruction, Program

KINDS = (
    *("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "ragged-all-to-all"),
    *("collective-permute", "collective-broadcast", "send"),
)
_PAIRS = re.compile(r"source_target_pairs=\{(.*?)\}\}?")
_LISTED = re.compile(r"replica_groups=\{(\{[\d,]*\})")
_IOTA = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
# Groups by names of axes: of a mesh of all chips, those that differ along some axes, or along a
# part of one, which is written 'name':(parts before it)its parts.
_MESH = re.compile(r"replica_groups=mesh\[([^\]]*)\][^{]*\{([^}]*)\}")
_SIZE = re.compile(r"'([^']*)'=(\d+)")
_AXIS = re.compile(r"'([^']*)'(?::\((\d+)\)(\d+))?")


class Exchange(NamedTuple):
    """A collective of one array, as often as it runs. What XLA has put together comes apart here.

    Attributes:
      kind: Such as "all-reduce".
      shape: Of the array: what is reduced or to be scattered, what was gathered.
      bytes: Of it, times how often it runs.
      chips: That take part in it together.
      slices: That those chips lie in.
      op_name: Where in the Python program the array comes from.
    """

    kind: str
    shape: tuple[int, ...]
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
        for array, name in _arrays(instruction, computation, kind):
            found.append(Exchange(kind, array.shape, times * array.bytes, len(group), across, name))
    # A group of one sends nothing.
    return [exchange for exchange in found if exchange.chips > 1]


def by_kind(found: list[Exchange]) -> Mapping[str, float]:
    """Bytes of each kind."""
    sums: dict[str, float] = defaultdict(float)
    for exchange in found:
        sums[exchange.kind] += exchange.bytes
    return dict(sorted(sums.items()))


def _arrays(
    instruction: Instruction, computation: Computation, kind: str
) -> Iterator[tuple[Array, str]]:
    """Each array as it is when it is whole, and where it comes from."""
    given = [computation[name] for name in instruction.operands if name in computation]
    taken = [(array, source.op_name) for source in given for array in source.results]
    results = instruction.results
    if instruction.opcode.endswith("-start") and kind in ("all-gather", "collective-permute"):
        results = results[len(taken) : 2 * len(taken)]  # behind what it was given
    if kind == "send" or len(results) != len(taken):
        results = tuple(array for array, _ in taken)
    for (array, name), result in zip(taken, results, strict=True):
        whole = max(array, result, key=lambda one: one.bytes)
        yield whole, f"{name} {instruction.op_name}"


def _group(instruction: Instruction, chips: int) -> np.ndarray:
    """One of the groups that do it together."""
    attributes = instruction.attributes
    if pairs := _PAIRS.search(attributes):
        # Of all pairs one that leaves its slice, if there is one: the farthest apart.
        numbers = np.array(re.findall(r"\d+", pairs.group(1)), int).reshape(-1, 2)
        return numbers[np.abs(numbers[:, 0] - numbers[:, 1]).argmax()]
    if listed := _LISTED.search(attributes):
        return np.array(re.findall(r"\d+", listed.group(1)), int)
    if iota := _IOTA.search(attributes):
        sizes, before, order = (
            [int(n) for n in part.split(",")] if part else None for part in iota.groups()
        )
        numbers = np.arange(np.prod(before)).reshape(before)
        return (numbers if order is None else numbers.transpose(order)).reshape(sizes)[0]
    if mesh := _MESH.search(attributes):
        return _group_of_mesh(mesh.group(1), mesh.group(2))
    return np.arange(chips)


def _group_of_mesh(sizes: str, axes: str) -> np.ndarray:
    """The chips that differ from the first one along these axes alone."""
    known = {name: int(size) for name, size in _SIZE.findall(sizes)}
    strides, stride = {}, 1
    for name, size in reversed(known.items()):
        strides[name], stride = stride, stride * size
    group = np.zeros(1, int)
    for name, before, parts in _AXIS.findall(axes):
        count = int(parts or known[name])
        step = strides[name] * known[name] // (int(before or 1) * count)
        group = (group[:, None] + step * np.arange(count)).reshape(-1)
    return group
