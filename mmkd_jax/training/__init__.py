"""Training: devices, state, step, loop, checkpoints, and what is written on the way.

Nothing here knows a method, a corpus or a config file: `mmkd_jax.runs` puts them together.
"""

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
from mmkd_jax.training._state import (
    TrainState,
    new_state,
    sharded_state,
    state_shapes,
    with_shardings,
)
from mmkd_jax.training._step import AccumulationSettings, loss_of, make_step
