"""What every loss asks of its arguments before it computes anything.

Only static facts are checked (shapes, dtypes, and values that are known before tracing), so the
checks cost nothing under ``jit``.
"""

from typing import Any

import jax
import jax.numpy as jnp


def check_floats(value: Any, name: str, rule: str, shape: tuple[int, ...] | None = None) -> None:
    """Raises ValueError unless ``value`` holds floats, in just this shape if one is given."""
    if not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        raise ValueError(f"{name} must hold floats, got dtype {jnp.result_type(value)}")
    _check_shape(value, name, rule, shape)


def check_vectors(value: Any, name: str, rule: str, axes: int) -> None:
    """Raises ValueError unless ``value`` holds floats in at least ``axes`` axes, the last > 0."""
    check_floats(value, name, rule)
    if jnp.ndim(value) < axes or jnp.shape(value)[-1] == 0:
        raise ValueError(f"{name} must be {rule}, the last axis not empty, got {jnp.shape(value)}")


def check_integers(value: Any, name: str, rule: str, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless ``value`` holds integers in just this shape."""
    if not jnp.issubdtype(jnp.result_type(value), jnp.integer):
        raise ValueError(f"{name} must hold integers, got dtype {jnp.result_type(value)}")
    _check_shape(value, name, rule, shape)


def check_mask(value: Any, name: str, rule: str, shape: tuple[int, ...]) -> None:
    """Raises ValueError unless ``value`` holds booleans in just this shape."""
    if jnp.result_type(value) != jnp.bool_:
        raise ValueError(
            f"{name} must be a boolean mask, got dtype {jnp.result_type(value)}; "
            "for 0 and 1 write mask != 0"
        )
    _check_shape(value, name, rule, shape)


def check_temperature(value: Any) -> None:
    """Raises ValueError unless the temperature is a scalar, and positive where that is known."""
    if jnp.ndim(value) != 0:
        raise ValueError(f"temperature must be a scalar, got shape {jnp.shape(value)}")
    if not isinstance(value, jax.core.Tracer) and not value > 0:
        raise ValueError(f"temperature must be positive, got {value}")


def compute_dtype(*values: Any) -> jnp.dtype:
    """float32 for anything narrower; float64 stays what it is."""
    return jnp.promote_types(jnp.result_type(*values), jnp.float32)


def _check_shape(value: Any, name: str, rule: str, shape: tuple[int, ...] | None) -> None:
    if shape is not None and jnp.shape(value) != shape:
        raise ValueError(f"{name} must be {rule} = {shape}, got {jnp.shape(value)}")
