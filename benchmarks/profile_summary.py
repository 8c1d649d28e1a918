"""Where the time of a compiled call goes, by kinds of operations, from JAX's own profiler."""

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import jax

# What holds other operations, whose time would count twice.
_AROUND = re.compile(r"(while|conditional|call|async)")


def time_by_kind(call: Callable, calls: int = 3) -> dict[str, float]:
    """Seconds that a call spends in each kind of operation, the greatest first.

    Kinds are the names that XLA gives to what it runs, without numbers: what was fused together is
    named after its last part. On several devices or threads the seconds of all of them add up.
    """
    jax.block_until_ready(call())
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(calls):
                jax.block_until_ready(call())
        (file,) = Path(folder).rglob("*.xplane.pb")
        planes = list(jax.profiler.ProfileData.from_file(str(file)).planes)
        devices = [plane for plane in planes if plane.name.startswith("/device:")] or planes
        taken: Counter[str] = Counter()
        for plane in devices:
            for line in plane.lines:
                for event in line.events:
                    name = str(dict(event.stats).get("hlo_op", ""))
                    if name and not _AROUND.match(name):
                        taken[re.sub(r"[.\d]+$", "", name)] += event.duration_ns
    return {name: value / 1e9 / calls for name, value in taken.most_common()}


def shares(taken: dict[str, float], most: int = 6) -> list[tuple[str, float]]:
    """The greatest kinds with their shares, and the share of all others."""
    whole = sum(taken.values()) or 1.0
    found = [(name, value / whole) for name, value in list(taken.items())[:most]]
    return [*found, ("all else", 1.0 - sum(share for _, share in found))]
