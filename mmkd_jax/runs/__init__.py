"""Whole runs: from the settings of a config to all that training needs.

Programs ask `RUNS` for the run of a config's method.
"""

from mmkd_jax.runs._finetune import FineTuneRun
from mmkd_jax.runs._finetune_settings import FineTuneRunSettings, TextSettings
from mmkd_jax.runs._mmkd import MMKDRun
from mmkd_jax.runs._settings import (
    ComputingSettings,
    MMKDRunSettings,
    ModelSettings,
    PairSettings,
    RunSettings,
    Sizes,
)

RUNS = {"finetune": FineTuneRun, "mmkd": MMKDRun}

__all__ = [
    "ComputingSettings",
    "FineTuneRun",
    "FineTuneRunSettings",
    "MMKDRun",
    "MMKDRunSettings",
    "ModelSettings",
    "PairSettings",
    "RUNS",
    "RunSettings",
    "Sizes",
    "TextSettings",
]
