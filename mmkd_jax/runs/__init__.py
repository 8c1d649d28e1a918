"""Whole runs: from the settings of a config to all that training needs.

Programs ask `RUNS` for the run of a config's method.
"""

from mmkd_jax.runs._finetune import FineTuneRun
from mmkd_jax.runs._finetune_settings import FineTuneRunSettings, TextSettings
from mmkd_jax.runs._mmkd import MMKDRun
from mmkd_jax.runs._settings import (
    BatchesSettings,
    ComputingSettings,
    MMKDRunSettings,
    ModelSettings,
    PairSettings,
    RunSettings,
    Sizes,
)
from mmkd_jax.runs._structured import StructuredRun
from mmkd_jax.runs._structured_settings import (
    StructuredRunSettings,
    TeacherRecipe,
    TeacherSettings,
)
from mmkd_jax.runs._tagger import TaggerRun
from mmkd_jax.runs._tagger_settings import (
    CorpusSettings,
    RecurrentSettings,
    TaggerRunSettings,
    TaggerSettings,
)

RUNS = {
    "finetune": FineTuneRun,
    "mmkd": MMKDRun,
    "structured": StructuredRun,
    "tagger": TaggerRun,
}

__all__ = [
    "BatchesSettings",
    "ComputingSettings",
    "CorpusSettings",
    "FineTuneRun",
    "FineTuneRunSettings",
    "MMKDRun",
    "MMKDRunSettings",
    "ModelSettings",
    "PairSettings",
    "RUNS",
    "RecurrentSettings",
    "RunSettings",
    "Sizes",
    "StructuredRun",
    "StructuredRunSettings",
    "TaggerRun",
    "TaggerRunSettings",
    "TaggerSettings",
    "TeacherRecipe",
    "TeacherSettings",
    "TextSettings",
]
