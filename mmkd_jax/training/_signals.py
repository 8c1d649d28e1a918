"""A request to stop, from whoever takes the machine away or presses Ctrl-C."""

import logging
import os
import signal
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils

_log = logging.getLogger(__name__)

EXIT_PREEMPTED = 75
"""The exit code of a run that has saved and stopped because it was asked to.

EX_TEMPFAIL of sysexits.h, "try again": the same command goes on where it stopped. A launcher starts
it again after this code, and after no other.
"""


class StopRequest:
    """Listens for requests to stop, as long as it is entered.

    SIGTERM asks, as schedulers and clouds send it some time before they kill. Ctrl-C asks too, and
    interrupts the second time. Whoever trains looks at `reached` after each step, saves, and exits
    with `EXIT_PREEMPTED`.

    With several processes the request may come to one of them only, but all must stop at the same
    step. There JAX listens for SIGTERM, from ``jax.distributed.initialize`` on, and has them agree.

    Example:
      >>> import os, signal
      >>> from mmkd_jax.training._signals import StopRequest
      >>> with StopRequest() as stop:
      ...     print(stop.reached(1))
      ...     os.kill(os.getpid(), signal.SIGTERM)
      ...     print(stop.reached(2))
      False
      True
    """

    def __init__(self):
        self._requested = False
        self._agreed = False  # by all processes
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is not threading.main_thread():
            _log.warning("signals come to the main thread only: SIGTERM will not be listened for")
            return self
        self._listen(signal.SIGINT, self._interrupted)
        if jax.process_count() == 1:
            self._listen(signal.SIGTERM, self._asked)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    @property
    def requested(self) -> bool:
        """Whether this process knows of a request."""
        return self._requested

    def reached(self, step: int) -> bool:
        """Whether to stop after this step.

        With several processes each of them must ask after every step; they get the same answers.

        Args:
          step: its number.
        """
        if jax.process_count() == 1:
            return self._requested
        if not self._agreed:
            self._agreed = multihost_utils.reached_preemption_sync_point(step)
        self._requested |= self._agreed
        return self._agreed

    def _listen(self, number: signal.Signals, handler: Any) -> None:
        # What was not installed from Python cannot be put back; the default can.
        self._before[number] = signal.getsignal(number) or signal.SIG_DFL
        signal.signal(number, handler)

    def _asked(self, number: int, _: FrameType | None) -> None:
        if not self._requested:
            name = signal.Signals(number).name
            _log.warning("%s: it will save and stop after this step", name)
        self._requested = True

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        if self._requested:
            raise KeyboardInterrupt
        self._asked(number, frame)
        if jax.process_count() > 1:
            os.kill(os.getpid(), signal.SIGTERM)  # which JAX tells the other processes
