"""Checkpoints of a run of several processes, each of which has a part of the arrays."""

import os

from mmkd_jax.training._checkpoints import Checkpoints
from tests.training import states, two_processes

SAVE_AND_RESTORE = """
import jax.experimental.multihost_utils
from mmkd_jax.training import _checkpoints
from mmkd_jax.training._checkpoints import Checkpoints
from tests.training import states

folder = arguments[0]
mesh = states.mesh(4)
there = states.shardings(states.state(), mesh, "data")
abstract = states.abstract(states.state(), there)

def spread(step):
    return jax.tree.map(
        lambda x, s: jax.make_array_from_callback(x.shape, s, lambda i: x[i]),
        states.state(step), there,
    )

def check(restored):
    print(restored.step, restored.extra["step"], flush=True)
    expected = states.state(restored.step)
    def same(a, b):
        for shard in a.addressable_shards:
            assert (jax.device_get(shard.data) == jax.device_get(b[shard.index])).all()
    jax.tree.map(same, restored.state, expected)

with Checkpoints(folder, keep=2) as checkpoints:
    assert checkpoints.restore(abstract) is None
    for step in (10, 20, 30):
        assert checkpoints.save(step, spread(step), {"step": step})
    assert not checkpoints.save(30, spread(30), {})
    check(checkpoints.restore(abstract))
    jax.experimental.multihost_utils.sync_global_devices("read")
    if int(number) == 1:  # what only one of them reads
        def fail(folder, wanted, read=_checkpoints._read_arrays):
            if folder.parent.name == "30":
                raise ValueError("my part is lost")
            return read(folder, wanted)
        _checkpoints._read_arrays = fail
    check(checkpoints.restore(abstract))
    assert checkpoints.save(30, spread(30), {"step": 30})
"""


def test_two_processes_save_and_fall_back_together_and_one_goes_on(tmp_path):
    finished = two_processes.finish(two_processes.start(SAVE_AND_RESTORE, str(tmp_path)))
    reasons = ("another process could not read it, and says why", "my part is lost")
    for (returned, out, error), reason in zip(finished, reasons, strict=True):
        assert returned == 0, error
        lines = [line for line in out.splitlines() if not line.startswith("[Gloo]")]
        assert lines == ["30 30", "20 20"]
        assert "the checkpoint of step 30 is damaged and was moved to" in error
        assert f"What was wrong: {reason}" in error
    assert sorted(os.listdir(tmp_path)) == ["20", "30", "corrupt-30"]
    # On one process, and other devices.
    state = states.state(30)
    there = states.shardings(state, states.mesh(2, 4), "data", "fsdp")
    restored = Checkpoints(tmp_path).restore(states.abstract(state, there))
    assert restored.step == 30
    states.assert_same(restored.state, state)
