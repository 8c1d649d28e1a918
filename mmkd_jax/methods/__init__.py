"""What a training step computes: losses from a batch and trees of parameters."""

from mmkd_jax.methods._method import Loss, Method
from mmkd_jax.methods._teachers import Scores, Teacher
from mmkd_jax.methods.finetune import FineTune, FineTuneSettings
from mmkd_jax.methods.mmkd import MMKD, LevelWeights, MMKDSettings
from mmkd_jax.methods.structured import AnnealingSettings, Structured, StructuredSettings

__all__ = [
    "AnnealingSettings",
    "FineTune",
    "FineTuneSettings",
    "LevelWeights",
    "Loss",
    "MMKD",
    "MMKDSettings",
    "Method",
    "Scores",
    "Structured",
    "StructuredSettings",
    "Teacher",
]
