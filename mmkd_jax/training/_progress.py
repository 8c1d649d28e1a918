"""How fast it goes, and how long it still takes."""

import io
import math
import statistics
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, SupportsFloat

import jax
from tqdm import tqdm

_COMPILES = 10  # times as long as others takes a step that compiles, or waits for something

_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class Rates(NamedTuple):
    """What happens in a second.

    Attributes:
      steps: of training.
      pairs: of sentences, or whatever an example is.
      tokens: without the padding.
      mfu: the part of the devices' best speed that the model's operations make up; None if that
        speed is not known.
    """

    steps: float
    pairs: float
    tokens: float
    mfu: float | None


class Meter:
    """Measures speed over the last seconds.

    A step takes from the call before to its own. One that takes over ten times as long as others,
    as it does when it compiles, is not counted, neither its time nor its work.

    Args:
      seconds: that are looked back.
      peak: operations a second of all devices together, at best; None if it is not known.
      clock: tells the time in seconds.
    """

    def __init__(
        self,
        seconds: int | float = 60.0,
        peak: int | float | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._seconds, self._peak, self._clock = seconds, peak, clock
        self._steps: deque[_Step] = deque()
        self._last = clock()

    def step(
        self, examples: SupportsFloat, tokens: SupportsFloat, flops: SupportsFloat = 0.0
    ) -> None:
        """Takes in a step that has just ended.

        Args:
          examples: in the batches of all processes.
          tokens: in them, without the padding.
          flops: of the model, forward and backward.
        """
        now = self._clock()
        self._steps.append(_Step(now, now - self._last, *map(float, (examples, tokens, flops))))
        self._last = now
        while len(self._steps) > 1 and self._steps[0].end < now - self._seconds:
            self._steps.popleft()

    def resume(self) -> None:
        """Leaves out the time since the last step, in which something else was done."""
        self._last = self._clock()

    def rates(self) -> Rates | None:
        """The speed; None before the first step."""
        if not self._steps:
            return None
        # The lower of two: if one of them compiles, it is the other.
        usual = statistics.median_low(step.duration for step in self._steps)
        counted = [step for step in self._steps if step.duration <= _COMPILES * usual]
        # A clock that stood still must not divide by nothing.
        time_of = max(sum(step.duration for step in counted), sys.float_info.min)
        flops = sum(step.flops for step in counted) / time_of
        return Rates(
            len(counted) / time_of,
            sum(step.examples for step in counted) / time_of,
            sum(step.tokens for step in counted) / time_of,
            flops / self._peak if self._peak else None,
        )


class Progress:
    """A bar on a terminal, and elsewhere a line a minute; only the first process shows one.

    Args:
      total: steps of the whole run.
      initial: that have been made before.
      file: to write to; standard error if not given.
      seconds: between two lines.
      clock: tells the time in seconds.
    """

    def __init__(
        self,
        total: int,
        initial: int = 0,
        file: io.TextIOBase | None = None,
        seconds: int | float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._total, self._seconds, self._clock = total, seconds, clock
        self._file = sys.stderr if file is None else file
        self._shows = jax.process_index() == 0
        self._last = clock()
        self._bar = None
        if self._shows and self._file.isatty():
            self._bar = tqdm(
                total=total,
                initial=initial,
                file=self._file,
                dynamic_ncols=True,
                # Its own estimate of what remains counts compilation and evaluation as speed.
                bar_format="{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def update(self, step: int, loss: SupportsFloat | None, rates: Rates | None = None) -> None:
        """Shows that a step was made, if it is time to.

        Args:
          step: how many have been made.
          loss: its loss; None where no loss is known yet.
          rates: what `Meter.rates` gives.
        """
        if self._bar is not None:
            self._bar.set_postfix_str(self._text(step, loss, rates), refresh=False)
            self._bar.update(step - self._bar.n)
            return
        now = self._clock()
        if self._shows and (now - self._last >= self._seconds or step == self._total):
            self._last = now
            part = f"step {step}/{self._total} ({step / max(self._total, 1):.0%})"
            said = filter(None, (part, self._text(step, loss, rates)))
            print(", ".join(said), file=self._file, flush=True)

    def close(self) -> None:
        """Leaves the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def _text(self, step: int, loss: SupportsFloat | None, rates: Rates | None) -> str:
        parts = [] if loss is None else [f"loss {float(loss):.4g}"]
        if rates is not None:
            parts += [f"{_rounded(rates.pairs)} examples/s", f"{_rounded(rates.tokens)} tokens/s"]
            if rates.mfu is not None:
                parts.append(f"MFU {rates.mfu:.1%}")
            parts.append(f"{_time((self._total - step) / rates.steps)} left")
        return ", ".join(parts)


class _Step(NamedTuple):
    end: float
    duration: float
    examples: float
    tokens: float
    flops: float


def _rounded(number: float) -> str:
    """Three digits: 12.3, 123, 1.23k."""
    size, letter = next((unit for unit in _UNITS if number >= unit[0]), (1, ""))
    number /= size
    digits = 0 if number >= 100 else 1 if number >= 10 else 2
    return f"{number:.{digits}f}{letter}"


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours:02}h"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
