"""What every benchmark of this project shares: fair timing, rows, and the report.

A benchmark measures its own side ("ours") and any number of peers in one process, in turns, and
turns medians into rows. `Report` prints them, writes `results/NAME.json` and replaces the section
NAME of `RESULTS.md`.
"""

import dataclasses
import datetime
import functools
import gc
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping

import jax

HERE = pathlib.Path(__file__).resolve().parent
MEMORY_LIMIT = 8e9  # bytes that a peer may ask for
CALL_LIMIT = 10.0  # seconds that one call of a peer may take


# --- Timing -------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A call to be timed, and the seconds that it took once everything was compiled."""

    call: Callable
    warm: float


def timed(call: Callable) -> tuple[float, object]:
    """Seconds and result of one call, waiting for asynchronous work."""
    begin = time.perf_counter()
    result = jax.block_until_ready(call())
    return time.perf_counter() - begin, result


def warm_up(call: Callable, compiles: bool) -> tuple[Candidate, object]:
    """Compiles, calls once more for a first idea of the time, and returns a result to check."""
    seconds, result = timed(call)
    if compiles:
        seconds, result = timed(call)
    return Candidate(call, seconds), result


def medians(
    candidates: Mapping[str, Candidate], seconds: float, most: int = 30
) -> dict[str, float]:
    """Medians of calls that take turns, so that a busy moment of the machine hits every side.

    Args:
        candidates: What to time, by name.
        seconds: About how long each candidate may be timed.
        most: Calls of a candidate at most. Where the warm call alone spends the time it counts,
            and is repeated once, or not at all if it took three times as long.

    Returns:
        Median seconds by name.
    """
    samples, counts = {}, {}
    for name, candidate in candidates.items():
        slow = candidate.warm >= seconds
        samples[name] = [candidate.warm] if slow else []
        if slow:
            counts[name] = 1 if candidate.warm < 3 * seconds else 0
        else:
            counts[name] = min(most, int(seconds / candidate.warm))
    rounds = max(counts.values(), default=0)
    gc.collect()
    gc.freeze()  # keeps the collections below short
    gc.disable()  # a collection inside a call would be counted as its work
    try:
        for turn in range(rounds):
            for name, candidate in candidates.items():
                # The few calls of a slow candidate are spread over all rounds.
                if (turn + 1) * counts[name] // rounds == turn * counts[name] // rounds:
                    continue
                if candidate.warm < 0.05:
                    # The call before was another library's: its threads still spin and its data
                    # fill the caches. An untimed call of one's own comes first, for every side.
                    timed(candidate.call)
                else:
                    gc.collect()  # torch graphs in reference cycles may hold gigabytes
                samples[name].append(timed(candidate.call)[0])
    finally:
        gc.enable()
        gc.unfreeze()
    return {name: statistics.median(s) for name, s in samples.items()}


class Clock:
    """Shares the minutes of a whole script among its cells."""

    def __init__(self, minutes: float, cells: int):
        self.end = time.monotonic() + 60 * minutes
        self.cells = cells

    def share(self, most: float) -> float:
        """Timing seconds for each candidate of the next cell; 0 once the time is spent."""
        left = self.end - time.monotonic()
        each = left / self.cells / 6  # some five candidates, and their compilation
        self.cells -= 1
        return min(most, max(0.1, each)) if left > 0 else 0.0


class Forecast:
    """Seconds that a call will take, scaled from smaller shapes of the same run."""

    def __init__(self):
        self.rates = {}

    def learn(self, key, seconds: float, work: float):
        # Small shapes pay overheads, so the lowest rate is the best guess and never too high.
        self.rates[key] = min(self.rates.get(key, math.inf), seconds / work)

    def seconds(self, key, work: float) -> float:
        return self.rates.get(key, 0.0) * work


# --- Rows ---------------------------------------------------------------------------------------


@dataclasses.dataclass
class Row:
    """One comparison.

    Attributes:
        case: The shape, such as `T512 N17`.
        metric: What is compared, with its unit: `log Z + gradient [ms]`.
        ours: Our figure.
        peer: The peer's figure, or None where `note` says why there is none.
        peer_name: Who it is compared with.
        target: The ratio that must be reached, if there is one.
        note: What a reader must know about this row.
        ratio: peer / ours, thus more is better for us.
        met: Whether the target is reached; None without a target or a figure.
    """

    case: str
    metric: str
    ours: float | None
    peer: float | None
    peer_name: str
    target: float | None = None
    note: str = ""
    ratio: float | None = dataclasses.field(init=False)
    met: bool | None = dataclasses.field(init=False)

    def __post_init__(self):
        comparable = self.ours is not None and self.peer is not None
        self.ratio = self.peer / self.ours if comparable else None
        self.met = self.ratio >= self.target if comparable and self.target is not None else None

    @property
    def key(self):
        return self.metric, self.case, self.peer_name


def best_of(rows: list[Row], target: float | None = None) -> Row:
    """The row against the fastest of the peers in `rows`, which share case and metric."""
    first = rows[0]
    measured = [row for row in rows if row.peer is not None]
    if not measured:
        return Row(
            first.case, first.metric, first.ours, None, "best of peers", target, "no peer measured"
        )
    best = min(measured, key=lambda row: row.peer)
    return Row(
        first.case, first.metric, first.ours, best.peer, "best of peers", target, best.peer_name
    )


# --- Machine and versions -----------------------------------------------------------------------


def installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def machine() -> dict:
    """What the figures depend on, without the name of the host."""
    model = platform.processor() or platform.machine()
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].split(":", 1)[1].strip() if names else model
    description = {"cpu": model, "cores": usable_cores(), "memory": memory()}
    device = jax.devices()[0]
    if device.platform != "cpu":
        description["device"] = device.device_kind
    return description


def usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"


def versions(packages: list[str]) -> dict:
    found = {"python": platform.python_version()}
    return found | {package: version(package) for package in packages}


# --- Report -------------------------------------------------------------------------------------


class Report:
    """Collects rows; prints them and writes the two files.

    Args:
        name: Of the results file and of the section in RESULTS.md.
        title: Heading of that section.
        intro: A paragraph under the heading: data, conventions, how to read the table.
        packages: Distributions whose versions matter.
        remarks: (metric, case, peer name) -> why a row falls short of its target.
    """

    def __init__(
        self,
        name: str,
        title: str,
        intro: str,
        packages: list[str],
        remarks: Mapping[tuple[str, str, str], str] | None = None,
    ):
        self.name, self.title, self.intro = name, title, intro
        self.packages, self.remarks = packages, remarks or {}
        self.rows: list[Row] = []

    @property
    def path(self) -> pathlib.Path:
        return HERE / "results" / f"{self.name}.json"

    def add(self, *rows: Row):
        for row in rows:
            if row.met is False and row.key in self.remarks:
                row.note = "; ".join(filter(None, [row.note, self.remarks[row.key]]))
        self.rows += rows

    def show(self, metric: str):
        print(f"\n{metric}\n{self.table(metric)}", flush=True)

    def head(self) -> dict:
        program = pathlib.Path(sys.argv[0]).name
        return {
            "name": self.name,
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "command": " ".join(["python", f"benchmarks/{program}", *sys.argv[1:]]),
            "machine": machine(),
            "versions": versions(self.packages),
        }

    def write(self, merge: bool = False):
        """Writes results/NAME.json and the section of RESULTS.md.

        Args:
            merge: Keep the stored rows that this run did not measure.
        """
        content = self.head()
        if merge and self.path.exists():
            content = self.merged_with(json.loads(self.path.read_text()), content)
        content["rows"] = [dataclasses.asdict(row) for row in self.rows]
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        replace_section(HERE / "RESULTS.md", self.name, self.section(content))

    def merged_with(self, stored: dict, head: dict) -> dict:
        """Takes over the stored rows and head; this run is noted as an update of them."""
        fresh = {row.key: row for row in self.rows}
        given = [f.name for f in dataclasses.fields(Row) if f.init]
        old = [Row(**{name: values[name] for name in given}) for values in stored["rows"]]
        self.rows = [fresh.pop(row.key, row) for row in old] + list(fresh.values())
        updates = stored.get("updates", []) + [f"`{head['command']}`, {head['date']}"]
        return stored | {"updates": updates}

    def check_mergeable(self):
        """Asked before anything is measured: rows of another machine do not mix with these."""
        if not self.path.exists():
            return
        stored, head = json.loads(self.path.read_text()), self.head()
        if any(stored[part] != head[part] for part in ("machine", "versions")):
            raise SystemExit(f"{self.path.name} comes from another machine or other versions.")

    def section(self, head: dict) -> str:
        what = ", ".join(f"{name} {number}" for name, number in head["versions"].items())
        where = ", ".join(
            f"{value} cores" if name == "cores" else value
            for name, value in head["machine"].items()
        )
        runs = [f"`{head['command']}`, {head['date']}", *head.get("updates", [])]
        parts = [
            f"## {self.title}",
            self.intro,
            f"{'; then '.join(runs)}. {where}. {what}.",
            self.verdict(),
        ]
        for metric in dict.fromkeys(row.metric for row in self.rows):
            parts += [f"### {metric}", self.table(metric)]
        return "\n\n".join(filter(None, parts))

    def verdict(self) -> str:
        judged = [row for row in self.rows if row.target is not None]
        if not judged:
            return ""
        met = sum(row.met is True for row in judged)
        lines = [f"Targets met: {met} of {len(judged)}."]
        for row in judged:
            if row.met:
                continue
            result = "not measured" if row.ratio is None else f"{figure(row.ratio)}×"
            note = f" ({row.note})" if row.note else ""
            lines.append(
                f"- {row.metric}, {row.case}, {row.peer_name}: "
                f"{result}, wanted {figure(row.target)}×{note}"
            )
        return "\n".join(lines)

    def table(self, metric: str) -> str:
        """One line a case, one column a peer."""
        rows = [row for row in self.rows if row.metric == metric]
        peers = list(dict.fromkeys(row.peer_name for row in rows))
        cells = {(row.case, row.peer_name): cell(row) for row in rows}
        ours = {row.case: row.ours for row in rows}
        lines = [["", "ours"] + peers]
        for case, value in ours.items():
            shown = "–" if value is None else figure(value)
            lines.append([case, shown] + [cells.get((case, peer), "") for peer in peers])
        return aligned(lines)


def cell(row: Row) -> str:
    """A peer's figure and ratio with its target, or the reason why there is none."""
    if row.peer is None:
        return row.note
    text = f"{figure(row.peer)} ({figure(row.ratio)}×"
    if row.target is not None:
        text += f", {'met' if row.met else 'NOT MET'}: ≥ {figure(row.target)}×"
    text += ")"
    return f"{text} {row.note}".rstrip()


def figure(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def aligned(lines: list[list[str]]) -> str:
    """A Markdown table that is readable in a terminal too."""
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(lines[0]))]
    lines = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def replace_section(path: pathlib.Path, name: str, section: str):
    """Puts `section` between the markers of `name`, at the end where there are none yet."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    title = "# Benchmark results\n\nWritten by the programs beside this file.\n"
    text = path.read_text() if path.exists() else title
    block = f"{begin}\n{section}\n{end}"
    if begin in text and end in text:
        before, rest = text.split(begin, 1)
        text = before + block + rest.split(end, 1)[1]
    else:
        text = text.rstrip() + "\n\n" + block + "\n"
    path.write_text(text)
