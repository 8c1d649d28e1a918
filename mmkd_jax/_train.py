"""What programs that train have in common: a run in its workdir, after those that it needs."""

import contextlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOG = logging.getLogger("mmkd_jax.train")


def train(settings: Any, path: str) -> int:
    """Trains in a workdir, says what has come of it, and returns the exit code."""
    from mmkd_jax import evaluation, training

    keep_compiled(path)
    code, results, run = _train(settings, path)
    if code:
        return code

    def tell() -> None:
        workdir = training.Workdir(path)
        report = evaluation.write_report(workdir.path)
        if table := evaluation.summary_table(results):
            print(table)
        print(run.next_steps.format(report=report, student=workdir.student))

    training.on_first(tell)
    return 0


def train_first(runs: Mapping[str, Any], folder: Path) -> int:
    """Trains other runs, each in a folder below this one; returns the exit code of the last.

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
        _LOG.info("training %s", name)
        code, *_ = _train(settings, str(path))
        if code:
            return code
    return 0


def _train(settings: Any, path: str) -> tuple[int, dict[str, Any], Any]:
    """The exit code, what results.json holds, and the run."""
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
        code = train_first(run.first(), workdir.path)
        if code:
            return code, {}, run
        mesh = training.make_mesh(settings.mesh)
        schedule = training.Schedule(
            settings.total_steps,
            settings.log_every,
            settings.checkpoint_every,
            settings.eval_every,
            settings.keep_checkpoints,
            settings.skipped_in_a_row,
        )
        task = run.build(mesh)
        outcome = training.fit(task, workdir, schedule)
        if not outcome.finished:
            _LOG.info("stopped as asked, and saved; the same command goes on from here")
            return training.EXIT_PREEMPTED, {}, run
        results = run.conclude(task, outcome, workdir.student)
        text = json.dumps(results, indent=2) + "\n"
        training.on_first(lambda: training.write_atomically(workdir.results, text))
    return 0, results, run


def keep_compiled(path: str) -> None:
    """Has JAX keep what it compiles in the workdir, so that later starts are quick."""
    import jax

    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", f"{path}/compiled")
