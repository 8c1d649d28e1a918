"""Writes a checkpoint that transformers reads: config.json and safetensors."""

import json
import os
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._hugging_face.configs import to_hugging_face
from mmkd_jax.models._hugging_face.names import FAMILIES, Tensor, is_heads, tensors
from mmkd_jax.models._tensor_files import write_tensors

_FLOATS = ("float32", "float16", "bfloat16")
_METADATA = {"format": "pt"}  # transformers asks for it


def save_pretrained(
    directory: str | os.PathLike,
    config: EncoderConfig,
    params: dict,
    tokenizer: Any = None,
    dtype: str = "float32",
    file_size: int = 5 * 10**9,
) -> None:
    """Saves an encoder and its heads so that transformers loads it, without a word of complaint.

    Where there is a head, the architecture that is named in config.json is the one that has it:
    for BERT with all three, BertForPreTraining. transformers' plain encoders have a pooler; it
    draws one, and says so, where ``params`` has none.

    Example:
      >>> import jax, os, tempfile
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0), heads=["masked_lm"])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     models.save_pretrained(directory, config, params)
      ...     print(*sorted(os.listdir(directory)))
      config.json model.safetensors

    Args:
      directory: Made if it is not there.
      config: The encoder.
      params: As `load_pretrained` gives them. A vocabulary's padding is left out.
      tokenizer: One of transformers, which is saved beside.
      dtype: Of the file: float32, float16 or bfloat16. What was loaded from one of these and not
        trained is saved as it was, bit by bit.
      file_size: Bytes after which another file is begun, and held in memory while written.
    """
    if dtype not in _FLOATS:
        raise ValueError(f"dtype must be one of {', '.join(_FLOATS)}, got {dtype!r}")
    heads = sorted(set(params) - {"embeddings", "layers"})
    known = FAMILIES[config.model_type].heads
    if set(heads) - set(known):
        raise ValueError(
            f"params of a {config.model_type} may hold embeddings, layers, {', '.join(known)}, "
            f"got {', '.join(params)}"
        )
    listed = tensors(config, heads)
    leaves = _leaves(listed, params)
    content = to_hugging_face(config, heads, dtype)
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    # The prefix is for models that have something beside the encoder.
    beside = any(head != "pooler" for head in heads)
    prefix = FAMILIES[config.model_type].prefix if beside else ""
    written = _write(directory, config, listed, leaves, prefix, np.dtype(dtype), file_size)
    _clear(directory, written)
    text = json.dumps(content, indent=2, sort_keys=True) + "\n"
    (directory / "config.json").write_text(text, encoding="utf-8")
    if tokenizer is not None:
        tokenizer.save_pretrained(directory)


def _leaves(listed: list[Tensor], params: dict) -> list:
    """The arrays in the order of the tensors."""
    found = {
        tuple(key.key for key in keys): leaf
        for keys, leaf in jax.tree_util.tree_leaves_with_path(params)
    }
    wanted = {tensor.path: tensor.parameter.shape for tensor in listed}
    for path in sorted(set(wanted) ^ set(found)):
        side = "has no" if path in wanted else "has a strange"
        raise ValueError(f"params {side} {'/'.join(path)}")
    for path, shape in wanted.items():
        if np.shape(found[path]) != shape:
            raise ValueError(
                f"params: {'/'.join(path)} must be {shape}, got {np.shape(found[path])}"
            )
    return [found[path] for path in wanted]


def _clear(directory: Path, written: set[str]) -> None:
    """Removes the weights of an earlier export, which might be in more files than these."""
    for pattern in ("model*.safetensors", "model.safetensors.index.json"):
        for path in directory.glob(pattern):
            if path.name not in written:
                path.unlink()


def _write(
    directory: Path,
    config: EncoderConfig,
    listed: list[Tensor],
    leaves: list,
    prefix: str,
    dtype: np.dtype,
    file_size: int,
) -> set[str]:
    """Writes the weights, each file under another name until it is whole; returns the names."""
    sizes = [int(np.prod(t.file_shape(config), dtype=int)) * dtype.itemsize for t in listed]
    files = _files(sizes, file_size)
    weight_map = {}
    for number, members in enumerate(files, start=1):
        name = "model.safetensors"
        if len(files) > 1:
            name = f"model-{number:05d}-of-{len(files):05d}.safetensors"
        arrays = {}
        for member in members:
            tensor = listed[member]
            bare = is_heads(config.model_type, tensor.name)
            full = tensor.name if bare else prefix + tensor.name
            arrays[full] = _to_file(tensor, leaves[member], config, dtype)
            weight_map[full] = name
        write_tensors(arrays, directory / name, _METADATA)
    if len(files) > 1:
        index = {"metadata": {"total_size": sum(sizes)}, "weight_map": weight_map}
        path = directory / "model.safetensors.index.json"
        path.write_text(json.dumps(index, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        return {*weight_map.values(), path.name}
    return set(weight_map.values())


def _files(sizes: list[int], file_size: int) -> list[list[int]]:
    """Which tensors go into which file: in order, none above the size unless alone."""
    files: list[list[int]] = [[]]
    used = 0
    for number, size in enumerate(sizes):
        if files[-1] and used + size > file_size:
            files.append([])
            used = 0
        files[-1].append(number)
        used += size
    return files


def _to_file(tensor: Tensor, leaf: Any, config: EncoderConfig, dtype: np.dtype) -> np.ndarray:
    array = np.asarray(leaf)
    if tensor.parameter.axes[0] == "vocabulary":
        array = array[: config.vocabulary_size]
    array = array.transpose(tensor.order).reshape(tensor.file_shape(config))
    return np.ascontiguousarray(array, dtype=dtype)
