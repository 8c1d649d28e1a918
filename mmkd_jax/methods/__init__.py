"""What a training step computes: losses from a batch and trees of parameters."""

from mmkd_jax.methods._method import Loss, Method
from mmkd_jax.methods.finetune import FineTune, FineTuneSettings
from mmkd_jax.methods.mmkd import MMKD, LevelWeights, MMKDSettings

__all__ = [
    "MMKD",
    "FineTune",
    "FineTuneSettings",
    "LevelWeights",
    "Loss",
    "MMKDSettings",
    "Method",
]
