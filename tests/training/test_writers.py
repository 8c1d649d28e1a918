import json
import math
import resource

import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax.training._writers import JsonLines, TensorBoard, Writer, Writers


def lines(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path, *steps: int):
    writer = JsonLines(path)
    for step in steps:
        writer.write(step, {"loss": 1 / step})
    writer.close()
    return path


def test_each_line_is_there_at_once_and_exact(tmp_path):
    path = tmp_path / "new" / "metrics.jsonl"
    writer = JsonLines(path)
    values = {"loss": 1 / 3, "tiny": 5e-324, "single": np.float32(0.1), "on": jnp.float32(0.7)}
    for step in range(3):
        writer.write(step, values | {"count": step, "ok": True})
        assert len(lines(path)) == step + 1
    assert path.read_text().startswith('{"step": 0, "loss": 0.3333333333333333, "tiny": 5e-324')
    last = lines(path)[-1]
    assert last == {name: float(value) for name, value in values.items()} | {
        "step": 2,
        "count": 2,
        "ok": True,
    }
    assert isinstance(last["count"], int)
    writer.close()


def test_what_is_no_number_in_json(tmp_path):
    writer = JsonLines(tmp_path / "metrics.jsonl")
    writer.write(1, {"a": math.nan, "b": math.inf, "c": -np.inf})
    writer.close()

    def refuse(name):
        raise AssertionError(f"{name} is no json")

    line = json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=refuse)
    assert line == {"step": 1, "a": "NaN", "b": "Infinity", "c": "-Infinity"}
    assert [str(float(line[name])) for name in "abc"] == ["nan", "inf", "-inf"]


@pytest.mark.parametrize(("step", "kept"), [(0, []), (2, [1, 2]), (3, [1, 2]), (9, [1, 2, 4])])
def test_resuming_cuts_off_later_lines(tmp_path, step, kept):
    path = written(tmp_path / "metrics.jsonl", 1, 2, 4)
    before = path.read_bytes()
    writer = JsonLines(path, step)
    assert [line["step"] for line in lines(path)] == kept
    assert before.startswith(path.read_bytes())
    writer.write(step + 1, {"loss": 0.0})
    writer.close()
    assert [line["step"] for line in lines(path)] == [*kept, step + 1]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("half", ['{"step": 2, "lo', '{"step": 2}', "\0\0\0"])
def test_a_last_line_that_is_not_whole_goes(tmp_path, half):
    path = written(tmp_path / "metrics.jsonl", 1)
    before = path.read_bytes()
    path.write_bytes(before + half.encode())
    JsonLines(path, 5).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("bad", ['{"step": 2, "lo', '{"loss": 2}', "[1]", "", '{"step": 1.5}'])
def test_a_bad_line_in_the_middle_is_named(tmp_path, bad):
    path = written(tmp_path / "metrics.jsonl", 1)
    path.write_text(path.read_text() + bad + '\n{"step": 3}\n')
    before = path.read_bytes()
    with pytest.raises(ValueError, match="metrics.jsonl, line 2 must be a json object with a step"):
        JsonLines(path, 1)
    assert path.read_bytes() == before


def test_a_step_among_the_values(tmp_path):
    writer = JsonLines(tmp_path / "metrics.jsonl")
    with pytest.raises(ValueError, match="values must not have a 'step'"):
        writer.write(1, {"step": 2})
    writer.close()


def test_a_full_disk_is_an_error_and_what_was_whole_stays(tmp_path):
    path = written(tmp_path / "metrics.jsonl", 1)
    size = path.stat().st_size
    writer = JsonLines(path, 1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 9, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            writer.write(2, {"loss": 0.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    writer.close()
    assert path.stat().st_size == size + 9
    JsonLines(path, 2).close()
    assert path.stat().st_size == size


def events(folder) -> list:
    """(step, name, value) in the order that TensorBoard reads, and where runs begin."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted(folder.iterdir()):
        data = path.read_bytes()
        while data:  # length, its checksum, an event, its checksum
            size = int.from_bytes(data[:8], "little")
            event = Event.FromString(data[12 : 12 + size])
            data = data[16 + size :]
            if event.HasField("session_log"):
                found.append(("begins", event.step))
            found += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
    return found


def test_tensorboard_shows_one_curve(tmp_path):
    for first in (0, 2):
        writer = TensorBoard(tmp_path / "tensorboard", first)
        for step in range(first + 1, 4):
            writer.write(step, {"loss": step / 4, "nan": math.nan})
        writer.close()
    found = [event for event in events(tmp_path / "tensorboard") if "nan" not in event]
    assert found == [
        *[("begins", 1), (1, "loss", 0.25), (2, "loss", 0.5), (3, "loss", 0.75)],
        *[("begins", 3), (3, "loss", 0.75)],
    ]


class Failing:
    def __init__(self):
        self.closed = False

    def write(self, step, values):
        self.got = step, values

    def close(self):
        self.closed = True
        raise OSError("full")


def test_writers_are_all_written_to_and_all_closed(tmp_path):
    others = [Failing(), Failing()]
    writers = Writers([others[0], JsonLines(tmp_path / "x.jsonl"), others[1]])
    writers.write(3, {"loss": 1.0})
    assert [other.got for other in others] == [(3, {"loss": 1.0})] * 2
    assert lines(tmp_path / "x.jsonl") == [{"step": 3, "loss": 1.0}]
    with pytest.raises(OSError, match="full"):
        writers.close()
    assert all(other.closed for other in others)
    Writers([]).close()


def test_they_are_writers(tmp_path):
    assert isinstance(Writers([]), Writer)
    assert isinstance(Failing(), Writer)
