import logging
import os
import signal
import threading

import pytest

from mmkd_jax.training._signals import EXIT_PREEMPTED, StopRequest
from tests.training import two_processes


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def handlers() -> list:
    return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]


def test_the_exit_code_means_try_again():
    assert EXIT_PREEMPTED == os.EX_TEMPFAIL


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_and_the_old_handlers_come_back(number, caplog):
    before = handlers()
    with StopRequest() as stop:
        assert handlers() != before
        assert not stop.requested
        assert not stop.reached(1)
        send(number)
        assert stop.requested
        assert stop.reached(1)
        assert stop.reached(2)
        send(signal.SIGTERM)  # again: nothing new
    assert handlers() == before
    assert [entry.getMessage() for entry in caplog.records] == [
        f"{number.name}: it will save and stop after this step"
    ]
    assert stop.requested


def test_the_second_interrupt_interrupts():
    before = handlers()
    with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
        send(signal.SIGINT)
        assert stop.requested
        send(signal.SIGINT)
    assert handlers() == before


def test_it_is_asked_anew_each_time():
    for _ in range(2):
        with StopRequest() as stop:
            assert not stop.requested
            send(signal.SIGTERM)
            assert stop.requested


def test_in_another_thread_it_says_that_it_cannot_listen(caplog):
    def enter():
        with StopRequest() as stop:
            assert not stop.reached(1)

    before = handlers()
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers() == before
    assert [entry.levelno for entry in caplog.records] == [logging.WARNING]


TWO = """
import time
from mmkd_jax.training._signals import EXIT_PREEMPTED, StopRequest
with StopRequest() as stop:
    for step in range(1, 2000):
        time.sleep(0.01)
        if stop.reached(step):
            print(step, stop.reached(step + 1), flush=True)
            sys.exit(EXIT_PREEMPTED)
        if step == 5:
            print("running", flush=True)
"""


def test_two_processes_stop_at_the_same_step():
    processes = two_processes.start(TWO)
    for process in processes:
        assert process.stdout.readline() == "running\n", process.stderr.read()
    processes[1].send_signal(signal.SIGINT)  # to one of them only; it is made a SIGTERM
    (one, step, _), (other, same_step, _) = two_processes.finish(processes)
    assert [one, other] == [EXIT_PREEMPTED] * 2
    assert step == same_step
    assert step.endswith(" True\n")
