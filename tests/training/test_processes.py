"""Who belongs together, by what schedulers leave in the environment."""

import os
import subprocess
import sys

import jax
import pytest

from mmkd_jax.training import ProcessesError, check_same, join_processes
from tests.training.two_processes import ROOT

JAX = {
    "JAX_COORDINATOR_ADDRESS": "one:1234",
    "JAX_NUM_PROCESSES": "2",
    "JAX_PROCESS_ID": "1",
}
SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_NUM_NODES": "2",
}
TPU = {"TPU_ML_PLATFORM": "JAX", "TPU_WORKER_HOSTNAMES": "one,two"}


@pytest.fixture
def joined(monkeypatch):
    """Joins in an environment; returns what JAX is told, or None if it is not asked at all."""
    for name in (*JAX, *SLURM, *TPU, "JAX_PLATFORMS", "TPU_SKIP_MDS_QUERY"):
        monkeypatch.delenv(name, raising=False)

    def join(environment: dict[str, str]) -> dict | None:
        calls = []
        monkeypatch.setattr(jax.distributed, "initialize", lambda **told: calls.append(told))
        with monkeypatch.context() as here:
            for name, value in environment.items():
                here.setenv(name, value)
            assert join_processes() == bool(calls)
        return calls[0] if calls else None

    return join


def test_alone_nothing_happens(joined):
    assert joined({}) is None
    assert joined({"JAX_NUM_PROCESSES": "1"}) is None
    assert joined({"JAX_NUM_PROCESSES": "1"} | SLURM) is None


def test_the_variables_named_after_jax(joined):
    assert joined(JAX) == {
        "coordinator_address": "one:1234",
        "num_processes": 2,
        "process_id": 1,
        "cluster_detection_method": "deactivate",
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"JAX_PROCESS_ID": None}, "set JAX_PROCESS_ID too, or none"),
        ({"JAX_COORDINATOR_ADDRESS": None}, "set JAX_COORDINATOR_ADDRESS too"),
        ({"JAX_NUM_PROCESSES": None, "JAX_PROCESS_ID": None}, "set JAX_NUM_PROCESSES and JAX_PR"),
        ({"JAX_PROCESS_ID": "2"}, "must be in 0..JAX_NUM_PROCESSES - 1, got 2 of 2"),
        ({"JAX_NUM_PROCESSES": "two"}, "must be whole numbers"),
    ],
)
def test_variables_that_contradict_each_other(joined, changed, message):
    environment = {name: value for name, value in (JAX | changed).items() if value is not None}
    with pytest.raises(ProcessesError, match=message):
        joined(environment)


@pytest.mark.parametrize(
    "environment",
    [
        SLURM,
        {"JAX_COORDINATOR_ADDRESS": "one:1234"} | SLURM,
        {"OMPI_COMM_WORLD_SIZE": "2"},
        TPU,
        {"TPU_ML_PLATFORM": "JAX"},  # its metadata server knows
        TPU | {"TPU_WORKER_HOSTNAMES": "one", "MEGASCALE_NUM_SLICES": "2"},
    ],
)
def test_jax_is_asked_where_a_scheduler_has_started_several(joined, environment):
    assert joined(environment) == {}


@pytest.mark.parametrize(
    "environment",
    [
        SLURM | {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"},
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_PROCID": "0"},  # a script of sbatch
        {"OMPI_COMM_WORLD_SIZE": "1"},
        TPU | {"TPU_WORKER_HOSTNAMES": "localhost"},
        TPU | {"JAX_PLATFORMS": "cpu"},
        {"TPU_ML_PLATFORM": "JAX", "TPU_SKIP_MDS_QUERY": "1"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
    ],
)
def test_jax_is_not_asked_where_there_is_one(joined, environment):
    assert joined(environment) is None


@pytest.mark.parametrize(
    ("nodes", "devices"),
    [("2", "0,1,2,3"), ("1", None)],
)
def test_a_task_that_has_a_node_of_slurm_has_all_its_gpus(joined, monkeypatch, nodes, devices):
    environment = SLURM | {"SLURM_STEP_NUM_NODES": nodes, "SLURM_GPUS_ON_NODE": "4"}
    monkeypatch.setenv("JAX_LOCAL_DEVICE_IDS", "")  # put back when the test ends
    monkeypatch.delenv("JAX_LOCAL_DEVICE_IDS")
    joined(environment)
    assert os.environ.get("JAX_LOCAL_DEVICE_IDS") == devices


def test_one_process_has_the_config_it_has():
    check_same({"batch_size": 8})


def test_importing_it_starts_no_backend():
    """Joining comes first of all, after all that a program imports."""
    code = (
        "import mmkd_jax.training, mmkd_jax.config, mmkd_jax.runs, jax;"
        "jax.distributed.initialize('localhost:1', 1, 0, cluster_detection_method='deactivate')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "must be called before" not in done.stderr
