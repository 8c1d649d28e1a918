"""The training loop: steps, and what happens between them."""

import logging
import math
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from mmkd_jax.data import Batches
from mmkd_jax.training._checkpoints import Checkpoints
from mmkd_jax.training._health import Watch
from mmkd_jax.training._mesh import put_batch
from mmkd_jax.training._peaks import peak_flops
from mmkd_jax.training._plateau import is_over, observe, scale_of
from mmkd_jax.training._progress import Meter, Progress
from mmkd_jax.training._signals import StopRequest
from mmkd_jax.training._state import TrainState
from mmkd_jax.training._task import Task
from mmkd_jax.training._window import Window
from mmkd_jax.training._workdir import Workdir
from mmkd_jax.training._writers import JsonLines, TensorBoard, Writers

_LOG = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """How training has ended.

    Attributes:
      state: After the last step; or after the best one, if that is what the task ends with.
      finished: Whether that was the last step of the run; if not, it was asked to stop, and the
        same command goes on from here.
      before: Scores before the first step.
      scores: Of the last evaluation, or of this state's.
    """

    state: TrainState
    finished: bool
    before: dict[str, float]
    scores: dict[str, float]


class Schedule(NamedTuple):
    """What happens how often.

    Attributes:
      total_steps: The length of the run.
      log_every: Steps between lines of metrics.
      checkpoint_every: Steps between checkpoints.
      eval_every: Steps between evaluations; 0 for one at the end.
      keep_checkpoints: How many of the newest are kept.
      skipped_in_a_row: After so many the run stops.
    """

    total_steps: int
    log_every: int = 50
    checkpoint_every: int = 1000
    eval_every: int = 0
    keep_checkpoints: int = 3
    skipped_in_a_row: int = 10

    def is_due(self, step: int, every: int) -> bool:
        """Whether something that comes so often comes after this step."""
        return step == self.total_steps or (every > 0 and step % every == 0)


def fit(task: Task, workdir: Workdir, schedule: Schedule) -> Outcome:
    """Trains to the end of the schedule, from the newest checkpoint if there is one.

    The numbers that are written depend on the config alone: a run that was killed and started
    again writes, to the last bit, what an undisturbed run would have written. How fast it went is
    written to a file of its own.
    """
    with Checkpoints(workdir.checkpoints, schedule.keep_checkpoints, task.best) as checkpoints:
        return _Loop(task, workdir, schedule, checkpoints).run()


class _Pending(NamedTuple):
    """A step whose metrics are not known yet."""

    step: int
    metrics: dict[str, Array]
    examples: np.ndarray


class _Loop:
    def __init__(self, task: Task, workdir: Workdir, schedule: Schedule, checkpoints: Checkpoints):
        self.task, self.schedule, self.checkpoints = task, schedule, checkpoints
        self.window, self.watch = Window(), Watch(schedule.skipped_in_a_row)
        self.batches = Batches(task.source, *task.ahead)
        self.state, self.step = task.state, 0
        self.before: dict[str, float] = {}
        self.scores: dict[str, float] = {}
        self.best: float | None = None  # of the scores that the task goes by
        self.rate_scale, self.ended_early = 1.0, False
        self._restore()
        self.writer, self.speed = Writers([]), Writers([])
        if jax.process_index() == 0:
            # Without a checkpoint even the scores before the first step are written again.
            known = self.step or -1
            curves = TensorBoard(workdir.tensorboard, self.step)
            self.writer = Writers([JsonLines(workdir.metrics, known), curves])
            self.speed = Writers([JsonLines(workdir.throughput, known), curves])
        self.meter = Meter(peak=_peak(task))
        self.pending: _Pending | None = None

    def run(self) -> Outcome:
        """All steps that are left, or those until a request to stop."""
        total, stopped = self.schedule.total_steps, False
        with StopRequest() as stop, Progress(total, self.step) as progress:
            if not self.step and self.task.evaluate is not None:
                self.before = self.task.evaluate(self.state)
                self.writer.write(0, self.before)
            self.meter.resume()
            while not self._is_over() and not stopped:
                self._advance()
                progress.update(self.step, self.window.last.get("loss"), self.meter.rates())
                stopped = stop.reached(self.step)
                self._between_steps(stopped)
        self.batches.close()
        self.checkpoints.wait()
        self.writer.close()
        self.speed.close()
        if self._is_over() and self.task.ends_with_best:
            self._take_best()
        return Outcome(self.state, self._is_over(), self.before, self.scores)

    def _is_over(self) -> bool:
        return self.step >= self.schedule.total_steps or self.ended_early

    def _advance(self) -> None:
        """One step. What it has found is looked at while the next one runs."""
        task = self.task
        batch = next(self.batches)
        self.state, metrics = task.step(
            self.state, task.frozen, put_batch(batch, task.mesh, task.parts)
        )
        self._settle()
        self.step += 1
        self.pending = _Pending(self.step, metrics, batch.example)
        self.meter.step(
            len(batch.example) * task.parts,
            task.method.tokens(batch) * task.parts,
            task.method.flops(batch) * task.parts,
        )

    def _between_steps(self, stopped: bool) -> None:
        schedule, step = self.schedule, self.step
        judged = self.task.evaluate is not None and schedule.is_due(step, schedule.eval_every)
        saved = stopped or schedule.is_due(step, schedule.checkpoint_every)
        if judged or saved:
            self._settle()
        if schedule.is_due(step, schedule.log_every):
            self._write_speed()
        if judged:
            saved = self._judge() or saved
        if saved:
            scores = self.scores if judged else None
            self.checkpoints.save(step, self.state, self._extra(), scores)
        if judged or saved:
            self.meter.resume()

    def _judge(self) -> bool:
        """Evaluates; returns whether a checkpoint has to follow."""
        task = self.task
        self.scores = task.evaluate(self.state)
        self.writer.write(self.step, self.scores)
        if task.best is None:
            return False
        score = self.scores[task.best]
        if task.plateau.is_used:
            changed = observe(task.plateau, self.state.optimizer, score)
            self.state = self.state._replace(optimizer=changed)
            self._look_at_plateau()
        is_best = not math.isnan(score) and (self.best is None or score >= self.best)
        self.best = score if is_best else self.best
        return self.ended_early or (task.ends_with_best and is_best)

    def _look_at_plateau(self) -> None:
        self.rate_scale = scale_of(self.state.optimizer)
        self.ended_early = is_over(self.task.plateau, self.state.optimizer)

    def _take_best(self) -> None:
        best = self.checkpoints.best()
        if best is not None and best != self.step:
            restored = self.checkpoints.restore_step(best, self._shapes())
            self.state, self.scores = restored.state, restored.extra["scores"]

    def _write_speed(self) -> None:
        rates = self.meter.rates()
        if rates is not None:
            known = {name: value for name, value in rates._asdict().items() if value is not None}
            self.speed.write(self.step, {f"per_second/{name}": known[name] for name in known})

    def _settle(self) -> None:
        """Waits for the step whose metrics are pending, and logs them."""
        if self.pending is None:
            return
        (step, metrics, examples), self.pending = self.pending, None
        found = {name: float(value) for name, value in jax.device_get(metrics).items()}
        if self.watch.check(step, found, examples.tolist()):
            self.window.add(found)
        if self.schedule.is_due(step, self.schedule.log_every):
            rate = {"learning_rate": self.rate_scale * float(self.task.learning_rate(step - 1))}
            counted = {"skipped": float(self.watch.skipped), "epoch": self._epoch(step)}
            self.writer.write(step, self.window.means() | rate | counted)
            self.window.clear()

    def _epoch(self, step: int) -> float:
        plan = self.task.source.plan
        epoch, place = plan.locate(step)
        return epoch + place / plan.steps(epoch)

    def _extra(self) -> dict[str, Any]:
        return {
            "batches": self.batches.get_state(),
            "window": self.window.get_state(),
            "watch": self.watch.get_state(),
            "before": self.before,
            "scores": self.scores,
            "best": self.best,
        }

    def _shapes(self) -> TrainState:
        return jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding),
            self.state,
        )

    def _restore(self) -> None:
        restored = self.checkpoints.restore(self._shapes())
        if restored is None:
            return
        self.step, self.state = restored.step, restored.state
        self.batches.set_state(restored.extra["batches"])
        self.window.set_state(restored.extra["window"])
        self.watch.set_state(restored.extra["watch"])
        self.before, self.scores = restored.extra["before"], restored.extra["scores"]
        self.best = restored.extra["best"]
        self._look_at_plateau()
        _LOG.info("going on after step %d", self.step)


def _peak(task: Task) -> float | None:
    """What all devices together can do in a second, if that is known."""
    devices = task.mesh.devices.ravel()
    each = peak_flops(devices[0].device_kind, task.dtype)
    return None if each is None else each * len(devices)
