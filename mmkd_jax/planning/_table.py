"""A plan as people read it."""

from mmkd_jax.planning._collectives import by_kind
from mmkd_jax.planning._plan import Plan
from mmkd_jax.planning._roofline import STATED


def table(plan: Plan) -> str:
    """Lines of a name and a value each."""
    lines = [*_memory(plan), *_speed(plan)]
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"{name:<{width}}  {value}".rstrip() for name, value in lines)


def _memory(plan: Plan) -> list[tuple[str, str]]:
    topology = plan.topology
    slices = f", {topology.slices} slices" if topology.slices > 1 else ""
    share = plan.hbm_bytes / topology.tpu.hbm
    lines = [
        ("topology", f"{topology}{slices}, {topology.chips} chips"),
        ("examples a step", f"{plan.batch_size:,}"),
        (
            "memory a chip",
            f"{_size(plan.hbm_bytes)} of {_size(topology.tpu.hbm)}, {share:.0%}: "
            f"{'fits' if plan.fits else 'DOES NOT FIT'}",
        ),
        ("  state", _size(plan.state_bytes)),
    ]
    if plan.memory:
        lines.append(("  temporaries", _size(plan.memory.temporaries)))
    return [*lines, ("compiled in", f"{plan.compile_seconds:.0f} s")]


def _speed(plan: Plan) -> list[tuple[str, str]]:
    if plan.seconds is None or plan.exchanges is None:
        return []
    seconds = plan.seconds
    sent = [(f"  {kind}", _size(size)) for kind, size in by_kind(plan.exchanges).items()]
    return [
        ("operations a step", f"{plan.flops:.3e}, by formula"),
        ("exchanged, a chip", f"{plan.of_vectors:.1%} of it to compare sentences"),
        *sent,
        ("a step at best", _time(seconds.step)),
        ("  products", _time(seconds.products)),
        ("  memory", _time(seconds.memory)),
        ("  links", _time(seconds.links)),
        ("  network", _time(seconds.network)),
        ("MFU at best", f"{plan.mfu:.1%}"),
        ("examples a second", f"{plan.batch_size / seconds.step:,.0f}"),
        ("the whole run", _time(3600 * plan.hours) if plan.hours else "as long as its data are"),
        ("  where a step is", STATED),
    ]


def _size(size: float | int) -> str:
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.2f} GiB"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600.0), ("min", 60.0), ("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{1e6 * seconds:,.1f} µs"
