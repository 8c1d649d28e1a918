"""Says whether a config fits a slice of TPUs, and how long it would take, without having one.

    python -m mmkd_jax.plan --config=configs/mmkd.py --topology=v5e:16x16 --config.batch_size=16384
    python -m mmkd_jax.plan --config=configs/mmkd.py --topology=v6e:16x16 --slices=2

The very step that training would run is compiled for v4, v5e, v5p or v6e, at its longest rows; it
takes no weights and no data. `pip install '.[plan]'` brings the compiler. The last line of standard
output is a JSON object. Exit codes: 0, it fits; 1, it does not, and the lines say what to change.
"""

import json
import os

from absl import flags
from ml_collections import config_flags

from mmkd_jax._program import messages, start

_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.", lock_config=True)
_TOPOLOGY = flags.DEFINE_string("topology", None, "A slice, such as v5e:16x16 or v5p:4x4x8.")
_SLICES = flags.DEFINE_integer("slices", 1, "How many of them, over the network in between.")


def main() -> int:
    """The program."""
    from mmkd_jax import config, planning

    with messages("plan"):
        settings = config.read(_CONFIG.value)
        topology = planning.parse_topology(_TOPOLOGY.value, _SLICES.value)
        found = planning.plan(settings, topology)
        print(planning.table(found))
        for line in planning.advice(found, settings):
            print(f"to make it fit: {line}")
        print(json.dumps(found.to_dict()))
        return 0 if found.fits else 1


if __name__ == "__main__":
    # Before anything imports JAX: whatever this machine has, the plan needs none of it.
    os.environ["JAX_PLATFORMS"] = "cpu"
    flags.mark_flags_as_required(["config", "topology"])
    start(main, "plan")
