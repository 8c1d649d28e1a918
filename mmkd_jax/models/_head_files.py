"""Heads in files of their own, beside a checkpoint of transformers."""

import json
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from mmkd_jax._json import read_json
from mmkd_jax.models._tensor_files import write_tensors

SEPARATOR = "/"  # between the names of nested dicts


def save_head(directory: str | Path, name: str, settings: dict, variables: Mapping) -> None:
    """Writes ``NAME.json`` and ``NAME.safetensors`` into a folder that may hold a checkpoint.

    What transformers reads there is left alone. Each file is written under another name first and
    then moved, so that a kill leaves no half of one.

    Example:
      >>> import tempfile
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> folder = tempfile.mkdtemp()
      >>> models.save_head(folder, "projector", {"width": 2}, {"params": {"out": jnp.ones((3, 2))}})
      >>> settings, variables = models.load_head(folder, "projector")
      >>> print(settings, variables["params"]["out"].shape)
      {'width': 2} (3, 2)

    Args:
      directory: The folder; made if it is not there.
      name: Of the head, such as tagger or projector.
      settings: What makes it anew, as json can write it, such as `TaggerConfig.to_dict`.
      variables: Nested dicts of arrays: parameters, statistics. Arrays of any dtype keep it.
    """
    if name in ("", "config") or name.startswith("model") or Path(name).name != name:
        raise ValueError(f"name must be a plain one, not config nor model..., got {name!r}")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {key: np.asarray(value) for key, value in _flat(variables).items()}
    weights, config = (directory / f"{name}.{kind}" for kind in ("safetensors", "json"))
    write_tensors(tensors, weights)
    half = config.with_suffix(".half")
    text = json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True)
    half.write_text(text + "\n", encoding="utf-8")
    half.replace(config)


def load_head(directory: str | Path, name: str) -> tuple[dict, dict]:
    """Reads what `save_head` wrote.

    Args:
      directory: The folder.
      name: Of the head.

    Returns:
      The settings, and nested dicts of float arrays.

    Raises:
      FileNotFoundError: There is no such head; the message names those that are there.
      ValueError: A file is damaged.
    """
    directory = Path(directory)
    weights, config = (directory / f"{name}.{kind}" for kind in ("safetensors", "json"))
    for path in (weights, config):
        if not path.is_file():
            there = sorted(p.stem for p in directory.glob("*.safetensors") if p.stem != "model")
            raise FileNotFoundError(
                f"{path}: not there. Heads in this folder: {', '.join(there) or 'none'}"
            )
    settings = read_json(config)
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise ValueError(f"{weights} is no safetensors file, or is damaged: {error}") from None
    nested: dict = {}
    for key, value in tensors.items():
        *parents, last = key.split(SEPARATOR)
        branch = nested
        for parent in parents:
            branch = branch.setdefault(parent, {})
            if not isinstance(branch, dict):
                raise ValueError(f"{weights}: {key} is below a tensor")
        if last in branch:
            raise ValueError(f"{weights}: {key} is above other tensors")
        branch[last] = jax.numpy.asarray(value)
    return settings, nested


def _flat(tree: Mapping, prefix: str = "") -> dict:
    flat = {}
    for name, value in tree.items():
        if SEPARATOR in name:
            raise ValueError(f"variables must have names without {SEPARATOR!r}, got {name!r}")
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}{SEPARATOR}")
        else:
            flat[prefix + name] = value
    return flat
