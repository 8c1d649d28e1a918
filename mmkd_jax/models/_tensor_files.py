"""Safetensors files that appear whole, and that whoever may read the folder can read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file


def write_tensors(
    tensors: Mapping[str, np.ndarray], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes a file under another name until it is whole."""
    half = path.with_name(f"{path.name}.half")
    half.touch()
    mode = half.stat().st_mode  # what this user's new files have; safetensors makes them private
    save_file(dict(tensors), half, metadata=metadata and dict(metadata))
    half.chmod(mode)
    half.replace(path)
