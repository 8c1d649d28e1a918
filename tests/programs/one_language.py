"""A config for tests: one German softmax tagger learns from another, or from two that are folds.

After the colon: "folds", or the folder of a teacher. Dropout is off: its numbers depend on the
layout of the devices.
"""

import pathlib

from mmkd_jax.config import beside

_CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs" / "any.py"


def get_config(arg: str = "folds"):
    config = beside(str(_CONFIGS), "structured", "softmax,runlocal")
    for part in ("train", "test"):
        spec = dict(getattr(config.corpora, part)["ud_de"])
        setattr(config.corpora, part, {"ud_de": spec | {"limit": 40}})
    teacher = {"folds": 2} if arg == "folds" else {"folder": arg}
    config.teachers = {"de": {"languages": ("de",)} | teacher}
    config.compare = {}
    config.shards = 2
    for run in (config, config.recipe):
        run.tagger.recurrent.dropout = run.tagger.recurrent.word_dropout = 0.0
    return config
