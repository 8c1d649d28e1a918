"""How many bytes a step moves between a chip and its memory."""

from collections.abc import Iterator

from mmkd_jax.planning._hlo import Computation, Instruction, Program

# They name, group or run others, and move nothing themselves.
_STILL = (
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional"),
    *("call", "after-all", "opt-barrier", "partition-id", "replica-id", "iota", "async-update"),
)
_TAKES_A_PART = ("dynamic-slice", "slice", "gather")


def traffic(program: Program) -> float:
    """Bytes that all instructions read and write in memory, each as often as it runs.

    What is kept on the chip counts nothing; of an array that is read or written in part, the part
    counts.
    """
    return sum(
        (
            times * _moved(instruction, computation, program)
            for instruction, computation, times in program.runs(inside_fusions=False)
        ),
        0.0,
    )


def _moved(instruction: Instruction, computation: Computation, program: Program) -> float | int:
    opcode = instruction.opcode
    # What begins and ends in two instructions has written its result by the second.
    if opcode in _STILL or opcode.endswith("-start"):
        return 0
    if opcode.endswith("-done"):
        return 2 * sum(array.bytes for array in instruction.results)
    if opcode in _TAKES_A_PART:
        return 2 * _size(instruction)
    if opcode == "dynamic-update-slice":
        return 2 * _size(computation.get(instruction.operands[1]))
    if opcode == "fusion":
        return _of_fusion(instruction, computation, program)
    return _size(instruction) + sum(_size(computation.get(name)) for name in instruction.operands)


def _of_fusion(fusion: Instruction, computation: Computation, program: Program) -> float | int:
    inside = program.computations[fusion.called["calls"]]
    read = 0.0
    for parameter in inside.values():
        if parameter.opcode == "parameter":
            given = computation.get(fusion.operands[int(parameter.arguments)])
            read += min(_size(given), _read_of(parameter, inside))
    [root] = [instruction for instruction in inside.values() if instruction.is_root]
    written = _size(fusion)
    if root.opcode == "dynamic-update-slice":  # in place
        written = min(written, sum(a.bytes for a in inside[root.operands[1]].results))
    return read + written


def _read_of(parameter: Instruction, inside: Computation) -> float | int:
    """Bytes of a fusion's parameter that are read: all, or the slices that are taken of it."""
    total = 0.0
    for user in _users(parameter.name, inside):
        first = user.operands[0] == parameter.name
        if user.opcode == "bitcast":
            total += _read_of(user, inside)
        elif user.opcode in _TAKES_A_PART and first:
            total += sum(array.bytes for array in user.results)
        elif not (user.opcode == "dynamic-update-slice" and first):
            return sum(array.bytes for array in parameter.results)
    return total


def _users(name: str, inside: Computation) -> Iterator[Instruction]:
    return (user for user in inside.values() if name in user.operands)


def _size(instruction: Instruction | None) -> int:
    """Bytes of an instruction's results that lie in memory."""
    if instruction is None:
        return 0
    return sum(array.bytes for array in instruction.results if not array.space)
