"""The processes of a run: joining them, and ending together.

Who starts them says so in the environment, as the schedulers do; a program has no arguments for it.
"""

import contextlib
import importlib.util
import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from mmkd_jax.training._agreement import all_or_none
from mmkd_jax.training._differences import differences

_OURS = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
# How collectives, on CPUs, GPUs and TPUs, say that somebody does not answer: in errors of several
# types, which all begin with a status.
_SILENCE = re.compile(
    "(?=[A-Z_]+: ).*"
    "(?i:gloo|nccl|connection|peer|coordination|barrier|unavailable|deadline|heartbeat)",
    re.S,
)
_LOST = """\
Another process of this run has ended, or cannot be reached; what it has printed says why. Start all
of them again as before: the run goes on from its newest checkpoint"""
_FAREWELL = 10.0  # seconds: so long, a process that fails waits for others that fail with it


class ProcessesError(ValueError):
    """The processes that were started do not make up a run; the message says why."""


def join_processes() -> bool:
    """Joins this process with the others of its run, if the environment says that there are any.

    Whatever comes first of these decides:

    * ``JAX_NUM_PROCESSES``, ``JAX_PROCESS_ID`` and ``JAX_COORDINATOR_ADDRESS`` (host and port of
      process 0). ``JAX_NUM_PROCESSES=1`` keeps a process alone, wherever it runs.
    * Slurm, with more than one task in the step; Open MPI, with more than one process.
    * A TPU, on Google's machines (as many processes as there are hosts, in all slices) or in GKE.
    * An indexed Job or a JobSet of Kubernetes, where the package ``kubernetes`` is installed.

    Nothing of JAX may have run before.

    Returns:
      Whether processes were joined.

    Raises:
      ProcessesError: If the environment contradicts itself.
    """
    named = _named_in(os.environ)
    if named is not None:
        if named["num_processes"] == 1:
            return False
        jax.distributed.initialize(**named, cluster_detection_method="deactivate")
    elif _scheduled(os.environ):
        _use_all_devices_of_the_node(os.environ)
        jax.distributed.initialize()
    elif _OURS[0] in os.environ:
        raise ProcessesError(_incomplete(os.environ))
    else:
        return False
    if jax.process_index():
        # What all of them would say, the first one says.
        logging.getLogger("mmkd_jax").setLevel(logging.WARNING)
    return True


@contextlib.contextmanager
def ending_together() -> Iterator[None]:
    """Around all that a program does: of several processes none is left alone for long.

    One that comes to a good end waits for the others. One that fails does not: those that do not
    know of the failure wait themselves, for the next thing to be computed together.
    """
    try:
        yield
    except BaseException as error:
        if jax.distributed.is_initialized() and not _is_success(error):
            _leave(error)
        raise


def check_same(config: Mapping[str, Any]) -> None:
    """Makes sure that all processes were started with the same config.

    Args:
      config: What json can hold.

    Raises:
      ProcessesError: On all of them; those that differ from process 0 name the fields.
    """
    if jax.process_count() == 1:
        return
    first = json.loads(_of_first(json.dumps(config)))

    def compare() -> None:
        lines = differences(first, json.loads(json.dumps(config))).values()
        if lines:
            raise ProcessesError(
                "config must be the same in all processes, but differs (process 0 → process "
                f"{jax.process_index()}):\n  " + "\n  ".join(lines)
            )

    all_or_none(compare)


def _named_in(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """What `jax.distributed.initialize` is to be told; None if nobody has said it in full."""
    address, *numbers = (environment.get(name) for name in _OURS)
    if numbers == [None, None]:
        return None  # the address alone may go with a scheduler, which knows the rest
    try:
        count, number = (None if text is None else int(text) for text in numbers)
    except ValueError:
        raise ProcessesError(
            f"JAX_NUM_PROCESSES and JAX_PROCESS_ID must be whole numbers, got {numbers}"
        ) from None
    if count == 1:
        return {"num_processes": 1}
    if address is None or count is None or number is None:
        raise ProcessesError(_incomplete(environment))
    if count < 1 or not 0 <= number < count:
        raise ProcessesError(
            f"JAX_PROCESS_ID must be in 0..JAX_NUM_PROCESSES - 1, got {number} of {count}"
        )
    return {"coordinator_address": address, "num_processes": count, "process_id": number}


def _incomplete(environment: Mapping[str, str]) -> str:
    missing = " and ".join(name for name in _OURS if name not in environment)
    return f"{', '.join(_OURS)} go together; set {missing} too, or none of them"


def _scheduled(environment: Mapping[str, str]) -> bool:
    """Whether JAX is going to find out by itself who belongs together."""
    return (
        _tasks_of_slurm(environment) > 1
        or int(environment.get("OMPI_COMM_WORLD_SIZE", "1")) > 1
        or _is_tpu_of_many(environment)
        or _is_job_of_kubernetes(environment)
    )


def _tasks_of_slurm(environment: Mapping[str, str]) -> int:
    # In a script of sbatch, outside of srun, the number is that of tasks yet to be started.
    if "SLURM_STEP_NODELIST" not in environment or "SLURM_PROCID" not in environment:
        return 1
    tasks = environment.get("SLURM_STEP_NUM_TASKS", environment.get("SLURM_NTASKS", "1"))
    return int(tasks)


def _is_tpu_of_many(environment: Mapping[str, str]) -> bool:
    # JAX leaves this name, when it is imported, on machines that have TPUs.
    if "TPU_ML_PLATFORM" not in environment or environment.get("JAX_PLATFORMS") == "cpu":
        return False
    workers = environment.get("TPU_PROCESS_ADDRESSES", environment.get("TPU_WORKER_HOSTNAMES"))
    if workers is not None:
        return "," in workers or int(environment.get("MEGASCALE_NUM_SLICES") or 1) > 1
    # Only Google's metadata server knows how many there are. JAX asks it; one is a run too.
    return "TPU_SKIP_MDS_QUERY" not in environment


def _is_job_of_kubernetes(environment: Mapping[str, str]) -> bool:
    names = ("KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX")
    known = all(name in environment for name in names)
    return known and importlib.util.find_spec("kubernetes") is not None


def _use_all_devices_of_the_node(environment: Mapping[str, str]) -> None:
    """Where Slurm starts one task a node, the task gets all of its GPUs.

    Left to itself, JAX takes one GPU a task, by the task's number on the node.
    """
    gpus = environment.get("SLURM_GPUS_ON_NODE", "")
    one_each = environment.get("SLURM_STEP_NUM_NODES") == environment.get("SLURM_STEP_NUM_TASKS")
    if gpus.isdecimal() and one_each and _tasks_of_slurm(environment) > 1:
        os.environ.setdefault("JAX_LOCAL_DEVICE_IDS", ",".join(map(str, range(int(gpus)))))


def _of_first(text: str) -> str:
    """Process 0's."""
    mine = np.frombuffer(text.encode(), np.uint8)
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(mine))))
    padded = np.zeros(size, np.uint8)
    padded[: len(mine[:size])] = mine[:size]
    return bytes(np.asarray(multihost_utils.broadcast_one_to_all(padded), np.uint8)).decode()


def _is_success(error: BaseException) -> bool:
    return isinstance(error, SystemExit) and error.code in (None, 0)


def _leave(error: BaseException) -> None:
    """Ends the process without running what waits for the other ones."""
    code = 1
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            code = error.code
        else:
            print(error.code, file=sys.stderr)
    else:
        traceback.print_exception(error)
        if _SILENCE.match(str(error)):
            print(_LOST, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    # If all fail alike, each gets to say why before the first one, whom all depend on, is gone.
    farewell = threading.Thread(target=jax.distributed.shutdown, daemon=True)
    farewell.start()
    farewell.join(_FAREWELL)
    os._exit(code)
