"""Runs launchers on a machine that has none of the programs that they call, or imitations."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"
_PAPER = ("--config=configs/mmkd.py", "--workdir=gs://bucket/runs/mmkd")
_IMAGE = "--image=registry/mmkd_jax:1"

# What a launcher is told -> golden/NAME.txt has what it would do.
DRY_RUNS = {
    "local": ("local.sh",),
    "local_config": ("local.sh", "--config=configs/pulse.py:a", "--config.seed=1"),
    "slurm": ("slurm.sbatch", "--config=configs/mmkd.py", "--workdir=/shared/it's a run"),
    "tpu_vm": (
        *("tpu_vm.sh", "--name=mmkd", "--zone=us-west4-a", "--topology=v5e:4x4", "--spot"),
        *(*_PAPER, "--config.pairs.root=gs://bucket/corpora"),
    ),
    "tpu_vm_slices": (
        *("tpu_vm.sh", "--name=mmkd", "--zone=us-east5-a", "--topology=v5p:2x2x4", "--slices=2"),
        *("--project=p", "--keep", *_PAPER),
    ),
    "jobset_tpu": (
        *("gke/jobset.sh", "--name=first", _IMAGE, "--build", "--topology=v6e:4x8", "--slices=2"),
        *(*_PAPER, "--config.pairs.root=gs://bucket/corpora"),
    ),
    "jobset_gpu": ("gke/jobset.sh", "--name=first", _IMAGE, "--gpus=nvidia-b200:4", "--hosts=3")
    + _PAPER,
    "xpk": (
        *("gke/xpk.sh", "--cluster=c", "--zone=z", "--name=first", "--topology=tpu7x:4x4x4"),
        *(_IMAGE, "--build", *_PAPER),
    ),
}


def launch(
    script: str, *arguments: str, programs: Path | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Runs a launcher to its end.

    Args:
      script: Below launch/.
      arguments: Its arguments.
      programs: A folder whose programs come before those of the machine.
      environment: Further variables.
    """
    path = os.environ["PATH"] if programs is None else f"{programs}:{os.environ['PATH']}"
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    return subprocess.run(
        ["bash", str(ROOT / "launch" / script), *arguments],
        cwd="/",
        env=kept | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def imitate(folder: Path, **programs: str) -> Path:
    """A folder of programs, each with the lines of bash that it is to run.

    `calls` in it gets a line a call.
    """
    folder.mkdir()
    for name, lines in programs.items():
        path = folder / name.replace("_", "-")
        log = f'echo "{path.name} ${{*//$\'\\n\'/ ; }}" >>"{folder}/calls"'
        path.write_text(f"#!/usr/bin/env bash\n{log}\n{lines}\n")
        path.chmod(0o755)
    return folder


def calls(folder: Path) -> list[str]:
    """What imitated programs were called with, in order."""
    path = folder / "calls"
    return path.read_text().splitlines() if path.exists() else []
