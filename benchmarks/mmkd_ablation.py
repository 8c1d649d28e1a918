"""Measures what each level of MMKD is worth, on real pairs, by leaving it out.

    python benchmarks/mmkd_ablation.py                # an hour on 2 cores; goes on if stopped
    python benchmarks/mmkd_ablation.py --arms=all,no_token --seeds=2
    python benchmarks/mmkd_ablation.py --report       # writes down what is finished

Each arm is a run of `configs/mmkd_tatoeba.py:ARM` in a folder of its own below `--workdir`. Pairs
are read from the folder that MMKD_SHARED_DATA names.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys

from side_by_side import Report, Row

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "mmkd_tatoeba.py"
ARMS = (
    *("all", "no_token", "no_word", "no_sentence", "no_structure"),
    *("no_token_no_word", "sentence_alone", "no_distillation", "light"),
)
SETS = {"tatoeba": "Tatoeba test", "ntrex": "NTREX"}
BEFORE, WHOLE = "before training", "all levels"

INTRO = """\
Retrieval: how many translations have their English sentence as their nearest neighbour, by
cosine, mean over languages in percent; 1,000 sentences a language on the Tatoeba test (de es fr
ja tr zh), 1,997 on NTREX (also ko vi). Each arm is `configs/mmkd_tatoeba.py:ARM` with
`--config.total_steps={steps}`: 128 pairs a step, three layers, the same pairs in the same
order. Sentence and structure level weigh 1, token and word level 0.1, and in *light* 0.02.
{seeds} One seed tells no difference of a point from chance; these are larger. What is learned
from them: the sentence level carries retrieval and the structure level adds much to it; the
token and the word level, which are asked of every sixteenth pair, cost retrieval where they
weigh 0.1, either of them. Lighter, they cost two points against none of the two
(*no_token_no_word*), which one seed hardly tells, so that light is what the configs for small
runs have: what the token level is for, fine-tuning, is not measured here. The arms without one
level were not made again with light weights. A ratio is the other column's figure divided by
the arm's: above 1, the arm is worse off."""


def command(arm: str, seed: int, steps: int, workdir: pathlib.Path) -> list[str]:
    return [
        *(sys.executable, "-m", "mmkd_jax.train", f"--config={CONFIG}:{arm}"),
        f"--workdir={workdir / f'{arm}-{seed}'}",
        f"--config.pairs.folder={workdir / 'prepared'}",
        *(f"--config.total_steps={steps}", f"--config.seed={seed}"),
    ]


def scores(workdir: pathlib.Path, arm: str, seed: int) -> dict | None:
    """What a finished run has written."""
    path = workdir / f"{arm}-{seed}" / "results.json"
    return json.loads(path.read_text())["retrieval"] if path.exists() else None


def mean_of(by_source: dict[str, float], name: str) -> float:
    return statistics.mean(v for key, v in by_source.items() if key.startswith(name))


def rows_of(found: dict[str, list[dict]]) -> list[Row]:
    rows = []
    for name, title in SETS.items():
        metric = f"{title}, mean over languages [%]"
        means = {
            arm: [mean_of(run["languages"], name) for run in runs] for arm, runs in found.items()
        }
        whole = statistics.mean(means["all"]) if "all" in means else None
        for arm, values in means.items():
            ours = statistics.mean(values)
            before = mean_of(found[arm][0]["languages_before"], name)
            note = " / ".join(f"{value:.1f}" for value in values) if len(values) > 1 else ""
            rows.append(Row(arm, metric, ours, before, BEFORE, note=note))
            if arm != "all":
                rows.append(Row(arm, metric, ours, whole, WHOLE))
    for key in found.get("all", [{"languages": {}}])[0]["languages"]:
        after, before = (
            statistics.mean(run[part][key] for run in found["all"])
            for part in ("languages", "languages_before")
        )
        rows.append(Row(key, "all levels, by source [%]", after, before, BEFORE))
    return rows


def write(workdir: pathlib.Path, arms: list[str], seeds: int, steps: int) -> None:
    found = {
        arm: [run for seed in range(seeds) if (run := scores(workdir, arm, seed))] for arm in arms
    }
    found = {arm: runs for arm, runs in found.items() if runs}
    counts = ", ".join(f"{arm} {len(runs)}" for arm, runs in found.items())
    intro = INTRO.format(steps=steps, seeds=f"Seeds: {counts}.")
    packages = ["jax", "jaxlib", "flax", "optax", "numpy", "transformers"]
    report = Report("mmkd_ablation", "What each level of MMKD is worth", intro, packages)
    report.add(*rows_of(found))
    for metric in dict.fromkeys(row.metric for row in report.rows):
        report.show(metric)
    report.write()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--workdir", type=pathlib.Path, default=ROOT / "runs" / "mmkd_ablation")
    parser.add_argument("--report", action="store_true", help="trains nothing")
    chosen = parser.parse_args()
    arms, workdir = chosen.arms.split(","), chosen.workdir.absolute()
    if not chosen.report and not (workdir / "prepared" / "manifest.json").exists():
        prepare = [f"--config={CONFIG}", f"--out={workdir / 'prepared'}"]
        subprocess.run([sys.executable, "-m", "mmkd_jax.prepare", *prepare], check=True, cwd=ROOT)
    for seed in range(0 if chosen.report else chosen.seeds):
        for arm in arms:
            if scores(workdir, arm, seed) is None:
                print(f"== {arm}, seed {seed}", flush=True)
                subprocess.run(command(arm, seed, chosen.steps, workdir), check=True, cwd=ROOT)
    write(workdir, arms, chosen.seeds, chosen.steps)


if __name__ == "__main__":
    main()
