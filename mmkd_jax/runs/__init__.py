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
from mmkd_jax.runs._tagger import TaggerRun
from mmkd_jax.runs._tagger_settings import (
    CorpusSettings,
    RecurrentSettings,
    TaggerRunSettings,
    TaggerSettings,
)

RUNS = {"mmkd": MMKDRun, "tagger": TaggerRun}

__all__ = [
    "CorpusSettings",
    "RUNS",
    "MMKDRun",
    "MMKDRunSettings",
    "ModelSettings",
    "PairSettings",
    "RecurrentSettings",
    "RunSettings",
    "Sizes",
    "TaggerRun",
    "TaggerRunSettings",
    "TaggerSettings",
]
