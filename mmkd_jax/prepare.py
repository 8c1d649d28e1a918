"""Does once what any number of runs can use, into shards that they read.

    python -m mmkd_jax.prepare --config=configs/mmkd.py --out=DIR         tokenises pairs
    python -m mmkd_jax.prepare --config=configs/structured.py --out=DIR   trains and asks teachers

Train with ``--config.pairs.folder=DIR``, or ``--config.prepared=DIR``. Many processes may share the
work, each started with its ``--shard=I/N`` (I from 0; teachers are trained by one process, before
others are started); what was finished before a kill is kept.

For corpora beyond one machine ``--beam=--runner=DataflowRunner`` hands the work to Apache Beam,
which the extra "beam" brings. The flag may be repeated, once for each of Beam's own options.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import config_flags

from mmkd_jax._program import messages, part_of, start

_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.", lock_config=True)
_OUT = flags.DEFINE_string("out", None, "The folder for shards and manifest.")
_SHARD = flags.DEFINE_string("shard", "0/1", "I/N: this process's part of the work.")
_BEAM = flags.DEFINE_multi_string("beam", [], "An option of Apache Beam, which then does the work.")


def prepare(
    settings: Any, out: str, part: int = 0, parts: int = 1, beam: Sequence[str] = ()
) -> int:
    """Prepares what a run needs into a folder; returns the exit code."""
    from mmkd_jax._train import keep_compiled, train_first
    from mmkd_jax.runs import RUNS

    run = RUNS[settings.method].of_prepared(settings, Path(out))
    if earlier := run.first():
        keep_compiled(out)
        if code := train_first(earlier, Path(out)):
            return code
    manifest = run.prepare(part, parts, beam)
    if manifest is None:
        logging.getLogger(__name__).info("this part is finished; others are not")
    else:
        print(f"{manifest}: train with --config.{run.prepared_field}={out}")
    return 0


def main() -> int:
    """The program."""
    from mmkd_jax import config

    with messages("prepare"):
        settings, part = config.read(_CONFIG.value), part_of(_SHARD.value)
        return prepare(settings, _OUT.value, *part, beam=_BEAM.value)


if __name__ == "__main__":
    flags.mark_flags_as_required(["config", "out"])
    start(main, "prepare")
