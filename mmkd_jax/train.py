"""Trains what a config describes, and goes on where it was stopped.

    python -m mmkd_jax.train --config=configs/pulse.py --workdir=runs/pulse
    python -m mmkd_jax.train --config=configs/mmkd.py --workdir=DIR --config.batch_size=512

The same command again continues. Exit codes: 0, the run is finished; 75, it was asked to stop
(SIGTERM), has saved, and is to be started again; anything else is an error.
"""

import contextlib
import json
import logging
from typing import Any

from absl import flags
from ml_collections import config_flags

from mmkd_jax._program import messages, start

_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "A folder for all that comes of the run.")

_LOG = logging.getLogger("mmkd_jax.train")
# What may differ between two starts: how a run is computed or watched, not what comes of it.
_MAY_CHANGE = ("mesh", "log_every", "checkpoint_every", "eval_every", "keep_checkpoints")
_NEXT = """
The report:          {report}
The student:         {student}, for transformers and sentence-transformers, or

    python -c 'from mmkd_jax import inference
    print(inference.load_encoder("{student}").encode(["Guten Morgen!", "Good morning!"]).shape)'

A language of yours: ./launch/local.sh --config=configs/own.py:is,corpus.en,corpus.is
The paper's run:     configs/mmkd.py, which says where its corpora are to be had
On a GPU:            the same commands; --config.student.dtype=bfloat16 makes use of it
"""


def train(settings: Any, path: str) -> int:
    """Trains in a workdir; returns the exit code."""
    from mmkd_jax import config, evaluation, training
    from mmkd_jax.runs import RUNS

    plain = config.to_dict(settings)
    training.check_same(plain)
    _keep_compiled(path)
    workdir = training.all_or_none(lambda: training.Workdir(path))
    with contextlib.ExitStack() as stack:
        training.on_first(lambda: stack.enter_context(workdir.lock()))
        training.on_first(lambda: workdir.check_config(plain, _MAY_CHANGE))
        training.all_or_none(workdir.check_shared)
        training.on_first(lambda: evaluation.write_versions(workdir.path))
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
        task = run.build(mesh)
        outcome = training.fit(task, workdir, schedule)
        if not outcome.finished:
            _LOG.info("stopped as asked, and saved; the same command goes on from here")
            return training.EXIT_PREEMPTED
        run.export(outcome.state, workdir.student)
        results = run.results(outcome.before, outcome.scores)
        run.save_details(task, outcome.state)
        training.on_first(lambda: _conclude(workdir, results))
    return 0


def _conclude(workdir: "training.Workdir", results: dict[str, Any]) -> None:
    """Writes down what the run has come to, and says what to do with it."""
    from mmkd_jax import evaluation, training

    training.write_atomically(workdir.results, json.dumps(results, indent=2) + "\n")
    report = evaluation.write_report(workdir.path)
    if results:
        print(evaluation.summary_table(results))
    print(_NEXT.format(report=report, student=workdir.student))


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
