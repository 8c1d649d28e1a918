"""Whole runs: from the settings of a config to all that training needs.

Programs ask `RUNS` for the run of a config's method.
"""

from mmkd_jax.runs._mmkd import MMKDRun
from mmkd_jax.runs._settings import (
    MMKDRunSettings,
    ModelSettings,
    PairSettings,
    RunSettings,
    Sizes,
)

RUNS = {"mmkd": MMKDRun}

__all__ = [
    "RUNS",
    "MMKDRun",
    "MMKDRunSettings",
    "ModelSettings",
    "PairSettings",
    "RunSettings",
    "Sizes",
]
