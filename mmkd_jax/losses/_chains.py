"""What the losses on chains have in common."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Bool

from mmkd_jax.crf import LinearChain
from mmkd_jax.crf._chain import check, flat_lengths, is_inside
from mmkd_jax.losses._checks import compute_dtype


def check_chains(student: LinearChain, teacher: LinearChain) -> None:
    """Raises ValueError unless both are chains over the same steps, tags and batch."""
    check(student, "student")
    check(teacher, "teacher")
    shapes = student.emissions.shape, teacher.emissions.shape
    if shapes[0] != shapes[1]:
        raise ValueError(
            "student.emissions and teacher.emissions must have the same shape [..., T, N], "
            f"got {shapes[0]} and {shapes[1]}"
        )


def widened(chain: LinearChain) -> LinearChain:
    """The chain in float32 at least, so that dividing by a temperature loses nothing."""

    def wide(scores):
        return None if scores is None else jnp.asarray(scores).astype(compute_dtype(scores))

    names = ("emissions", "transitions", "start", "end")
    return dataclasses.replace(chain, **{name: wide(getattr(chain, name)) for name in names})


def inside(chain: LinearChain) -> Bool[Array, "*batch T"]:
    """True before each length, false in the padding."""
    *leading, steps, _ = chain.emissions.shape
    return is_inside(flat_lengths(chain), steps).reshape(*leading, steps)
