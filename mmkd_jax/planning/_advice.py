"""What to change when a step does not fit."""

import dataclasses
from collections.abc import Iterator
from typing import Any

from mmkd_jax.planning._plan import Plan


def advice(plan: Plan, settings: Any) -> list[str]:
    """Flags that bring the memory down, the cheapest first; none if the step fits.

    What does not depend on the batch is known; the rest is taken to be in proportion to it.
    """
    if plan.fits:
        return []
    limit, state = plan.topology.tpu.hbm, plan.state_bytes
    found = []
    for path in _not_rematerialised(settings):
        found.append(
            f"--config.{path}=full computes activations anew instead of keeping them, "
            "for about a third more products"
        )
    parts = settings.mesh.shape(plan.topology.chips)
    room, wanted = limit - state, plan.hbm_bytes - state
    if state > limit / 4:
        # Parameters are split within a slice, not over several.
        more = _fsdp(state, limit, parts[1], parts[0] // plan.topology.slices)
        found.append(
            f"--config.mesh.fsdp={more} splits parameters and their moments, "
            f"{state / 2**30:.1f} GiB a chip now, over {more} chips"
        )
    each = plan.batch_size // (parts[0] * parts[1])
    fitting = int(each * room / wanted) if room > 0 else 0
    if fitting:
        pieces = next(n for n in range(1, each + 1) if each % n == 0 and each // n <= fitting)
        # Of taggers it counts words.
        batch_size = settings.batch_size * fitting // each
        found += [
            f"--config.batch_size={batch_size}: about {fitting} examples a chip fit, of {each} now",
            f"--config.accumulation.pieces={settings.accumulation.pieces * pieces} takes the same "
            "batch in pieces, and is slower",
        ]
    return found


def _fsdp(state: int, limit: float, now: int, most: int) -> int:
    """So many parts that the state takes at most a quarter of the memory, or all there can be."""
    parts = now
    while state * now / parts > limit / 4 and most * now % (2 * parts) == 0:
        parts *= 2
    return parts


def _not_rematerialised(settings: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Fields named "remat" of what is trained that leave something to gain."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if field.name.startswith("teacher"):
            continue
        if dataclasses.is_dataclass(value):
            yield from _not_rematerialised(value, (*path, field.name))
        elif field.name == "remat" and value != "full":
            yield ".".join((*path, field.name))
