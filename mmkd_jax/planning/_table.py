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
            f"{_gib(plan.hbm_bytes)} of {_gib(topology.tpu.hbm)}, {share:.0%}: "
            f"{'fits' if plan.fits else 'DOES NOT FIT'}",
        ),
        ("  state", _gib(plan.state_bytes)),
    ]
    if plan.memory:
        lines.append(("  temporaries", _gib(plan.memory.temporaries)))
    return [*lines, ("compiled in", f"{plan.compile_seconds:.0f} s")]


def _speed(plan: Plan) -> list[tuple[str, str]]:
    if plan.seconds is None or plan.exchanges is None:
        return []
    seconds = plan.seconds
    sent = [(f"  {kind}", _gib(size)) for kind, size in by_kind(plan.exchanges).items()]
    return [
        ("operations a step", f"{plan.flops:.3e}, by formula"),
        ("exchanged, a chip", f"{plan.of_vectors:.1%} of it to compare sentences"),
        *sent,
        ("a step at best", f"{1e3 * seconds.step:.1f} ms"),
        ("  products", f"{1e3 * seconds.products:.1f} ms"),
        ("  memory", f"{1e3 * seconds.memory:.1f} ms"),
        ("  links", f"{1e3 * seconds.links:.1f} ms"),
        ("  network", f"{1e3 * seconds.network:.1f} ms"),
        ("MFU at best", f"{plan.mfu:.1%}"),
        ("pairs a second", f"{plan.batch_size / seconds.step:,.0f}"),
        ("the whole run", f"{plan.total_steps * seconds.step / 3600:,.1f} h"),
        ("  where a step is", STATED),
    ]


def _gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"
