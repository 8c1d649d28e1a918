"""Trains what a config describes, and goes on where it was stopped.

    python -m mmkd_jax.train --config=configs/pulse.py --workdir=runs/pulse
    python -m mmkd_jax.train --config=configs/mmkd.py --workdir=DIR --config.batch_size=512

The same command again continues. Exit codes: 0, the run is finished; 75, it was asked to stop
(SIGTERM), has saved, and is to be started again; anything else is an error.
"""

import contextlib
import dataclasses
import json
import logging
from typing import Any

from absl import flags
from ml_collections import config_flags

from mmkd_jax._program import messages, start

_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "A folder for all that comes of the run.")

_LOG = logging.getLogger("mmkd_jax.train")


def train(settings: Any, path: str) -> int:
    """Trains in a workdir, with one seed or several in turn; returns the exit code."""
    if settings.seeds > 1:
        return _train_seeds(settings, path)
    return _train_one(settings, path)


def _train_one(settings: Any, path: str) -> int:
    from mmkd_jax import config, evaluation, training
    from mmkd_jax.runs import RUNS

    plain = config.to_dict(settings)
    training.check_same(plain)
    _keep_compiled(path)
    workdir = training.all_or_none(lambda: training.Workdir(path))
    with contextlib.ExitStack() as stack:
        training.on_first(lambda: stack.enter_context(workdir.lock()))
        training.on_first(lambda: workdir.check_config(plain, settings.may_change))
        training.all_or_none(workdir.check_shared)
        training.on_first(lambda: evaluation.write_versions(workdir.path))
        run = RUNS[settings.method](settings, workdir.path)
        mesh = training.make_mesh(settings.mesh)
        task = run.build(mesh)
        schedule = training.Schedule(
            task.total_steps or settings.total_steps,
            settings.log_every,
            settings.checkpoint_every,
            settings.eval_every,
            settings.keep_checkpoints,
            settings.skipped_in_a_row,
        )
        outcome = training.fit(task, workdir, schedule)
        if not outcome.finished:
            _LOG.info("stopped as asked, and saved; the same command goes on from here")
            return training.EXIT_PREEMPTED
        results = run.conclude(task, outcome, workdir.student)
        training.on_first(lambda: _conclude(workdir, results, run.next_steps))
    return 0


def _train_seeds(settings: Any, path: str) -> int:
    """A run a seed, each in a folder of its own; then their mean and deviation."""
    from mmkd_jax import config, evaluation, training

    training.check_same(config.to_dict(settings))
    _keep_compiled(path)
    workdir = training.all_or_none(lambda: training.Workdir(path))
    with contextlib.ExitStack() as stack:
        training.on_first(lambda: stack.enter_context(workdir.lock()))
        plain = config.to_dict(settings)
        training.on_first(lambda: workdir.check_config(plain, settings.may_change))
        training.all_or_none(workdir.check_shared)
        folders = []
        for seed in range(settings.seed, settings.seed + settings.seeds):
            folders.append(workdir.path / f"seed-{seed}")
            _LOG.info("seed %d, in %s", seed, folders[-1])
            one = dataclasses.replace(settings, seed=seed, seeds=1)
            if code := _train_one(one, str(folders[-1])):
                return code

        def conclude() -> None:
            written = [folder / "results.json" for folder in folders]
            results = evaluation.over_seeds([json.loads(file.read_text()) for file in written])
            training.write_atomically(workdir.results, json.dumps(results, indent=2) + "\n")
            print(evaluation.task_table(results) or evaluation.summary_table(results))
            print(f"The report:  {evaluation.write_report(workdir.path)}")

        training.on_first(conclude)
    return 0


def _conclude(workdir: "training.Workdir", results: dict[str, Any], next_steps: str) -> None:
    """Writes down what the run has come to, and says what to do with it."""
    from mmkd_jax import evaluation, training

    training.write_atomically(workdir.results, json.dumps(results, indent=2) + "\n")
    report = evaluation.write_report(workdir.path)
    if results:
        print(evaluation.task_table(results) or evaluation.summary_table(results))
    print(next_steps.format(report=report, student=workdir.student))


def _keep_compiled(path: str) -> None:
    """Has JAX keep what it compiles in the workdir, so that later starts are quick."""
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", f"{path}/compiled")


def main() -> int:
    """The program."""
    from mmkd_jax import config, training

    with training.ending_together(), messages("train"):
        training.join_processes()
        settings = training.all_or_none(lambda: config.read(_CONFIG.value))
        return train(settings, _WORKDIR.value)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    start(main, "train")
