"""Plans MMKD at the size of multilingual BERT on TPU v5e slices of 16, 64 and 256 chips.

    python benchmarks/plan.py

needs the extra "plan" and no TPU. Checks that the step fits, and that memory and what a chip
exchanges, but for the sentence vectors, are the same on 16 and on 256 chips (within 5 %). Each plan
is a process of its own (`python -m mmkd_jax.plan`), one after the other.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys

from side_by_side import Report, Row

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHAPES = ("4x4", "8x8", "16x16")
EACH = 64  # pairs a chip
FLAT = 0.95  # smaller / larger
MEMORY, EXCHANGED, VECTORS = "memory a chip [GiB]", "exchanged a chip [GiB]", "of it vectors [%]"
STEP, MFU, PAIRS = "a step at best [ms]", "MFU at best [%]", "pairs a second at best"
GIB = 2**30

INTRO = f"""`configs/mmkd.py` (bert-base-cased teaches bert-base-multilingual-cased, bfloat16,
rows of 128 subwords without padding) compiled for slices of v5e, {EACH} pairs a chip; no TPU has
run it. *Exchanged* is the size of the arrays that collectives are about, sentence vectors left out.
The "peer" is what a chip has, or the plan for 16 chips. Times are a roofline's: {{roofline}}."""


def plan(shape: str, more: list[str]) -> dict:
    """The JSON object of one plan."""
    chips = math.prod(int(size) for size in shape.split("x"))
    command = [sys.executable, "-m", "mmkd_jax.plan", "--config=configs/mmkd.py"]
    command += [f"--topology=v5e:{shape}", f"--config.batch_size={EACH * chips}", *more]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    print(done.stdout, flush=True)
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} has failed with {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def rows(plans: dict[str, dict]) -> list[Row]:
    found = []
    first = plans[SHAPES[0]]
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
                note=f"compiled in {one['compile_seconds']:.0f} s",
            )
        )
        if not one["fits"]:
            continue  # the compiler has given up, and knows no more
        if shape != SHAPES[0] and first["fits"]:
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
    parser.add_argument("more", nargs="*", help="Flags of mmkd_jax.plan, such as --config.x=1.")
    _, more = parser.parse_known_args()
    plans = {shape: plan(shape, more) for shape in SHAPES}
    last = plans[SHAPES[-1]]
    intro = INTRO.format(limit=last["hbm_limit"] / GIB, roofline=last["roofline"])
    report = Report("plan", "MMKD on TPU slices, planned", intro, ["jax", "jaxlib", "libtpu"])
    report.add(*rows(plans))
    report.write()


if __name__ == "__main__":
    main()
