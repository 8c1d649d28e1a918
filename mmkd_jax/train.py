"""Trains what a config describes, and goes on where it was stopped.

    python -m mmkd_jax.train --config=configs/pulse.py --workdir=runs/pulse
    python -m mmkd_jax.train --config=configs/mmkd.py --workdir=DIR --config.batch_size=512

The same command again continues. Exit codes: 0, the run is finished; 75, it was asked to stop
(SIGTERM), has saved, and is to be started again; anything else is an error.
"""

from absl import flags
from ml_collections import config_flags

from mmkd_jax._program import messages, start
from mmkd_jax._train import train

_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.", lock_config=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "A folder for all that comes of the run.")


def main() -> int:
    """The program."""
    from mmkd_jax import config, training

    with training.ending_together(), messages("train"):
        training.join_processes()
        settings = training.all_or_none(lambda: config.read(_CONFIG.value))
        return train(settings, _WORKDIR.value)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "workdir"])
    start(main, "train")
