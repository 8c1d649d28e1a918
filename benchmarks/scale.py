"""Measures what a step of MMKD costs as batch, length and devices grow, and where its time goes.

    export GLIBC_TUNABLES=glibc.malloc.hugetlb=1  # as launch/local.sh does, on a CPU
    python benchmarks/scale.py          # about 5 minutes on 2 cores
    python benchmarks/scale.py --quick  # a tiny model; prints, writes nothing

On a CPU the devices are virtual: they share the cores, so that what they show is what splitting a
step costs by itself. A whole run writes `results/scale.json` and its section of `RESULTS.md`.
"""

import argparse
import functools
import gc
import os
from collections.abc import Iterable

os.environ["XLA_FLAGS"] = (
    f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
)

import jax
import mmkd_step_setup as setup
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from profile_summary import shares, time_by_kind
from side_by_side import Report, Row, figure, medians, warm_up

from mmkd_jax import data

SIZES = {"width": 128, "layers": 3, "heads": 4, "hidden_width": 512, "positions": 512}
TINY = {"width": 32, "layers": 1, "heads": 2, "hidden_width": 64, "positions": 512}
BATCH, LENGTH = 64, 64
BATCHES, LENGTHS, DEVICES = (16, 32, 64, 128), (32, 64, 128), (1, 2, 4, 8)

BY_BATCH = f"step by batch, rows of {LENGTH} [ms]"
BY_LENGTH = f"step by length of rows, {BATCH} pairs [ms]"
BY_DEVICES = f"step by devices, {BATCH} pairs, rows of {LENGTH} [ms]"
PROFILE = "share of a step's time by kind of operation [%]"
EVEN = "were it proportional"

INTRO = f"""\
MMKD with all levels: {SIZES["layers"]} layers of width {SIZES["width"]}, vocabularies as large as
those of BERT and multilingual BERT, float32, pairs of the sample corpus in rows of one length.
*{EVEN}*: the first line's figure, times what has grown; a ratio above 1 means that larger costs
less by the pair. Devices are virtual and share the cores, so there one would hope for 1; but each
has all parameters, adds up their gradients with the others and makes Adam's step for itself. Huge
pages were asked for ({os.environ.get("GLIBC_TUNABLES", "no: without, large steps cost far more")}).
Kinds of operations are those that XLA reports; a fusion is named after its last part."""

PACKAGES = ["jax", "jaxlib", "flax", "optax", "numpy"]


@functools.cache
def corpus() -> tuple:
    _, sources, *tokenizers = setup.of_sample()
    return sources, *map(data.SubwordTokenizer, tokenizers)


def pairs_of(count: int, length: int = LENGTH) -> data.PairBatch:
    """Real pairs, cut and padded to rows of one length."""
    sources, teacher, student = corpus()
    prepared = data.tokenize_pairs(sources, teacher, student, length)
    sampling = data.Sampling(prepared.languages)
    plan = data.plan_pairs(prepared.lengths[:, :3], sampling, count, length, shapes=1)
    return setup.padded(data.PairBatches(prepared, plan, teacher, student, length)(0), length)


def step_call(sizes: dict, batch: data.PairBatch, devices: int = 1):
    """A training step with parameters on each of some devices, and the batch split over them."""
    mesh = jax.make_mesh(
        (devices,), ("data",), devices=jax.devices()[:devices], axis_types=(AxisType.Auto,)
    )
    method = setup.new_method(sizes)
    ours = setup.Ours(method, setup.new_weights(method), len(batch.example))
    everywhere = NamedSharding(mesh, PartitionSpec())
    ours.state, ours.frozen = jax.device_put((ours.state, ours.frozen), everywhere)
    there = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
    return functools.partial(ours.step, there)


def rows_by(metric: str, sizes: Iterable[int], call_of, grows: bool, seconds: float) -> list[Row]:
    """One size after the other: steps that take turns take each other's memory, which costs."""
    found = {}
    for size in sizes:
        warm = warm_up(call_of(size), compiles=True)[0]
        found[size] = medians({size: warm}, seconds)[size]
        del warm
        gc.collect()
    first = min(found)
    rows = []
    for size, taken in found.items():
        even = found[first] * (size / first if grows else 1)
        rows.append(Row(str(size), metric, 1e3 * taken, 1e3 * even, EVEN))
    return rows


def profile_rows(call) -> list[Row]:
    found = shares(time_by_kind(call))
    return [
        Row(name, PROFILE, 100 * share, None, "note", note=f"{figure(100 * share)} %")
        for name, share in found
    ]


def measure(report: Report, quick: bool) -> None:
    sizes, seconds = (TINY, 0.5) if quick else (SIZES, 10.0)
    batches, lengths, devices = (
        (values[:2] if quick else values) for values in (BATCHES, LENGTHS, DEVICES)
    )
    for metric, values, call_of, grows in (
        (BY_BATCH, batches, lambda count: step_call(sizes, pairs_of(count)), True),
        (BY_LENGTH, lengths, lambda length: step_call(sizes, pairs_of(BATCH, length)), True),
        (BY_DEVICES, devices, lambda count: step_call(sizes, pairs_of(BATCH), count), False),
    ):
        report.add(*rows_by(metric, values, call_of, grows, seconds))
        report.show(metric)
    report.add(*profile_rows(step_call(sizes, pairs_of(BATCH))))
    report.show(PROFILE)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tiny model; writes nothing")
    chosen = parser.parse_args()
    report = Report("scale", "A step of MMKD, as things grow", INTRO, PACKAGES)
    measure(report, chosen.quick)
    if not chosen.quick:
        report.write()


if __name__ == "__main__":
    main()
