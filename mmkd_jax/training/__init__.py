"""Training: devices, state, step, loop, checkpoints, and what is written on the way.

Nothing here knows a method, a corpus or a config file: `mmkd_jax.runs` puts them together.
"""

from mmkd_jax.training._agreement import ElsewhereError, all_or_none, on_first
from mmkd_jax.training._checkpoints import Checkpoints
from mmkd_jax.training._loop import Outcome, Schedule, fit
from mmkd_jax.training._mesh import (
    MeshSettings,
    batch_sharding,
    encoder_shardings,
    gatherer,
    local_copy,
    make_mesh,
    put_batch,
    replicated,
    rows_of_process,
    shardings_of,
)
from mmkd_jax.training._optimizer import OptimizerSettings, learning_rate, make_optimizer
from mmkd_jax.training._peaks import TPU, TPUS, peak_flops
from mmkd_jax.training._plateau import PlateauSettings
from mmkd_jax.training._processes import (
    ProcessesError,
    check_same,
    ending_together,
    join_processes,
)
from mmkd_jax.training._signals import EXIT_PREEMPTED, StopRequest
from mmkd_jax.training._state import (
    TrainState,
    new_state,
    sharded_state,
    state_shapes,
    with_shardings,
)
from mmkd_jax.training._step import (
    ACROSS_EXAMPLES,
    AccumulationSettings,
    loss_of,
    make_step,
)
from mmkd_jax.training._task import Abstract, Task
from mmkd_jax.training._workdir import (
    Workdir,
    WorkdirBusyError,
    WorkdirError,
    compare_config,
    write_atomically,
)
from mmkd_jax.training._writers import JsonLines, TensorBoard, Writer, Writers

__all__ = [
    "ending_together",
    "join_processes",
    "check_same",
    "on_first",
    "all_or_none",
    "ProcessesError",
    "ElsewhereError",
    "ACROSS_EXAMPLES",
    "EXIT_PREEMPTED",
    "TPU",
    "TPUS",
    "Abstract",
    "AccumulationSettings",
    "Checkpoints",
    "JsonLines",
    "MeshSettings",
    "OptimizerSettings",
    "Outcome",
    "PlateauSettings",
    "Schedule",
    "StopRequest",
    "Task",
    "TensorBoard",
    "TrainState",
    "Workdir",
    "WorkdirBusyError",
    "WorkdirError",
    "Writer",
    "Writers",
    "batch_sharding",
    "compare_config",
    "encoder_shardings",
    "fit",
    "gatherer",
    "learning_rate",
    "local_copy",
    "loss_of",
    "make_mesh",
    "make_optimizer",
    "make_step",
    "new_state",
    "peak_flops",
    "put_batch",
    "replicated",
    "rows_of_process",
    "sharded_state",
    "shardings_of",
    "state_shapes",
    "with_shardings",
    "write_atomically",
]
