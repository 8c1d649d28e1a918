"""Trains what a config describes, and goes on where it was stopped.

    python -m mmkd_jax.train --config=configs/pulse.py --workdir=runs/pulse
    python -m mmkd_jax.train --config=configs/mmkd.py --workdir=DIR --config.batch_size=512

The same command again continues. Exit codes: 0, the run is finished; 75, it was asked to stop
(SIGTERM), has saved, and is to be started again; anything else is an error.
"""

import json
import logging
import sys
from typing import Any

from absl import flags
from ml_collections import config_flags

from mmkd_jax._program import start

_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "A folder for all that comes of the run.")

_LOG = logging.getLogger("mmkd_jax.train")
# What may differ between two starts: how a run is computed or watched, not what comes of it.
_MAY_CHANGE = ("mesh", "log_every", "checkpoint_every", "eval_every", "keep_checkpoints")


def train(settings: Any, path: str) -> int:
    """Trains in a workdir; returns the exit code."""
    import jax

    from mmkd_jax import config, evaluation, training
    from mmkd_jax.runs import RUNS

    _keep_compiled(path)
    workdir = training.Workdir(path)
    with workdir.lock():
        workdir.check_config(config.to_dict(settings), _MAY_CHANGE)
        if jax.process_index() == 0:
            evaluation.write_versions(workdir.path)
        run = RUNS[settings.method](settings, workdir.path)
        mesh = training.make_mesh(settings.mesh)
        schedule = training.Schedule(
            settings.total_steps,
            settings.log_every,
            settings.checkpoint_every,
            settings.eval_every,
            settings.keep_checkpoints,
            settings.skipped_in_a_row,
        )
        outcome = training.fit(run.build(mesh), workdir, schedule)
        if not outcome.finished:
            _LOG.info("stopped as asked, and saved; the same command goes on from here")
            return training.EXIT_PREEMPTED
        run.export(outcome.state, workdir.student)
        if jax.process_index() == 0:
            results = run.results(outcome.before, outcome.scores)
            training.write_atomically(workdir.results, json.dumps(results, indent=2) + "\n")
    return 0


def _keep_compiled(path: str) -> None:
    """Has JAX keep what it compiles in the workdir, so that later starts are quick."""
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", f"{path}/compiled")


def main() -> int:
    """The program."""
    from mmkd_jax import config, training

    try:
        return train(config.read(_CONFIG.value), _WORKDIR.value)
    except (config.ConfigError, training.WorkdirError) as error:
        sys.exit(f"train: {error}")


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    start(main, "train")
