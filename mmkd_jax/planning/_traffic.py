"""How many bytes a step moves between a chip and its memory."""

import re
from collections.abc import Iterator

from mmkd_jax.planning._hlo import Computation, Instruction, Program

# They name, group or run others, and move nothing themselves.
_STILL = (
    *("parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional"),
    *("call", "after-all", "opt-barrier", "partition-id", "replica-id", "iota", "async-update"),
)
_STILL_CALLS = re.compile(
    r'custom_call_target="(AllocateBuffer|ConcatBitcast|AssumeGatherIndicesInBound|Sharding)"'
)
_TAKES_A_PART = ("dynamic-slice", "slice", "gather")


def traffic(program: Program) -> float:
    """Bytes that all instructions read and write in memory, each as often as it runs.

    What is kept on the chip counts nothing; of an array that is read or written in part, the part
    counts: of the layers that a loop has stacked, one a turn.
    """
    return sum(
        (
            times * _moved(instruction, computation, program)
            for instruction, computation, times in program.runs(inside_fusions=False)
        ),
        0.0,
    )


def _moved(instruction: Instruction, computation: Computation, program: Program) -> int:
    opcode = instruction.opcode
    # What begins and ends in two instructions has written its result by the second.
    if opcode in _STILL or opcode.endswith("-start"):
        return 0
    if opcode == "custom-call" and _STILL_CALLS.search(instruction.attributes):
        return 0
    given = [computation.get(name) for name in instruction.operands]
    if opcode == "fusion":
        return _of_fusion(instruction, given, program)
    if opcode.endswith("-done") and given[0]:
        if given[0].called:
            return 0  # what it runs meanwhile counts by itself
        given = [computation.get(name) for name in given[0].operands]
    if opcode.endswith("-done") or opcode in _TAKES_A_PART:
        read = _bytes(instruction) if _size(given[0]) else 0
        return read + _size(instruction)
    if opcode == "dynamic-update-slice":
        return _size(given[1]) + (_bytes(given[1]) if _size(instruction) else 0)
    return _size(instruction) + sum(map(_size, given))


def _of_fusion(fusion: Instruction, given: list[Instruction | None], program: Program) -> int:
    inside = _inside(fusion, program)
    parameters = _parameters(inside)
    read = sum(
        min(_size(source), _read_of(parameters[number], inside, program))
        for number, source in enumerate(given)
    )
    written = sum(
        min(array.bytes, _written_of(_root(inside), number, inside, program))
        for number, array in enumerate(fusion.results)
        if not array.space
    )
    return read + written


def _read_of(parameter: Instruction, inside: Computation, program: Program) -> int:
    """Bytes of a fusion's parameter that are read: all, or the slices that are taken of it."""
    total = 0
    for user in _users(parameter.name, inside):
        first = user.operands[0] == parameter.name
        if user.opcode == "bitcast":
            total += _read_of(user, inside, program)
        elif user.opcode == "fusion":
            deeper = _inside(user, program)
            parameters = _parameters(deeper)
            total += sum(
                _read_of(parameters[number], deeper, program)
                for number, name in enumerate(user.operands)
                if name == parameter.name
            )
        elif user.opcode in _TAKES_A_PART and first:
            total += _bytes(user)
        elif not (user.opcode == "dynamic-update-slice" and first):
            return _bytes(parameter)
    return min(total, _bytes(parameter))


def _written_of(result: Instruction, number: int, inside: Computation, program: Program) -> int:
    """Bytes that are written of one of an instruction's results: all, or what is put into it."""
    taken = [inside[name] for name in result.operands if name in inside]
    if result.opcode == "tuple":
        return _written_of(taken[number], 0, inside, program)
    if result.opcode == "bitcast":
        return _written_of(taken[0], number, inside, program)
    if result.opcode == "fusion":
        deeper = _inside(result, program)
        return _written_of(_root(deeper), number, deeper, program)
    if result.opcode == "dynamic-update-slice":
        # What was given is changed in its place; anything else is made first.
        into, part = taken[:2]
        made = 0 if _is_given(into, inside) else _written_of(into, 0, inside, program)
        return made + _bytes(part)
    return result.results[number].bytes


def _is_given(instruction: Instruction, inside: Computation) -> bool:
    while instruction.opcode == "bitcast":
        instruction = inside[instruction.operands[0]]
    return instruction.opcode == "parameter"


def _inside(fusion: Instruction, program: Program) -> Computation:
    return program.computations[fusion.called["calls"]]


def _parameters(inside: Computation) -> dict[int, Instruction]:
    return {int(one.arguments): one for one in inside.values() if one.opcode == "parameter"}


def _root(inside: Computation) -> Instruction:
    [root] = [instruction for instruction in inside.values() if instruction.is_root]
    return root


def _users(name: str, inside: Computation) -> Iterator[Instruction]:
    return (user for user in inside.values() if name in user.operands)


def _bytes(instruction: Instruction | None) -> int:
    """Bytes of an instruction's results, wherever they lie."""
    return sum(array.bytes for array in instruction.results) if instruction else 0


def _size(instruction: Instruction | None) -> int:
    """Bytes of an instruction's results that lie in memory."""
    if instruction is None:
        return 0
    return sum(array.bytes for array in instruction.results if not array.space)
