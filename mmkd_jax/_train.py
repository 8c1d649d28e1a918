"""What programs that train have in common: runs in their workdirs, after those that they need."""

import contextlib
import dataclasses
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmkd_jax import training

_LOG = logging.getLogger("mmkd_jax.train")


def train(settings: Any, path: str) -> int:
    """Trains in a workdir, with one seed or several in turn; returns the exit code."""
    keep_compiled(path)
    if settings.seeds > 1:
        return _train_seeds(settings, path)
    return _train_one(settings, path, tells=True)


def train_first(runs: Mapping[str, Any], folder: Path) -> int:
    """Trains runs that another one needs, each in a folder below it; returns the exit code.

    One that is finished already is left as it is.
    """
    from mmkd_jax import config, training

    for name, settings in runs.items():
        path, plain = folder / name, config.to_dict(settings)
        workdir = training.all_or_none(lambda path=path: training.Workdir(path))
        if workdir.results.exists():
            kept = settings.may_change
            training.all_or_none(lambda w=workdir, p=plain, k=kept: w.check_config(p, k))
            continue
        _LOG.info("training %s", path)
        if code := _train_one(settings, str(path), tells=False):
            return code
    return 0


def keep_compiled(path: str) -> None:
    """Has JAX keep what it compiles in the workdir, so that later starts are quick."""
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", f"{path}/compiled")
        # JAX leaves out what compiles within a second: many of these take longer than the step.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _train_one(settings: Any, path: str, tells: bool) -> int:
    from mmkd_jax import config, evaluation, training
    from mmkd_jax.runs import RUNS

    plain = config.to_dict(settings)
    training.check_same(plain)
    workdir = training.all_or_none(lambda: training.Workdir(path))
    with contextlib.ExitStack() as stack:
        training.on_first(lambda: stack.enter_context(workdir.lock()))
        training.on_first(lambda: workdir.check_config(plain, settings.may_change))
        training.all_or_none(workdir.check_shared)
        training.on_first(lambda: evaluation.write_versions(workdir.path))
        run = RUNS[settings.method](settings, workdir.path)
        run.check()
        if code := train_first(run.first(), workdir.path):
            return code
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
        training.on_first(lambda: _conclude(workdir, results, run.next_steps if tells else ""))
    return 0


def _train_seeds(settings: Any, path: str) -> int:
    """A run a seed, each in a folder of its own; then their mean and deviation."""
    from mmkd_jax import config, evaluation, training

    plain = config.to_dict(settings)
    training.check_same(plain)
    workdir = training.all_or_none(lambda: training.Workdir(path))
    with contextlib.ExitStack() as stack:
        training.on_first(lambda: stack.enter_context(workdir.lock()))
        training.on_first(lambda: workdir.check_config(plain, settings.may_change))
        training.all_or_none(workdir.check_shared)
        folders = []
        for seed in range(settings.seed, settings.seed + settings.seeds):
            folders.append(workdir.path / f"seed-{seed}")
            one = dataclasses.replace(settings, seed=seed, seeds=1)
            if code := train_first({folders[-1].name: one}, workdir.path):
                return code

        def conclude() -> None:
            written = [folder / "results.json" for folder in folders]
            results = evaluation.over_seeds([json.loads(file.read_text()) for file in written])
            _write_results(workdir, results)
            print(f"The report:  {evaluation.write_report(workdir.path)}")

        training.on_first(conclude)
    return 0


def _conclude(workdir: "training.Workdir", results: dict[str, Any], next_steps: str) -> None:
    """Writes down what the run has come to, and says what to do with it, if anything is to be."""
    from mmkd_jax import evaluation

    if not next_steps:
        return _write_results(workdir, results, tells=False)
    _write_results(workdir, results)
    report = evaluation.write_report(workdir.path)
    print(next_steps.format(report=report, student=workdir.student))


def _write_results(
    workdir: "training.Workdir", results: dict[str, Any], tells: bool = True
) -> None:
    from mmkd_jax import evaluation, training

    training.write_atomically(workdir.results, json.dumps(results, indent=2) + "\n")
    if tells and results:
        print(evaluation.task_table(results) or evaluation.summary_table(results))
