"""The paper's run with XLM-R as the student: its vocabulary covers 100 languages.

    python -m mmkd_jax.train --config=configs/mmkd_xlmr.py --workdir=DIR

Time and result: not measured here. Corpora and `:runlocal` as in mmkd.py.
"""

import importlib.util
from pathlib import Path


def get_config(arg: str = ""):
    """As mmkd.py, but for the student."""
    config = _beside("mmkd").get_config(arg)
    config.student.source = "xlm-roberta-base"
    return config


def _beside(name: str):
    """The config file of that name in this folder, wherever that is."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
