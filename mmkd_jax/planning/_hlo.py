"""What a compiled program says of itself: instructions, and how often each of them runs.

XLA's own counts take the body of a loop once. Its text has all that is needed to do better: loops
say how often they turn, and arrays say where they lie.
"""

import dataclasses
import functools
import math
import re
from collections.abc import Iterator, Mapping

_BITS = {"pred": 8, "token": 0, "opaque": 0}
_ARRAY = re.compile(r"\b([a-z]+)(\d+)?[a-z0-9]*\[([\d,<=]*)\](?:\{([^}]*)\})?")
_HEAD = re.compile(r"^\s*(ROOT )?%?([\w.\-]+) = ")
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) (?:\(.*)?\{\s*$")
_TRIPS = re.compile(r'known_trip_count"?\s*:\s*\{\s*"n"\s*:\s*"?(\d+)')
_CALLED = re.compile(
    r"(calls|body|condition|true_computation|false_computation|to_apply)=%?([\w.\-]+)"
)
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_COMMENT = re.compile(r"/\*.*?\*/")


@dataclasses.dataclass(frozen=True)
class Array:
    """An array of a chip's.

    Attributes:
      bytes: Its size, without padding.
      space: 0 for the large memory; others are on the chip itself.
    """

    bytes: int
    space: int


@dataclasses.dataclass(frozen=True)
class Instruction:
    """One line of the program.

    Attributes:
      name: Of what it computes.
      opcode: What it does.
      results: Its arrays; several of a tuple.
      arguments: What stands in its parentheses.
      attributes: All that stands behind the operands.
      is_root: Whether its computation gives it back.
    """

    name: str
    opcode: str
    results: tuple[Array, ...]
    arguments: str
    attributes: str
    is_root: bool

    @property
    def operands(self) -> list[str]:
        """The names of what it takes."""
        return re.findall(r"%([\w.\-]+)", self.arguments)

    @property
    def called(self) -> dict[str, str]:
        """The computations that it runs, by what they are to it."""
        found = dict(_CALLED.findall(self.attributes))
        if branches := _BRANCHES.search(self.attributes):
            names = [name.strip().lstrip("%") for name in branches.group(1).split(",")]
            found |= {f"branch {number}": name for number, name in enumerate(names)}
        return found

    @property
    def op_name(self) -> str:
        """Where in the Python program it comes from."""
        found = re.search(r'op_name="([^"]*)"', self.attributes)
        return found.group(1) if found else ""


Computation = Mapping[str, Instruction]


@dataclasses.dataclass(frozen=True)
class Program:
    """A compiled program.

    Attributes:
      computations: By name; each has its instructions by name, in order.
      entry: Where it begins.
    """

    computations: Mapping[str, Computation]
    entry: str

    def runs(self, inside_fusions: bool) -> Iterator[tuple[Instruction, Computation, float]]:
        """All instructions that run, where they stand, and how often each does.

        Of a conditional every branch counts in full: of one that skips a step, the usual one does
        all the work.

        Args:
          inside_fusions: Whether to go into what runs as one; the fusion itself comes either way.
        """
        yield from self._from(self.entry, 1.0, inside_fusions)

    def _from(
        self, name: str, times: float, inside_fusions: bool
    ) -> Iterator[tuple[Instruction, Computation, float]]:
        computation = self.computations[name]
        for instruction in computation.values():
            yield instruction, computation, times
            for role, called in instruction.called.items():
                if role == "to_apply" and instruction.opcode != "call":
                    continue  # what a reduction does to two numbers
                if role == "calls" and not inside_fusions and instruction.opcode == "fusion":
                    continue
                if role in ("body", "condition"):
                    yield from self._from(called, times * self.trips(instruction), inside_fusions)
                else:
                    yield from self._from(called, times, inside_fusions)

    def trips(self, loop: Instruction) -> int:
        """How often a loop turns; 1 where it does not say."""
        found = _TRIPS.search(loop.attributes)
        return int(found.group(1)) if found else 1


def read_program(text: str) -> Program:
    """Reads what ``compiled.as_text()`` gives."""
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if found := _COMPUTATION.match(line):
            current = computations.setdefault(found.group(2), {})
            entry = found.group(2) if found.group(1) else entry
        elif current is not None and (instruction := _instruction(line)):
            current[instruction.name] = instruction
    if not entry:
        raise ValueError("this is no text of a compiled program: it has no ENTRY")
    return Program(computations, entry)


def _instruction(line: str) -> Instruction | None:
    head = _HEAD.match(line)
    if not head:
        return None
    rest = _COMMENT.sub("", line[head.end() :])
    # A tuple's type stands in parentheses, and no other one has a space.
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.index(" ")
    kind, rest = rest[:end], rest[end:].lstrip()
    opening = rest.index("(")
    closing = _closing(rest, opening)
    return Instruction(
        head.group(2),
        rest[:opening],
        arrays(kind),
        rest[opening + 1 : closing],
        rest[closing + 1 :],
        bool(head.group(1)),
    )


def _closing(text: str, opening: int) -> int:
    """Where the parenthesis that opens there is closed."""
    depth = 0
    for place in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if not depth:
            return place
    raise ValueError(f"a parenthesis is never closed: {text[:100]}")


@functools.cache
def arrays(kind: str) -> tuple[Array, ...]:
    """The arrays of a type, ``f32[8,128]{1,0:T(8,128)S(1)}`` or a tuple of such."""
    found = []
    for match in _ARRAY.finditer(kind):
        name, bits, sizes, layout = match.groups()
        numbers = [int(size.removeprefix("<=")) for size in sizes.split(",") if size]
        width = _BITS[name] if name in _BITS else int(bits or 0)
        space = re.search(r"S\((\d+)\)", layout or "")
        found.append(
            Array(math.ceil(math.prod(numbers) * width / 8), int(space.group(1)) if space else 0)
        )
    return tuple(found)
