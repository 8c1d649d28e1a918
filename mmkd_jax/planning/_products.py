"""How much a step multiplies, from the program before it is compiled.

By formula a method counts what its models have to do. This counts what the program does: what it
computes anew to save memory, and that a product of float32 numbers takes several passes through a
unit that multiplies bfloat16.
"""

import math
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend import core

# Passes of a product of float32 numbers: by default one, of their first 8 bits.
_PASSES = {jax.lax.Precision.HIGHEST: 6, jax.lax.Precision.HIGH: 3}


def passes_flops(jaxpr: core.Jaxpr) -> float:
    """Operations of all products, each times the passes that it takes.

    Loops count as often as they turn, where that is known before they run. Of a conditional the
    longest branch counts.
    """
    return sum((_of(equation) for equation in jaxpr.eqns), 0.0)


def _of(equation: core.JaxprEqn) -> float:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return _dot(equation) * _passes(equation)
    if name == "conv_general_dilated":
        return _convolution(equation) * _passes(equation)
    if name == "cond":
        return max(passes_flops(branch.jaxpr) for branch in params["branches"])
    times = params["length"] if name == "scan" else 1
    return times * sum((passes_flops(inner) for inner in _inner(params)), 0.0)


def _inner(params: dict[str, Any]) -> Iterator[core.Jaxpr]:
    for value in params.values():
        if isinstance(value, core.ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, core.Jaxpr):
            yield value


def _dot(equation: core.JaxprEqn) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    summed = math.prod(left[axis] for axis in contracted)
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * summed


def _convolution(equation: core.JaxprEqn) -> float:
    kernel = equation.invars[1].aval.shape
    outputs = equation.params["dimension_numbers"].rhs_spec[0]
    summed = math.prod(kernel) // kernel[outputs]
    return 2.0 * math.prod(equation.outvars[0].aval.shape) * summed


def _passes(equation: core.JaxprEqn) -> int:
    if any(variable.aval.dtype.itemsize < 4 for variable in equation.invars[:2]):
        return 1
    precision = equation.params["precision"]
    asked = precision if isinstance(precision, tuple) else (precision,)
    return max(_PASSES.get(one, 1) for one in asked)
