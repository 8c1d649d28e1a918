"""`python -m mmkd_jax.plan`, with the real compiler where it is installed."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest

from tests.programs.runs import ROOT, command, environment, run

COMPILER = importlib.util.find_spec("libtpu") is not None
needs_compiler = pytest.mark.skipif(not COMPILER, reason='libtpu (extra "plan") is not there')
CONFIG = "--config=configs/pulse.py"


def planned(*arguments: str, config: str = CONFIG, code: int = 0) -> tuple[dict, str]:
    """The JSON object on the last line of standard output, and what stands above it."""
    done = subprocess.run(
        command("plan", config, *arguments),
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    *above, last = done.stdout.splitlines()
    return json.loads(last), "\n".join(above)


@pytest.fixture(scope="module")
def four(once) -> dict:
    """A plan for four chips, two examples each."""
    folder = once("plan", lambda folder: _write(folder, *planned("--topology=v5e:2x2")))
    return json.loads((folder / "plan.json").read_text())


def _write(folder: Path, found: dict, above: str) -> None:
    folder.mkdir()
    (folder / "plan.json").write_text(json.dumps({**found, "above": above}))


@needs_compiler
def test_a_small_config(four):
    assert (four["topology"], four["chips"], four["slices"]) == ("v5e:2x2", 4, 1)
    assert four["fits"]
    assert 0 < four["hbm_bytes_per_chip"] < four["hbm_limit"] == int(15.75 * 2**30)
    memory = four["hbm"]
    assert four["hbm_bytes_per_chip"] == (
        memory["arguments"] + memory["outputs"] + memory["temporaries"] - memory["aliased"]
    )
    assert 0 < four["predicted_mfu"] < 1
    assert four["pairs_per_second"] * four["predicted_step_seconds"] == pytest.approx(8)
    assert "roofline" in four
    assert "memory a chip" in four["above"]


OTHERS = {
    "v4:2x2x1": (CONFIG,),
    "v5p:2x2x1": ("--config=configs/structured_quickstart.py",),
    "v6e:2x2": (
        *("--config=configs/finetune.py:task=xnli", "--config.encoder.scan_layers=True"),
        "--config.model=sentence-transformers/all-MiniLM-L6-v2",
    ),
}


@needs_compiler
@pytest.mark.parametrize("topology", OTHERS)
def test_every_kind_of_chip_and_every_method(topology):
    """Teachers without a corpus, a model of the hub without its weights."""
    config, *more = OTHERS[topology]
    found, _ = planned(f"--topology={topology}", *more, config=config)
    assert (found["topology"], found["chips"], found["fits"]) == (topology, 4, True)
    assert min(found["flops_per_step"], found["predicted_step_seconds"]) > 0
    assert found["hours_for_run"] is None or found["hours_for_run"] > 0
    assert sum(found["collective_bytes_per_chip"].values()) > 0


@needs_compiler
def test_gradients_are_summed_once(four):
    """Each chip exchanges its gradients, and little else but the sentence vectors."""
    state = four["state_bytes"]
    exchanged = sum(four["collective_bytes_per_chip"].values())
    vectors = exchanged * four["collective_share_of_sentence_vectors"]
    # The state is the parameters and two moments of each, beside the frozen teacher.
    assert 0 < exchanged - vectors < state / 2


@needs_compiler
def test_the_same_on_more_chips(four):
    """Only the sentence vectors of a larger batch make a chip exchange more."""
    sixteen, _ = planned("--topology=v5e:4x4", "--config.batch_size=32")
    one, other = (
        sum(found["collective_bytes_per_chip"].values())
        * (1 - found["collective_share_of_sentence_vectors"])
        for found in (four, sixteen)
    )
    assert other == pytest.approx(one, rel=0.05)
    assert sixteen["flops_per_step"] == pytest.approx(4 * four["flops_per_step"])


@needs_compiler
def test_two_slices(four):
    found, _ = planned("--topology=v5e:2x2", "--slices=2", "--config.batch_size=16")
    assert (found["chips"], found["slices"]) == (8, 2)
    assert found["predicted_seconds"]["network"] > 0 == four["predicted_seconds"]["network"]


@needs_compiler
def test_what_does_not_fit():
    # 100 million tokens of 32 numbers: no parameter is ever made.
    found, above = planned(
        "--topology=v5e:2x2", "--config.student.vocabulary_size=100000000", code=1
    )
    assert not found["fits"]
    assert found["hbm_bytes_per_chip"] > found["hbm_limit"]
    assert "DOES NOT FIT" in above
    assert "--config.mesh.fsdp=4" in above


@needs_compiler
def test_a_batch_that_is_not_divided():
    said = run("plan", CONFIG, "--topology=v5e:2x2", "--config.batch_size=6", code=1)
    assert "set batch_size to a multiple of 4" in said
    assert "Traceback" not in said


@pytest.mark.skipif(COMPILER, reason="libtpu is there")
def test_without_the_compiler():
    said = run("plan", CONFIG, "--topology=v5e:2x2", code=1)
    assert "pip install" in said and "libtpu==" in said
    assert "Traceback" not in said


def test_a_topology_that_cannot_be_read():
    said = run("plan", CONFIG, "--topology=v5e-256", code=1)
    assert said.splitlines()[-1].startswith("plan: a topology is")
