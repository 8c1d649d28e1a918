import io
import math

import jax
import pytest

from mmkd_jax.training._progress import Meter, Progress, Rates


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def measured(*durations: float, **options) -> Meter:
    """Steps of these lengths: 8 pairs, 100 tokens and 1e9 operations each."""
    clock = Clock()
    meter = Meter(clock=clock, **options)
    for duration in durations:
        clock.now += duration
        meter.step(8, 100, 1e9)
    return meter


def test_nothing_is_known_before_the_first_step():
    assert measured().rates() is None


def test_what_happens_in_a_second():
    rates = measured(0.5, 0.5, 1.0, peak=1e10).rates()
    assert rates == pytest.approx(Rates(1.5, 12.0, 150.0, 0.15))
    assert measured(0.5).rates().mfu is None


@pytest.mark.parametrize("durations", [(30, 0.1), (30, 0.1, 0.1, 0.1, 20, 0.1), (0.1, 0.1, 1.5)])
def test_steps_that_compile_are_not_counted(durations):
    assert measured(*durations).rates().pairs == pytest.approx(80)


def test_slow_steps_that_do_not_compile_are_counted():
    assert measured(0.1, 0.1, 0.9).rates().steps == pytest.approx(3 / 1.1)


def test_only_the_last_seconds_count():
    meter = measured(*[1.0] * 20, *[0.5] * 10, seconds=4.9)
    assert meter.rates().steps == pytest.approx(2.0)
    assert measured(100.0, 200.0, seconds=5.0).rates().steps == pytest.approx(1 / 200)


def test_what_happens_between_steps_can_be_left_out():
    clock = Clock()
    meter = Meter(clock=clock)
    for _ in range(3):
        clock.now += 1
        meter.step(1, 1)
        clock.now += 5  # an evaluation
        meter.resume()
    assert meter.rates().steps == pytest.approx(1.0)


def test_a_clock_that_stands_still():
    assert math.isfinite(measured(0.0).rates().steps)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


RATES = Rates(steps=2.0, pairs=123.4, tokens=45678.0, mfu=0.412)


def test_a_bar_on_a_terminal():
    terminal = Terminal()
    with Progress(1000, 400, terminal) as progress:
        for step in range(401, 501):
            progress.update(step, 1.23456, RATES)
        progress._bar.refresh()
    text = terminal.getvalue()
    assert " 500/1000 [" in text
    assert "50%|" in text
    assert "loss 1.235, 123 examples/s, 45.7k tokens/s, MFU 41.2%, 4:10 left" in text
    assert " 400/1000 [" in text  # where it began


def test_elsewhere_a_line_a_minute_and_one_at_the_end():
    clock, file = Clock(), io.StringIO()
    with Progress(300, 0, file, clock=clock) as progress:
        clock.now += 60.0
        for step in range(1, 301):
            clock.now += 0.5
            loss = float("nan") if step > 100 else None  # not known yet
            progress.update(step, loss, RATES._replace(mfu=None) if step > 200 else None)
    lines = file.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        *("step 1/300 (0%)", "step 121/300 (40%)", "step 241/300 (80%)", "step 300/300 (100%)")
    ]
    assert lines[0].endswith("(0%)") and lines[1].endswith("(40%), loss nan")
    assert lines[2].endswith(", loss nan, 123 examples/s, 45.7k tokens/s, 0:30 left")


def test_other_processes_are_silent(monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    for file in (Terminal(), io.StringIO()):
        with Progress(10, 0, file, seconds=0.0) as progress:
            progress.update(10, 1.0, RATES)
        assert file.getvalue() == ""


@pytest.mark.parametrize(
    ("steps", "left"),
    [(0.001, "11d 13h"), (0.1, "2:46:40"), (10.0, "1:40"), (math.inf, "0:00"), (0.0, "?")],
)
def test_times(steps, left):
    file = io.StringIO()
    rates = RATES._replace(steps=steps or 5e-324)
    Progress(1001, 0, file, seconds=0.0).update(1, 1.0, rates)
    assert file.getvalue().rstrip().endswith(f", {left} left")
