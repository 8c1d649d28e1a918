"""Measures `mmkd_jax.losses`, with gradients, beside the same losses written in PyTorch.

    python benchmarks/losses.py                              # everything, below 10 minutes
    python benchmarks/losses.py --only token_alignment,import
    python benchmarks/losses.py --only crf_kl --merge
    python benchmarks/losses.py --platform gpu               # PyTorch on the GPU too

A whole run writes `results/losses.json` (or `losses_gpu.json`) and its section of `RESULTS.md`. A
part only prints, unless `--merge` puts its rows among the stored ones. The peers:
`losses_torch.py`; `pip install mmkd_jax[bench]` installs PyTorch.
"""

import argparse
import dataclasses
import functools
import os
import statistics
import subprocess
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from crf_checks import Differs, array
from crf_peers import BATCH, draw_case
from side_by_side import (
    CALL_LIMIT,
    Candidate,
    Report,
    Row,
    installed,
    medians,
    usable_cores,
    warm_up,
)

from mmkd_jax import crf, losses

TORCH = "PyTorch"
PLAIN = "plain form"
ONE_ARRAY = "one [chosen, V] array"

TOLERANCE = 1e-4  # relative to the largest entry

MMKD = "MMKD loss + gradient [ms]"
STRUCTURED = "structured loss + gradient [ms]"
MEMORY = "loss + gradient, temporary memory [MB]"
IMPORT = "import on top of jax [s]"


# --- Data: what is trained, and all other arguments, in numpy -----------------------------------


def normal(random, *shape):
    return random.standard_normal(shape).astype(np.float32)


def draw_sentences(batch, width, *rest):
    """Vectors of a few directions: otherwise all cosines would be about 0, and all KLs too."""
    random = np.random.default_rng(0)
    meanings, directions = normal(random, batch, 8), normal(random, 8, width)
    student, teacher = (
        (meanings + normal(random, batch, 8)) @ directions + normal(random, batch, width)
        for _ in range(2)
    )
    return student, (teacher, *rest)


def draw_words(batch, words, width):
    """Sentences of W/2 to W words, 15 % of them masked; inner products of about 1."""
    random = np.random.default_rng(0)
    student, teacher = (normal(random, batch, words, width) / width**0.25 for _ in range(2))
    numbers = random.integers((words + 1) // 2, words + 1, batch)
    valid = np.arange(words) < numbers[:, None]
    return student, (teacher, random.random((batch, words)) < 0.15, valid)


def draw_tokens(batch, steps, vocabulary, width):
    """The hidden states of the chosen positions, gathered into as many columns as are needed."""
    random = np.random.default_rng(0)
    chosen = round(0.15 * batch * steps)
    numbers = np.full(batch, chosen // batch) + (np.arange(batch) < chosen % batch)
    where = np.arange(numbers.max()) < numbers[:, None]
    hidden = normal(random, *where.shape, width)
    table = normal(random, vocabulary, width) / np.float32(width**0.5)
    targets = random.integers(0, vocabulary, where.shape)
    return (hidden, table, normal(random, vocabulary)), (targets, where)


def draw_gold(_, steps, tags):
    case = draw_case(steps, tags)
    return case.p, (case.lengths, case.gold)


def draw_paths(_, steps, tags, k):
    """The best paths of a teacher, found beforehand."""
    case = draw_case(steps, tags)
    paths, _ = crf.k_best(chain_of(case.q, case.lengths), k)
    return case.p, (case.lengths, np.asarray(paths, np.int64))


def draw_chains(_, steps, tags, temperature):
    case = draw_case(steps, tags)
    return case.p, (case.lengths, case.q, temperature)


def draw_emissions(_, steps, tags, temperature):
    case = draw_case(steps, tags)
    inside = np.arange(steps) < case.lengths[:, None]
    return case.p[0], (case.q[0], inside, temperature)


# --- Ours ---------------------------------------------------------------------------------------


def chain_of(arrays, lengths):
    return crf.LinearChain(*arrays, lengths)


def plain_tokens(student, targets, where):
    hidden, table, bias = student
    logits = jnp.einsum("bpd,vd->bpv", hidden, table, precision=jax.lax.Precision.HIGHEST)
    return losses.token_alignment(logits + bias[None, None], targets, where)


def tokens_from_hidden(student, targets, where):
    return losses.token_alignment_from_hidden(*student, targets, where)


def structure_alignment(student, teacher, temperature):
    return losses.structure_alignment(student, teacher, temperature=temperature)


def crf_nll(student, lengths, tags):
    return losses.crf_nll(chain_of(student, lengths), tags)


def crf_top_k(student, lengths, paths):
    return losses.crf_top_k(chain_of(student, lengths), paths)


def crf_kl(student, lengths, teacher, temperature):
    return losses.crf_kl(chain_of(student, lengths), chain_of(teacher, lengths), temperature)


def crf_posterior(student, lengths, teacher, temperature):
    return losses.crf_posterior(chain_of(student, lengths), chain_of(teacher, lengths), temperature)


def emission_kl(student, teacher, where, temperature):
    return losses.emission_kl(student, teacher, where, temperature)


@functools.partial(jax.jit, static_argnums=0)
def loss_and_gradient(loss, student, *rest):
    def total(student):
        values = loss(student, *rest)
        return values.sum(), values

    (_, values), gradients = jax.value_and_grad(total, has_aux=True)(student)
    return values, gradients


# --- What is measured ---------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A loss beside its PyTorch writing.

    Attributes:
        name: In `mmkd_jax.losses` and `losses_torch`.
        metric: The table that it stands in.
        ours: (student, *rest) -> one value an example.
        draw: The sizes of `shape`, then `options` -> (student, rest).
        shape: Axis -> size.
        options: What else the data depend on, such as a temperature.
    """

    name: str
    metric: str
    ours: Callable
    draw: Callable
    shape: dict[str, int]
    options: tuple = ()

    @property
    def case(self) -> str:
        return " ".join([self.name, *(f"{axis}{size}" for axis, size in self.shape.items())])

    def data(self):
        return self.draw(*self.shape.values(), *self.options)


SENTENCES = {"B": 256, "D": 768}
WORDS = {"B": 256, "W": 24, "D": 768}
TOKENS = {"B": 32, "T": 128, "V": 119547, "D": 768}
CHAINS = {"B": BATCH, "T": 64, "N": 17}

COMPARISONS = {
    "sentence_alignment": Comparison(
        "sentence_alignment", MMKD, losses.sentence_alignment, draw_sentences, SENTENCES
    ),
    "structure_alignment": Comparison(
        "structure_alignment", MMKD, structure_alignment, draw_sentences, SENTENCES, (0.1,)
    ),
    "word_alignment": Comparison("word_alignment", MMKD, losses.word_alignment, draw_words, WORDS),
    "crf_nll": Comparison("crf_nll", STRUCTURED, crf_nll, draw_gold, CHAINS),
    "crf_kl": Comparison("crf_kl", STRUCTURED, crf_kl, draw_chains, CHAINS, (2.0,)),
    "crf_top_k_5": Comparison("crf_top_k", STRUCTURED, crf_top_k, draw_paths, CHAINS | {"K": 5}),
    "crf_top_k_10": Comparison("crf_top_k", STRUCTURED, crf_top_k, draw_paths, CHAINS | {"K": 10}),
    "crf_posterior": Comparison(
        "crf_posterior", STRUCTURED, crf_posterior, draw_chains, CHAINS, (2.0,)
    ),
    "emission_kl": Comparison(
        "emission_kl", STRUCTURED, emission_kl, draw_emissions, CHAINS, (2.0,)
    ),
}

INTRO = f"""\
Each loss with its gradient by all that the student brings (vectors; hidden states, table and bias;
the four arrays of a chain), on a CPU in float32. Medians of calls that take turns in one process;
compilation is outside. A ratio is the peer's figure divided by ours. Before it is timed, a peer's
values and gradients are compared with ours ({TOLERANCE:g} of the largest entry). *{TORCH}* is what
its user writes without further libraries, run eagerly, on all cores or (the token level excepted)
on one thread, whichever is faster; its CRFs loop over the steps in log space.
Words are ragged (W/2 to W), chains too (T/2 to T). Temperature 0.1 for `structure_alignment`, 2
for the KLs; the teacher's inference is part of a call, its best paths are not. At the token level
15 % of the B × T positions are chosen. Every side starts at their hidden states, so that the
projection to V tokens is part of the call: whole for {TORCH} and for `token_alignment`, which is
the *{PLAIN}*, and in chunks for `token_alignment_from_hidden`. Temporary memory is what XLA plans
beyond arguments and results.

Where {TORCH} wins: `word_alignment` is two products of small matrices a sentence, which XLA's CPU
back end runs at about half the speed of MKL's batched ones; `emission_kl` is a few exponentials for
35,000 numbers, of which the call itself is a third."""

PACKAGES = ["jax", "jaxlib", "jaxtyping", "numpy", "torch"]


# --- One cell -----------------------------------------------------------------------------------


def near(what: str, value, expected):
    value, expected = array(value), array(expected)
    if value.shape != expected.shape:
        raise Differs(f"{what} of shape {value.shape}, not {expected.shape}")
    error = np.abs(value - expected).max() / np.abs(expected).max()
    if not error <= TOLERANCE:
        raise Differs(f"{what} off by {error:.1e}")


def check(result, expected):
    near("values", result[0], expected[0])
    gradients, ours = jax.tree.leaves(result[1]), jax.tree.leaves(expected[1])
    for gradient, mine in zip(gradients, ours, strict=True):
        near("gradient", gradient, mine)


def our_call(loss: Callable, student, rest) -> Callable:
    arrays = jax.tree.map(jnp.asarray, (student, *rest))
    return functools.partial(loss_and_gradient, loss, *arrays)


def torch_call(name: str, student, rest, threads: int) -> Callable:
    import losses_torch
    import torch

    device = {"cpu": "cpu", "gpu": "cuda"}[jax.default_backend()]

    def tensor(x):
        return torch.tensor(x, device=device) if isinstance(x, np.ndarray) else x

    student, rest = jax.tree.map(tensor, (student, rest))
    return losses_torch.with_gradient(getattr(losses_torch, name), student, rest, threads)


def attempt_torch(name: str, student, rest, expected, threads: int) -> Candidate | str:
    """PyTorch's call, known to compute what we do, or the reason why there is none."""
    if not installed("torch"):
        return "not installed"
    try:
        # The second call of warm_up is for the threads and the memory that the first one gets.
        candidate, result = warm_up(torch_call(name, student, rest, threads), compiles=True)
        check(result, expected)
    except Differs as difference:
        return f"differs from ours: {difference}"
    except Exception as error:  # a peer's failure is a row, not the end of the run
        return f"failed: {type(error).__name__}: {error}".splitlines()[0][:80]
    return candidate


def milliseconds(calls: dict[str, Candidate | str], seconds: float) -> dict[str, float]:
    calls = {name: call for name, call in calls.items() if isinstance(call, Candidate)}
    return {name: 1e3 * value for name, value in medians(calls, seconds).items()}


def timed_row(case, metric, ours: float, peer: str, outcome: Candidate | str, theirs) -> Row:
    note = outcome if isinstance(outcome, str) else ""
    if theirs is not None and theirs > 1e3 * CALL_LIMIT:
        note = f"over {CALL_LIMIT:.0f} s a call"
    return Row(case, metric, ours, theirs, peer, note=note)


def compare(comparison: Comparison) -> Row:
    case, metric = comparison.case, comparison.metric
    data = comparison.data()
    mine, expected = warm_up(our_call(comparison.ours, *data), compiles=True)
    # Threads that wait for each other can take longer than one that does it all.
    theirs = {
        threads: attempt_torch(comparison.name, *data, expected, threads)
        for threads in {1, usable_cores()}
    }
    found = milliseconds({"": mine} | theirs, seconds=1.5)
    best = min(theirs, key=lambda threads: found.get(threads, np.inf))
    return timed_row(case, metric, found[""], TORCH, theirs[best], found.get(best))


# --- Token level --------------------------------------------------------------------------------


def compare_tokens(shape: dict[str, int]) -> list[Row]:
    """Both of our forms and PyTorch, in turns, and the memory of ours."""
    data = draw_tokens(*shape.values())
    plain_call, chunked_call = (
        our_call(loss, *data) for loss in (plain_tokens, tokens_from_hidden)
    )
    plain, expected = warm_up(plain_call, compiles=True)
    chunked, result = warm_up(chunked_call, compiles=True)
    check(result, expected)
    del result  # its gradients are as large as the table
    theirs = attempt_torch("token_alignment", *data, expected, usable_cores())
    del expected
    outcomes = {"": chunked, PLAIN: plain, TORCH: theirs}
    found = milliseconds(outcomes, seconds=15.0)
    sizes = " ".join(f"{axis}{size}" for axis, size in shape.items())
    whole_case, case = (f"token_alignment{form} {sizes}" for form in ("", "_from_hidden"))
    rows = [timed_row(whole_case, MMKD, found[PLAIN], TORCH, theirs, found.get(TORCH))]
    for peer in (TORCH, PLAIN):
        rows.append(timed_row(case, MMKD, found[""], peer, outcomes[peer], found.get(peer)))
    used, plain_used = map(temporary_megabytes, (chunked_call, plain_call))
    array_size = int(data[1][1].sum()) * shape["V"] * 4 / 1e6
    rows.append(Row(case, MEMORY, used, array_size, ONE_ARRAY, 4.0))
    rows.append(Row(case, MEMORY, used, plain_used, PLAIN))
    return rows


def temporary_megabytes(call: functools.partial) -> float:
    compiled = call.func.lower(*call.args).compile()
    return compiled.memory_analysis().temp_size_in_bytes / 1e6


# --- Import -------------------------------------------------------------------------------------

LIMIT = 0.15  # seconds
MODULES = ("mmkd_jax.losses", "mmkd_jax.crf", "mmkd_jax.losses, mmkd_jax.crf")


def compare_imports(times: int = 9) -> list[Row]:
    """Fresh processes, in turns; the first of each may still have to compile to bytecode."""
    samples = {modules: [] for modules in MODULES}
    for _ in range(times + 1):
        for modules, seconds in samples.items():
            seconds.append(import_seconds(modules))
    return [
        Row(modules, IMPORT, statistics.median(seconds[1:]), LIMIT, f"limit of {LIMIT} s", 1.0)
        for modules, seconds in samples.items()
    ]


def import_seconds(modules: str) -> float:
    program = f"""\
import time
import jax, jax.numpy
begin = time.perf_counter()
import {modules}
print(time.perf_counter() - begin)"""
    command = [sys.executable, "-c", program]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return float(done.stdout)


# --- Program ------------------------------------------------------------------------------------

OTHERS = {
    "token_alignment": functools.partial(compare_tokens, TOKENS),
    "import": compare_imports,
}
ALL = (*COMPARISONS, *OTHERS)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        type=lambda text: tuple(text.split(",")),
        default=ALL,
        help=f"some of {','.join(ALL)}",
    )
    parser.add_argument("--platform", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--merge", action="store_true", help="put a part among the stored rows")
    chosen = parser.parse_args()
    if unknown := set(chosen.only) - set(ALL):
        parser.error(f"--only: {', '.join(sorted(unknown))}: not among {', '.join(ALL)}")
    return chosen


def main():
    chosen = arguments()
    jax.config.update("jax_platforms", {"cpu": "cpu", "gpu": "cuda"}[chosen.platform])
    name = {"cpu": "losses", "gpu": "losses_gpu"}[chosen.platform]
    report = Report(name, f"Losses on a {chosen.platform.upper()}", INTRO, PACKAGES)
    if chosen.merge:
        report.check_mergeable()
    # The large tables of the token level come after all that is small.
    for name in (name for name in COMPARISONS if name in chosen.only):
        report.add(compare(COMPARISONS[name]))
    for name in (name for name in OTHERS if name in chosen.only):
        report.add(*OTHERS[name]())
    for metric in dict.fromkeys(row.metric for row in report.rows):
        report.show(metric)
    print(report.verdict())
    if chosen.merge or set(chosen.only) == set(ALL):
        report.write(merge=chosen.merge)


if __name__ == "__main__":
    main()
