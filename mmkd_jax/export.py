"""Writes the student of a run as a folder that transformers and sentence-transformers load.

    python -m mmkd_jax.export --workdir=DIR --out=DIR

A run that has finished has done this by itself, into ``workdir/student``; this is for runs that go
on, for other steps (``--step``, "best", "latest" or a number) and other precisions (``--dtype``).
"""

from pathlib import Path

from absl import flags

from mmkd_jax._json import read_json
from mmkd_jax._program import messages, start

_WORKDIR = flags.DEFINE_string("workdir", None, "Of the run.")
_OUT = flags.DEFINE_string("out", None, "The folder to write.")
_STEP = flags.DEFINE_string("step", "latest", "latest, best, or the number of a checkpoint.")
_DTYPE = flags.DEFINE_enum("dtype", "float32", ["float32", "float16", "bfloat16"], "Of the file.")


def export(workdir: str, out: str, step: str = "latest", dtype: str = "float32") -> int:
    """Exports a checkpoint; returns the exit code."""
    from mmkd_jax import config, training
    from mmkd_jax.runs import RUNS

    folder = Path(workdir)
    if not (folder / "config.json").exists():
        raise FileNotFoundError(f"{folder} is no workdir: it has no config.json")
    settings = config.read(read_json(folder / "config.json"))
    run = RUNS[settings.method](settings, folder)
    mesh = training.make_mesh(training.MeshSettings())
    with training.Checkpoints(folder / "checkpoints") as checkpoints:
        number = chosen_step(checkpoints, step, folder)
        restored = checkpoints.restore_step(number, run.trained_state(mesh))
    run.export(restored.state, Path(out), dtype)
    print(f"{out}: the student after {number} steps")
    return 0


def chosen_step(checkpoints: "training.Checkpoints", step: str, workdir: Path) -> int:
    """The number of the checkpoint that is meant."""
    steps = checkpoints.steps()
    if not steps:
        raise FileNotFoundError(f"{workdir} has no checkpoint yet")
    if step == "latest":
        return steps[-1]
    if step == "best":
        best = checkpoints.best()
        return steps[-1] if best is None else best
    if not step.isdigit() or int(step) not in steps:
        raise ValueError(f"--step must be latest, best, or one of {steps}, got {step!r}")
    return int(step)


def main() -> int:
    """The program."""
    with messages("export"):
        return export(_WORKDIR.value, _OUT.value, _STEP.value, _DTYPE.value)


if __name__ == "__main__":
    flags.mark_flags_as_required(["workdir", "out"])
    start(main, "export")
