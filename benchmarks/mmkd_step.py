"""Measures one training step of MMKD, beside the released schedule in PyTorch.

    python benchmarks/mmkd_step.py          # about 14 minutes on 2 cores
    python benchmarks/mmkd_step.py --quick  # a small model; prints, writes nothing

A whole run writes `results/mmkd_step.json` and its section of `RESULTS.md`. BERT-base in bfloat16
on a GPU, against torch.compile, is in `gpu.py`. The peers are in `mmkd_step_torch.py`;
`pip install mmkd_jax[bench]` installs PyTorch. Pairs are read from the folder that
MMKD_SHARED_DATA names; without it the package's sample corpus is taken, as every row says.
"""

import argparse
import functools
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import mmkd_step_setup as setup
import numpy as np
from side_by_side import Report, Row, figure, installed, medians, usable_cores, warm_up

from mmkd_jax import data, models
from mmkd_jax.methods import MMKD

BATCH = 32
PAIRS = 60_000
TOLERANCE = 1e-4  # of a loss, relative where it is above 1

RELEASED = "released schedule, PyTorch"
EQUAL = "our schedule, PyTorch"
PEERS = {"released": RELEASED, "equal": EQUAL}
SHARE = "share of the step"

STEP = "training step [ms]"
MEMORY = "memory of two steps at the longest rows [MB]"
PARTS = "parts of our step [ms]"
LOSSES = "losses of one batch, without dropout"

TARGETS = {(STEP, RELEASED): 5.0, (MEMORY, RELEASED): 2.0}

INTRO = f"""\
One step of MMKD: all four levels, gradients, AdamW. Student and teacher have 6 layers of width 384
and 12 heads, and the vocabularies of multilingual BERT (119 547) and bert-base-cased; random
weights, dropout 0.1 in the student, float32, {BATCH} pairs a batch. Pairs are drawn from Tatoeba (7
languages) and Python's documentation (6), {PAIRS:,} in the proportion of their sources, in the
shapes that `plan_pairs` finds. Of each shape one batch is measured, and *epoch* is the mean over an
epoch's batches. *{RELEASED}*: the student runs 4 times, the teacher 3 times, all rows have 128
tokens, and the masked-LM head scores the whole vocabulary at all of them; its work is the same for
every batch, so that one was measured. *{EQUAL}*: the same rows, passes and gathered positions as
ours: what differs there is the implementation, and the rest of the distance is the design's. Both
use transformers' BERT and PyTorch's fused AdamW, all cores, and threads that sleep while they wait
(OMP_WAIT_POLICY=PASSIVE), without which PyTorch took up to four times as long on a machine with
other work. A ratio is the peer's figure divided by ours; medians of calls that take turns in one
process. Compilation is outside the times. Making batches is outside, too; `data` measures it.

Memory: the most that was resident during two steps on a batch with rows of 128, less what was
resident before optimiser state and first step, each side in a process of its own; ours includes
what compiling takes.

Parts are compiled and timed by themselves, on the shape that has most of the time of an epoch; what
is left are embeddings, the other losses, the norm of the gradient, first touches of memory (a
million pages a step at rows of 128), and what XLA makes of the whole."""

PACKAGES = ["jax", "jaxlib", "flax", "optax", "numpy", "torch", "transformers"]


class Sides(NamedTuple):
    """What is compared, on the same weights.

    Attributes:
      pairs: the batches.
      ours: our step.
      peers: theirs by name, none where PyTorch is missing.
    """

    pairs: setup.Pairs
    ours: setup.Ours
    peers: dict


# --- Both sides ---------------------------------------------------------------------------------


def save_models(folder: pathlib.Path, method: MMKD, weights: tuple[dict, dict, dict]) -> None:
    """As transformers loads them."""
    params, _, frozen = weights
    models.save_pretrained(folder / "student", method.student, params["encoder"])
    models.save_pretrained(folder / "teacher", method.teacher, frozen["teacher"])


def new_peer(name: str, folder: pathlib.Path, projected: bool = True):
    import mmkd_step_torch
    import torch

    torch.set_num_threads(usable_cores())
    kind = {"released": mmkd_step_torch.Released, "equal": mmkd_step_torch.Equal}[name]
    return kind(folder, projected, setup.learning_rate(BATCH))


def for_torch(batch: data.PairBatch, padded: bool, device: str = "cpu") -> dict:
    from mmkd_step_torch import tensors

    batch = setup.padded(batch) if padded else batch
    return tensors(batch._asdict() | {"labels": setup.labels(batch)}, device)


# --- The same losses ----------------------------------------------------------------------------


def loss_rows(pairs: setup.Pairs, sizes: dict) -> list[Row]:
    """Losses and the gradient's norm on the same weights; the end of the program if they differ."""
    method = setup.new_method(sizes, "none", dropout=0.0, attention_dropout=0.0)
    weights = setup.new_weights(method)
    batch = pairs.batches[0]
    with tempfile.TemporaryDirectory() as folder:
        save_models(pathlib.Path(folder), method, weights)
        theirs = {
            title: torch_losses(new_peer(name, pathlib.Path(folder), False), batch, name)
            for name, title in PEERS.items()
        }
    metrics = setup.Ours(method, weights, BATCH).step(batch)
    rows = []
    for level in ("token", "word", "sentence", "structure", "gradient_norm"):
        mine = float(metrics[level])
        for title, found in theirs.items():
            error = abs(found[level] - mine) / max(1.0, abs(mine))
            if not error <= TOLERANCE:
                raise SystemExit(f"{level}: {title} has {found[level]:.7g}, we have {mine:.7g}")
            note = f"differs by {error:.0e}"
            rows.append(Row(level.replace("_", " "), LOSSES, mine, found[level], title, note=note))
    return rows


def torch_losses(peer, batch: data.PairBatch, name: str) -> dict[str, float]:
    peer.train_with_dropout(False)
    tensors = for_torch(batch, padded=name == "released")
    found = {level: loss.item() for level, loss in peer.losses(tensors).items()}
    peer.total(tensors).backward()
    squares = sum((p.grad**2).sum().item() for p in peer.parameters() if p.grad is not None)
    return found | {"gradient_norm": math.sqrt(squares)}


# --- Speed --------------------------------------------------------------------------------------


def speed_rows(sides: Sides, seconds: float, rounds: int) -> list[Row]:
    shapes = range(len(sides.pairs.batches))
    calls: dict[tuple, Callable] = {
        ("ours", k): functools.partial(sides.ours.step, sides.pairs.batches[k]) for k in shapes
    }
    if sides.peers:
        for k in shapes:
            tensors = for_torch(sides.pairs.batches[k], padded=False)
            calls["equal", k] = functools.partial(sides.peers["equal"].step, tensors)
        tensors = for_torch(sides.pairs.batches[-1], padded=True)
        calls["released", 0] = functools.partial(sides.peers["released"].step, tensors)
    warm = {key: warm_up(call, compiles=key[0] == "ours")[0] for key, call in calls.items()}
    found = medians(warm, seconds, rounds)
    times = {
        "ours": [1e3 * found["ours", k] for k in shapes],
        "equal": [1e3 * found["equal", k] for k in shapes] if sides.peers else None,
        "released": [1e3 * found["released", 0] for _ in shapes] if sides.peers else None,
    }
    return [row for peer in PEERS for row in rows_against(peer, sides.pairs, times)]


def rows_against(peer: str, pairs: setup.Pairs, times: dict[str, list[float]]) -> list[Row]:
    title = PEERS[peer]
    if times[peer] is None:
        return [Row(f"{pairs.name}, epoch", STEP, None, None, title, note="not installed")]
    mine, theirs = (float(np.dot(pairs.shares, times[side])) for side in ("ours", peer))
    speeds = " against ".join(f"{figure(1e3 * BATCH / t)} pairs/s" for t in (mine, theirs))
    target = TARGETS.get((STEP, title))
    rows = [Row(f"{pairs.name}, epoch", STEP, mine, theirs, title, target, speeds)]
    for batch, share, ours, other in zip(
        pairs.batches, pairs.shares, times["ours"], times[peer], strict=True
    ):
        case = f"{shape_name(batch)}, {100 * share:.0f} % of batches"
        rows.append(Row(case, STEP, ours, other, title))
    return rows


def shape_name(batch: data.PairBatch) -> str:
    views = (batch.teacher_ids, batch.student_ids, batch.pair_mask)
    return "rows of " + ", ".join(str(view.shape[1]) for view in views)


# --- Parts --------------------------------------------------------------------------------------


def part_rows(method: MMKD, sides: Sides, times: list[float], seconds: float) -> list[Row]:
    """Each part in a program of its own, in turns with the whole step."""
    ours = sides.ours
    number = int(np.argmax(sides.pairs.shares * times))
    batch = sides.pairs.batches[number]
    calls = part_calls(method, ours, jax.tree.map(jnp.asarray, batch))
    calls["whole"] = functools.partial(ours.step, batch)
    warm = {name: warm_up(call, compiles=True)[0] for name, call in calls.items()}
    found = {name: 1e3 * value for name, value in medians(warm, seconds, 9).items()}
    whole = found.pop("whole")
    found["all else"] = whole - sum(found.values())
    found["whole"] = whole
    where = shape_name(batch)
    return [
        Row(f"{name}, {where}", PARTS, value, None, SHARE, note=f"{100 * value / whole:.0f} %")
        for name, value in found.items()
    ]


def part_calls(method: MMKD, ours: setup.Ours, batch: data.PairBatch) -> dict[str, Callable]:
    key = jax.random.key(0)
    totals = method.totals(batch, 0)
    encoder = jax.tree.map(jnp.copy, ours.state.params["encoder"])

    def of_layers(views: Callable) -> Callable:
        """The gradient by all layers. That by the word table is the masked-LM head's part."""

        def total(layers):
            return views({"encoder": encoder | {"layers": layers}}).sum()

        gradient = jax.jit(jax.grad(total))
        return lambda: gradient(encoder["layers"])

    def pair_views(params):
        return jnp.stack(method._pair_views(params, batch, key))

    def translations(params):
        return method._read(params, batch.student_ids, batch.student_mask, None, key)

    hidden = jax.jit(pair_views)({"encoder": encoder})[0]
    head = jax.jit(
        jax.grad(lambda p, h: method._token_level(p, h, batch, totals), argnums=(0, 1)),
    )
    teach = jax.jit(method._teach)
    return {
        "teacher, forward": lambda: teach(ours.frozen, batch),
        "pair views": of_layers(pair_views),
        "translations": of_layers(translations),
        "masked-LM head and loss": lambda: head(encoder, hidden),
        "optimiser": optimiser_call(ours),
    }


def optimiser_call(ours: setup.Ours) -> Callable:
    import optax

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def update(params, state, gradients):
        updates, state = ours.optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state

    kept = jax.tree.map(jnp.copy, (ours.state.params, ours.state.optimizer))
    gradients = jax.tree.map(jnp.ones_like, ours.state.params)

    def call():
        nonlocal kept
        kept = update(*kept, gradients)
        return kept

    return call


# --- Memory -------------------------------------------------------------------------------------


def memory_rows(pairs: setup.Pairs, sizes: dict, folder: pathlib.Path) -> list[Row]:
    np.savez(folder / "batch.npz", **setup.padded(pairs.batches[-1])._asdict())
    (folder / "sizes.json").write_text(json.dumps(sizes))
    found = {side: memory_of(side, folder) for side in ("ours", *PEERS) if can_run(side)}
    mine, _ = found["ours"]
    rows = []
    for side, title in PEERS.items():
        theirs, whole = found.get(side, (None, None))
        note = f"whole process: {found['ours'][1]:.0f} against {whole:.0f}" if whole else "missing"
        target = TARGETS.get((MEMORY, title))
        rows.append(Row(f"{pairs.name}, rows of 128", MEMORY, mine, theirs, title, target, note))
    return rows


def can_run(side: str) -> bool:
    return side == "ours" or (installed("torch") and installed("transformers"))


def memory_of(side: str, folder: pathlib.Path) -> tuple[float, float]:
    """Megabytes that steps took, and those of the whole process."""
    command = [sys.executable, __file__, "--memory", side, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    before, after = json.loads(done.stdout.splitlines()[-1])
    return after - before, after


def measure_memory(side: str, folder: pathlib.Path) -> None:
    """Prints what was resident before the steps, and the most that ever was."""
    with np.load(folder / "batch.npz") as arrays:
        batch = data.PairBatch(**arrays)
    if side == "ours":
        method = setup.new_method(json.loads((folder / "sizes.json").read_text()))
        weights = jax.block_until_ready(setup.new_weights(method))
        before = resident("VmRSS")
        ours = setup.Ours(method, weights, BATCH)
        del weights
        step = functools.partial(ours.step, batch)
    else:
        step = functools.partial(new_peer(side, folder).step, for_torch(batch, padded=False))
        before = resident("VmRSS")
    for _ in range(2):
        jax.block_until_ready(step())
    print(json.dumps([before, resident("VmHWM")]))


def resident(which: str) -> float:
    """Megabytes, as Linux counts them."""
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(which))
    return int(line.split()[1]) * 1024 / 1e6


# --- Program ------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small model; writes nothing")
    parser.add_argument("--memory", choices=["ours", *PEERS], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=pathlib.Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(report: Report, quick: bool) -> None:
    sizes = setup.SMALL | ({"layers": 1, "width": 96, "hidden_width": 384} if quick else {})
    pairs = setup.draw(PAIRS // 10 if quick else PAIRS, BATCH)
    if quick:
        pairs = pairs._replace(batches=pairs.batches[-2:], shares=np.array([0.5, 0.5]))
    with_torch = can_run("released")
    if with_torch:
        report.add(*loss_rows(pairs, sizes))
        report.show(LOSSES)
    method = setup.new_method(sizes)
    weights = setup.new_weights(method)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        save_models(folder, method, weights)
        report.add(*memory_rows(pairs, sizes, folder))
        report.show(MEMORY)
        peers = {name: new_peer(name, folder) for name in PEERS} if with_torch else {}
    sides = Sides(pairs, setup.Ours(method, weights, BATCH), peers)
    rows = speed_rows(sides, *((5, 2) if quick else (100, 5)))
    report.add(*rows)
    report.show(STEP)
    times = [row.ours for row in rows if row.peer_name == EQUAL][1:]
    report.add(*part_rows(method, sides._replace(peers={}), times, 2 if quick else 15))
    report.show(PARTS)


def main():
    # Before PyTorch is loaded; see INTRO.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    chosen = arguments()
    jax.config.update("jax_platforms", "cpu")
    if chosen.memory:
        measure_memory(chosen.memory, chosen.folder)
        return
    report = Report("mmkd_step", "A training step of MMKD on a CPU", INTRO, PACKAGES)
    measure(report, chosen.quick)
    print(report.verdict())
    if not chosen.quick:
        report.write()


if __name__ == "__main__":
    main()
