"""Measures `mmkd_jax.crf` beside other linear-chain CRF libraries.

    python benchmarks/crf.py                                 # everything, below 20 minutes
    python benchmarks/crf.py --only log_z,viterbi --steps 512 --tags 17,64
    python benchmarks/crf.py --peers plain,dynamax           # leave the slow ones out
    python benchmarks/crf.py --platform gpu

A whole run writes `results/crf.json` (or `crf_gpu.json`) and its section of `RESULTS.md`. A part
only prints, unless `--merge` puts its rows among the stored ones. Peers: `crf_peers.py`,
`crf_plain_scan.py`; `pip install mmkd_jax[bench]` installs them.
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable

import crf_plain_scan
import jax
import jax.numpy as jnp
from crf_checks import CHECKS, Differs
from crf_peers import BATCH, PEERS, Case, Peer, draw_case, import_dynamax, on_device
from crf_plain_scan import PLAIN
from side_by_side import (
    CALL_LIMIT,
    MEMORY_LIMIT,
    Candidate,
    Clock,
    Forecast,
    Report,
    Row,
    best_of,
    figure,
    installed,
    medians,
    timed,
    warm_up,
)

from mmkd_jax import crf

STEPS = (32, 128, 512, 2048)
TAGS = (9, 17, 32, 64)


# --- Ours ---------------------------------------------------------------------------------------


def log_z_and_gradients(chain, lengths):
    def total(chain):
        values = crf.log_partition(crf.LinearChain(*chain, lengths))
        return values.sum(), values

    (_, values), gradients = jax.value_and_grad(total, has_aux=True)(chain)
    return values, gradients


def vmapped_log_z_and_gradients(chain, lengths):
    """The same over 8 groups of 4 sequences, where each group is one batch to the library."""

    def total(chain):
        emissions, *rest = chain

        def group(emissions, lengths):
            return crf.log_partition(crf.LinearChain(emissions, *rest, lengths))

        groups = emissions.reshape(8, BATCH // 8, *emissions.shape[1:])
        values = jax.vmap(group)(groups, lengths.reshape(8, -1)).reshape(BATCH)
        return values.sum(), values

    (_, values), gradients = jax.value_and_grad(total, has_aux=True)(chain)
    return values, gradients


def viterbi(chain, lengths):
    return crf.viterbi(crf.LinearChain(*chain, lengths))


@functools.partial(jax.jit, static_argnums=2)
def k_best(chain, lengths, k):
    return crf.k_best(crf.LinearChain(*chain, lengths), k)


def kl(p, q, lengths):
    return crf.kl_divergence(crf.LinearChain(*p, lengths), crf.LinearChain(*q, lengths)).sum()


@jax.jit
def kl_and_gradients(p, q, lengths):
    value, (by_p, by_q) = jax.value_and_grad(kl, argnums=(0, 1))(p, q, lengths)
    return value, by_p + by_q


@jax.jit
def kl_and_student_gradients(p, q, lengths):
    return jax.value_and_grad(kl, argnums=1)(p, q, lengths)


def sample(key, chain, lengths):
    return crf.sample(key, crf.LinearChain(*chain, lengths), 1)[0]


# Compiled once: a check on other lengths must not compile again.
log_z_call, viterbi_call, sample_call = map(jax.jit, (log_z_and_gradients, viterbi, sample))
vmapped_call = jax.jit(vmapped_log_z_and_gradients)


def inputs(case: Case, *chains):
    return (*(on_device(*chain) for chain in chains), jnp.asarray(case.lengths))


OURS = {
    "log_z": lambda case: functools.partial(log_z_call, *inputs(case, case.p)),
    "viterbi": lambda case: functools.partial(viterbi_call, *inputs(case, case.p)),
    "k_best": lambda case: functools.partial(k_best, *inputs(case, case.p), case.k),
    "kl": lambda case: functools.partial(kl_and_gradients, *inputs(case, case.p, case.q)),
    "kl_student": lambda case: functools.partial(
        kl_and_student_gradients, *inputs(case, case.p, case.q)
    ),
    "sample": lambda case: functools.partial(sample_call, jax.random.key(1), *inputs(case, case.p)),
}


# --- What is measured, and what must be reached -------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Operation:
    """A table of the report.

    Attributes:
        key: In `OURS` and `PEERS`.
        metric: Heading of the table.
        k: Paths, where the operation takes a number of them.
        best: Case -> ratio to reach against the best of all peers.
        against: (case, beginning of a peer's name) -> ratio to reach.
    """

    key: str
    metric: str
    k: int = 1
    best: Callable[[Case], float] | None = None
    against: dict = dataclasses.field(default_factory=dict)


OPERATIONS = {
    "log_z": Operation(
        "log_z",
        "log Z + gradient [ms]",
        best=lambda case: 2.0 if case.tags <= 17 else 1.5,
        against={("T512 N17", "pytorch-crf"): 80.0, ("T512 N17", PLAIN): 6.0},
    ),
    "viterbi": Operation("viterbi", "Viterbi, path and score [ms]", best=lambda case: 1.5),
    "k_best_5": Operation(
        "k_best", "5 best paths [ms]", k=5, against={("T128 N17", "torch-struct"): 400.0}
    ),
    "k_best_10": Operation("k_best", "10 best paths [ms]", k=10),
    "kl": Operation(
        "kl", "KL + gradient by both [ms]", against={("T128 N17", "torch-struct"): 200.0}
    ),
    "kl_student": Operation("kl_student", "KL + gradient by the student only [ms]"),
    "sample": Operation("sample", "one sample a sequence [ms]"),
}

# Why a row falls short of its target: (metric, case, peer name) -> reason.
LOOP_STEPS = "both run 2T steps of XLA's loop, which cost more here than what is done in them"
REMARKS: dict[tuple[str, str, str], str] = {
    (metric, case, "best of peers"): reason
    for metric, reason, cases in (
        (OPERATIONS["log_z"].metric, LOOP_STEPS, ("T32 N9", "T32 N17", "T128 N9", "T128 N17")),
        (
            OPERATIONS["log_z"].metric,
            "pair counts are kept apart for every sequence, as much memory as the messages here",
            ("T32 N64",),
        ),
        (
            OPERATIONS["viterbi"].metric,
            f"{LOOP_STEPS}; of the libraries, dynamax is the fastest",
            ("T32 N9", "T128 N9", "T512 N9", "T2048 N9"),
        ),
    )
    for case in cases
} | {
    (OPERATIONS["log_z"].metric, "T512 N17", "pytorch-crf, log Z only"): (
        "80× would be about what two scans of bare products take on this machine"
    )
}

INTRO = f"""\
A batch of {BATCH} sequences, lengths uniform in [T/2, T], standard normal potentials, float32.
Medians of calls that take turns in one process; compilation is outside. A ratio is the peer's
figure divided by ours. Every peer's result is compared with ours before it is timed. pytorch-crf
has two columns: its private normalizer (like for like), and the loss it ships. torch-struct builds
its [B, T-1, N, N] potentials inside the call, as its users must. *plain scan* is a log-space
`lax.scan` with autodiff. † dynamax knows no lengths and no end scores: it computes the padded
batch, and is checked on full lengths. pytorch-crf and dynamax give Viterbi paths without scores.
A call that took over {CALL_LIMIT:.0f} s was made once."""

PACKAGES = ["jax", "jaxlib", "numpy", "torch", "pytorch-crf", "torch-struct", "dynamax"]


# --- One cell -----------------------------------------------------------------------------------


def goal(operation: Operation, case: Case, name: str, found: dict) -> float | None:
    """The ratio to reach against one peer; of a peer's two variants the faster is the one."""
    if jax.default_backend() != "cpu":
        return None  # the targets speak of CPU cores
    for (where, who), ratio in operation.against.items():
        variants = [other for other in found if other.startswith(who)]
        if where == case.name and name in (variants or [name]) and name.startswith(who):
            return ratio if name == min(variants, key=found.get, default=name) else None
    return None


def obstacle(peer: Peer, operation: Operation, case: Case, forecast: Forecast) -> str:
    """Why the peer cannot be measured here, or nothing."""
    if not all(map(installed, peer.needs)):
        return "not installed"
    if peer.memory(case) > MEMORY_LIMIT:
        return f"over {MEMORY_LIMIT / 1e9:.0f} GB (about {figure(peer.memory(case) / 1e9)})"
    expected = forecast.seconds((peer.name, operation.key), peer.work(case))
    # Forecasts are rough. A cell with a target is worth a call that may break the limit.
    limit = CALL_LIMIT * (2 if goal(operation, case, peer.name, {}) else 1)
    if expected > limit:
        return (
            f"over {CALL_LIMIT:.0f} s a call (about {figure(expected)}, scaled from smaller T, N)"
        )
    return ""


def prepare(peer: Peer, case: Case, expect) -> Candidate:
    """Compiles, checks and returns a peer's call; `expect(case)` is our result."""
    whole = case if peer.has_lengths else case.without_ends()
    candidate, result = warm_up(peer.build(case), peer.compiles)
    CHECKS[peer.check](whole, result, expect(whole))
    return candidate


def attempt(peer: Peer, operation: Operation, case: Case, forecast: Forecast, expect):
    """The peer's call, or the reason why there is none."""
    reason = obstacle(peer, operation, case, forecast)
    if reason:
        return reason
    try:
        candidate = prepare(peer, case, expect)
    except Differs as difference:
        return f"differs from ours: {difference}"
    except Exception as error:  # a peer's failure is a row, not the end of the run
        return f"failed: {type(error).__name__}: {error}".splitlines()[0][:80]
    forecast.learn((peer.name, operation.key), candidate.warm, peer.work(case))
    return candidate


def measure(operation: Operation, case: Case, peers: list[Peer], seconds, forecast) -> list[Row]:
    """The rows of one shape."""
    ours = OURS[operation.key]
    mine, result = warm_up(ours(case), compiles=True)
    outcomes = {
        peer.name: attempt(
            peer,
            operation,
            case,
            forecast,
            lambda whole: result if whole is case else timed(ours(whole))[1],
        )
        for peer in peers
    }
    calls = {name: call for name, call in outcomes.items() if isinstance(call, Candidate)}
    found = {name: 1e3 * value for name, value in medians({"": mine} | calls, seconds).items()}
    rows = []
    for name, outcome in outcomes.items():
        note = outcome if name not in found else ""
        if found.get(name, 0) > 1e3 * CALL_LIMIT:
            note = f"over {CALL_LIMIT:.0f} s a call"
        target = goal(operation, case, name, found)
        rows.append(
            Row(case.name, operation.metric, found[""], found.get(name), name, target, note)
        )
    if operation.best and rows:
        target = operation.best(case) if jax.default_backend() == "cpu" else None
        rows.append(best_of(rows, target))
    return rows


# --- Tables without peers' builders -------------------------------------------------------------


def compare_memory(steps, tags) -> Row:
    """Temporary memory of log Z + gradient, as XLA plans it."""
    case = draw_case(steps, tags)
    sides = log_z_call, crf_plain_scan.log_z_and_gradients
    ours, plain = (
        side.lower(*inputs(case, case.p)).compile().memory_analysis().temp_size_in_bytes / 1e6
        for side in sides
    )
    on_cpu = jax.default_backend() == "cpu"
    target = 8.0 if on_cpu and case.name == "T512 N64" else None
    return Row(case.name, "log Z + gradient, temporary memory [MB]", ours, plain, PLAIN, target)


def compare_vmap(steps, tags) -> Row:
    case = draw_case(steps, tags)
    calls = {"vmap": vmapped_call, "batch": log_z_call}
    calls = {name: functools.partial(call, *inputs(case, case.p)) for name, call in calls.items()}
    found = medians({name: warm_up(call, True)[0] for name, call in calls.items()}, seconds=2.0)
    metric = "log Z + gradient, vmap over 8 groups of 4 [ms]"
    return Row(case.name, metric, 1e3 * found["vmap"], 1e3 * found["batch"], "batched call of 32")


def compare_compilation(steps, tags) -> Row:
    case = draw_case(steps, tags)
    arrays = inputs(case, case.p)
    samples = {log_z_call: [], crf_plain_scan.log_z_and_gradients: []}
    for _ in range(3):
        for call, seconds in samples.items():
            jax.clear_caches()
            begin = time.perf_counter()
            call.lower(*arrays).compile()
            seconds.append(time.perf_counter() - begin)
    ours, plain = map(statistics.median, samples.values())
    return Row(case.name, "log Z + gradient, trace and compile [s]", ours, plain, PLAIN)


OTHERS = {"memory": compare_memory, "vmap": compare_vmap, "compile": compare_compilation}
OTHER_STEPS, OTHER_TAGS = 512, (17, 64)

ALL = (*OPERATIONS, *OTHERS)


# --- Program ------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    def words(text):
        return tuple(text.split(","))

    def numbers(text):
        return tuple(map(int, words(text)))

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--platform", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--only", type=words, default=ALL, help=f"some of {','.join(ALL)}")
    parser.add_argument("--steps", type=numbers, default=STEPS, help="T, such as 32,128")
    parser.add_argument("--tags", type=numbers, default=TAGS, help="N, such as 9,17")
    parser.add_argument("--peers", type=words, help="parts of peers' names; prints only")
    parser.add_argument("--merge", action="store_true", help="put a part among the stored rows")
    parser.add_argument("--minutes", type=float, default=18, help="time to keep within")
    chosen = parser.parse_args()
    if unknown := set(chosen.only) - set(ALL):
        parser.error(f"--only: {', '.join(sorted(unknown))}: not among {', '.join(ALL)}")
    if chosen.peers and chosen.merge:
        parser.error("--merge with --peers would leave holes in the stored rows")
    return chosen


def run_operations(report: Report, chosen: argparse.Namespace):
    shapes = [(steps, tags) for steps in chosen.steps for tags in chosen.tags]
    operations = [OPERATIONS[name] for name in chosen.only if name in OPERATIONS]
    clock, forecast = Clock(chosen.minutes, len(shapes) * len(operations)), Forecast()
    for operation in operations:
        parts = chosen.peers or [""]
        peers = [p for p in PEERS[operation.key] if any(part in p.name for part in parts)]
        for steps, tags in shapes:
            case = draw_case(steps, tags, operation.k)
            seconds = clock.share(most=1.5)
            if seconds:
                report.add(*measure(operation, case, peers, seconds, forecast))
            else:
                report.add(*(unmeasured(operation, case, peer) for peer in peers))
        report.show(operation.metric)


def unmeasured(operation: Operation, case: Case, peer: Peer) -> Row:
    target = goal(operation, case, peer.name, {})
    note = "not run: the time was spent"
    return Row(case.name, operation.metric, None, None, peer.name, target, note)


def run_others(report: Report, chosen: argparse.Namespace):
    for name in (name for name in chosen.only if name in OTHERS):
        for tags in OTHER_TAGS:
            report.add(OTHERS[name](OTHER_STEPS, tags))
        report.show(report.rows[-1].metric)


def main():
    chosen = arguments()
    jax.config.update("jax_platforms", {"cpu": "cpu", "gpu": "cuda"}[chosen.platform])
    import_dynamax()
    name = {"cpu": "crf", "gpu": "crf_gpu"}[chosen.platform]
    title = f"Linear-chain CRFs on a {chosen.platform.upper()}"
    report = Report(name, title, INTRO, PACKAGES, REMARKS)
    if chosen.merge:
        report.check_mergeable()
    run_operations(report, chosen)
    run_others(report, chosen)
    print(report.verdict())
    whole = chosen.only == ALL and chosen.steps == STEPS and chosen.tags == TAGS
    if chosen.merge or (whole and not chosen.peers):
        report.write(merge=chosen.merge)


if __name__ == "__main__":
    main()
