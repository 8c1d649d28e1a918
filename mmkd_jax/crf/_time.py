"""Steps of time over transitions that are the same at every step, or not."""

import jax.numpy as jnp
from jax import lax


def scan_steps(step, carry, transitions, *inputs, reverse=False):
    """`lax.scan` of ``step(carry, transitions, *inputs)`` over time.

    The transitions into a step (in reverse: out of it) are the same everywhere, or one a step; the
    step that has none gets zeros.
    """
    if transitions.ndim == 4:
        none = (0, 1) if reverse else (1, 0)
        matrices = jnp.pad(jnp.moveaxis(transitions, 1, 0), (none, (0, 0), (0, 0), (0, 0)))
        return lax.scan(lambda c, x: step(c, *x), carry, (matrices, *inputs), reverse=reverse)
    return lax.scan(lambda c, x: step(c, transitions, *x), carry, inputs, reverse=reverse)
