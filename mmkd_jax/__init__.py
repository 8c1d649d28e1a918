"""Knowledge distillation into multilingual encoders, in JAX and Flax.

Submodules are loaded when they are first used, so that ``import mmkd_jax`` costs nothing:

* ``mmkd_jax.crf``: linear-chain CRFs: inference, decoding, divergences.
* ``mmkd_jax.data``: readers of corpora and benchmarks, batches of them, and a sample corpus.
* ``mmkd_jax.evaluation``: what a trained model is worth.
* ``mmkd_jax.inference``: text in, answers out.
* ``mmkd_jax.losses``: the objectives, as pure functions.
* ``mmkd_jax.methods``: what a training step computes.
* ``mmkd_jax.models``: encoders and heads; Hugging Face checkpoints in and out.
* ``mmkd_jax.planning``: what a step would cost on a TPU that is not there.
* ``mmkd_jax.runs``: whole runs, from their settings.
* ``mmkd_jax.tags``: tag sets, schemes such as BIO, and maps between tag sets.
* ``mmkd_jax.training``: devices, state, step, loop, checkpoints.
"""

import importlib
from types import ModuleType

from mmkd_jax._version import __version__

_SUBMODULES = (
    *("crf", "data", "evaluation", "inference", "losses", "methods", "models", "planning"),
    *("runs", "tags", "training"),
)

__all__ = ["__version__", *_SUBMODULES]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_SUBMODULES})
