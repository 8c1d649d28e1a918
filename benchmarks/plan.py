"""Plans MMKD at the size of multilingual BERT on TPU v5e slices of 16, 64 and 256 chips.

    python benchmarks/plan.py
    python benchmarks/plan.py --shapes=4x4,16x16    # some of them

needs the extra "plan", no TPU, and 6 to 15 minutes of one core a slice. Checks that the
step fits, and that memory and what a chip exchanges, but for the sentence vectors, do not grow by
more than 5 % from 16 to 256 chips. Each plan is a process of its own (`python -m mmkd_jax.plan`),
one after the other. What one has said is kept in runs/plans until all have been written down: the
same command goes on where it was stopped.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys

# The report asks JAX what machine this is: one without a TPU.
os.environ["JAX_PLATFORMS"] = "cpu"

from side_by_side import Report, Row

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHAPES = ("4x4", "8x8", "16x16")
KEPT = ROOT / "runs" / "plans"
EACH = 64  # pairs a chip
FLAT = 0.95  # smaller / larger
MEMORY, EXCHANGED, VECTORS = "memory a chip [GiB]", "exchanged a chip [GiB]", "of it vectors [%]"
STEP, MFU, PAIRS = "a step at best [ms]", "MFU at best [%]", "pairs a second at best"
GIB = 2**30

INTRO = f"""`configs/mmkd.py` (bert-base-cased teaches bert-base-multilingual-cased, bfloat16,
rows of 128 subwords without padding) compiled for slices of v5e, {EACH} pairs a chip; no TPU has
run it. *Exchanged* is the size of the arrays that collectives are about, sentence vectors left out.
The gradient of the student's word table (0.34 GiB) is among it twice: as that of the lookups, and,
chunk by chunk in a loop, as that of the masked tokens' predictions, which XLA does not add first.
On 16 chips XLA chooses to gather the sentence vectors forty times, in blocks, and holds 2 GiB more;
on 64 and 256 chips the memory is the same to the byte.
The "peer" is what a chip has, or the plan for 16 chips. Times are a roofline's: {{roofline}}."""


def plan(shape: str, more: list[str]) -> dict:
    """The JSON object of one plan."""
    kept = KEPT / f"{'_'.join([shape, *more]).replace('/', '_')}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    chips = math.prod(int(size) for size in shape.split("x"))
    command = [sys.executable, "-m", "mmkd_jax.plan", "--config=configs/mmkd.py"]
    command += [f"--topology=v5e:{shape}", f"--config.batch_size={EACH * chips}", *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} has failed with {done.returncode}")
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(done.stdout.splitlines()[-1])
    return json.loads(kept.read_text())


def rows(plans: dict[str, dict]) -> list[Row]:
    found = []
    smallest = next(iter(plans))
    first = plans[smallest]
    for shape, one in plans.items():
        case = f"{one['chips']} chips"
        found.append(
            Row(
                case,
                MEMORY,
                one["hbm_bytes_per_chip"] / GIB,
                one["hbm_limit"] / GIB,
                "a chip's memory",
                target=1.0,
            )
        )
        if not one["fits"]:
            continue  # the compiler has given up, and knows no more
        if shape != smallest and first["fits"]:
            for metric, of in ((MEMORY, "hbm_bytes_per_chip"), (EXCHANGED, None)):
                mine, base = (_value(p, of) / GIB for p in (one, first))
                found.append(Row(case, metric, mine, base, f"{first['chips']} chips", target=FLAT))
        else:
            found.append(Row(case, EXCHANGED, _value(one, None) / GIB, None, "", note="–"))
        shown = (
            (VECTORS, 100 * one["collective_share_of_sentence_vectors"]),
            (STEP, 1e3 * one["predicted_step_seconds"]),
            (MFU, 100 * one["predicted_mfu"]),
            (PAIRS, one["pairs_per_second"]),
        )
        found += [Row(case, metric, value, None, "", note="–") for metric, value in shown]
    return found


def _value(one: dict, field: str | None) -> float:
    """A field, or what is exchanged without the sentence vectors."""
    if field:
        return one[field]
    total = sum(one["collective_bytes_per_chip"].values())
    return total * (1 - one["collective_share_of_sentence_vectors"])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", default=",".join(SHAPES), help="the smallest one first")
    parser.add_argument("more", nargs="*", help="Flags of mmkd_jax.plan, such as --config.x=1.")
    chosen, more = parser.parse_known_args()
    plans = {shape: plan(shape, more) for shape in chosen.shapes.split(",")}
    last = list(plans.values())[-1]
    intro = INTRO.format(roofline=last["roofline"])
    report = Report("plan", "MMKD on TPU slices, planned", intro, ["jax", "jaxlib", "libtpu"])
    report.add(*rows(plans))
    report.write()
    shutil.rmtree(KEPT)


if __name__ == "__main__":
    main()
