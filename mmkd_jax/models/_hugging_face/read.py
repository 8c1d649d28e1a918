"""Reads a checkpoint of transformers: config.json and safetensors."""

import dataclasses
import difflib
import fnmatch
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding
from safetensors import SafetensorError, safe_open

from mmkd_jax._json import read_json
from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._hugging_face.configs import from_hugging_face
from mmkd_jax.models._hugging_face.names import FAMILIES, Tensor, heads_of, tensors, without_prefix
from mmkd_jax.models._known import known_config
from mmkd_jax.models._shardings import RULES, partition, vocabulary_multiple

_LOG = logging.getLogger(__name__)
_FLOATS = ("F32", "F16", "BF16")
_CHUNK = 2**24  # entries that are read at once
# Weights as safetensors only, what a tokenizer may need, and what a sentence's vector is.
_DOWNLOADED = (
    *("config.json", "model*.safetensors", "model.safetensors.index.json"),
    *("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json"),
    "sentencepiece*.model",
    *("modules.json", "1_Pooling/config.json", "sentence_*.json", "sentence_projector.*"),
)


def load_pretrained(
    source: str | os.PathLike,
    mesh: Mesh | None = None,
    rules: Mapping = RULES,
    ignore: Sequence[str] = (),
    **overrides: Any,
) -> tuple[EncoderConfig, dict]:
    """Loads a BERT, RoBERTa, XLM-R or DistilBERT that transformers has saved.

    Every tensor of the checkpoint must find its place: weights of the encoder, of the masked-LM
    head, of the pooler and of the next-sentence head become parameters. The last two are used by
    nothing here, and are there so that exports keep them; drop them, or leave them out of the
    optimiser with what else is not trained. Numbers of positions and the output embeddings, which
    are the input's, follow from the rest and are passed over. Anything else is an error.

    With a mesh, tensors are read straight into their shardings, and a process reads only its
    part; the word table is then padded to a multiple of 128 rows where it is split.

    Example:
      >>> import jax, tempfile
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     models.save_pretrained(directory, config, params)
      ...     config, params = models.load_pretrained(directory, dtype="bfloat16")
      >>> print(config.width, config.dtype, *params)
      8 bfloat16 embeddings layers

    Args:
      source: A directory, or an id of the Hugging Face hub such as "bert-base-cased".
      mesh: Where to put the parameters; the default device if not given.
      rules: From names of axes to axes of the mesh, as `param_shardings` takes them.
      ignore: Patterns of tensors' names, such as "classifier.*", that are to be left out.
      overrides: Fields of `EncoderConfig` to set, such as ``dtype`` (of activations).

    Returns:
      The config, and nested dicts of float32 arrays.

    Raises:
      ValueError: If the architecture is unknown, the weights are only there as a pickle, or
        tensors are missing, unknown or of another shape.
    """
    directory = _directory(source)
    config = from_hugging_face(_config_of(directory))
    if mesh is not None and "vocabulary_multiple" not in overrides:
        overrides["vocabulary_multiple"] = vocabulary_multiple(mesh, rules)
    config = dataclasses.replace(config, **overrides)
    files = _files(directory)
    found = _found(config, files, ignore)
    wanted = tensors(config, heads_of(config.model_type, found))
    _check(directory, config, wanted, found, files)
    params: dict = {}
    for tensor in wanted:
        opened, name = found[tensor.name]
        sharding = mesh and NamedSharding(mesh, partition(tensor.parameter, mesh, rules))
        array = _read(opened.get_slice(name), tensor, config, sharding)
        _put(params, tensor.path, array)
    return config, params


def read_config(source: str | os.PathLike, **overrides: Any) -> EncoderConfig:
    """What an encoder is, without its weights.

    Args:
      source: A directory, or an id of the hub. The sizes of well-known ones are known by heart;
        of others ``config.json`` is downloaded.
      overrides: Fields of `EncoderConfig` to set.
    """
    known = None if os.path.isdir(source) else known_config(os.fspath(source), **overrides)
    if known is not None:
        return known
    directory = _directory(source, ("config.json",))
    return dataclasses.replace(from_hugging_face(_config_of(directory)), **overrides)


# --- The directory ------------------------------------------------------------------------------


def checkpoint_folder(source: str | os.PathLike) -> Path:
    """The folder itself, or where what the hub has of that name has been downloaded to.

    Of a folder of the hub only what this library reads is downloaded.

    Example:
      >>> import tempfile
      >>> from mmkd_jax import models
      >>> folder = tempfile.mkdtemp()
      >>> str(models.checkpoint_folder(folder)) == folder
      True

    Args:
      source: A directory, or an id of the Hugging Face hub such as "bert-base-cased".

    Raises:
      FileNotFoundError: It is no directory, and cannot be an id.
    """
    return _directory(source)


def _directory(source: str | os.PathLike, files: Sequence[str] = _DOWNLOADED) -> Path:
    if os.path.isdir(source):
        return Path(source)
    name = os.fspath(source)
    if name.count("/") > 1 or name.startswith((".", "/", "~")):
        raise FileNotFoundError(f"{name} is no directory, and no id of the hub either")
    import huggingface_hub

    return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(files)))


def _config_of(directory: Path) -> dict:
    path = directory / "config.json"
    if not path.exists():
        raise ValueError(f"{directory} must hold config.json, found {_listing(directory)}")
    return read_json(path)


def _files(directory: Path) -> list:
    """The open safetensors files, their pages mapped but not read."""
    index = directory / "model.safetensors.index.json"
    if index.exists():
        paths = [directory / name for name in _parts(index)]
    else:
        paths = [directory / "model.safetensors"]
    for path in paths:
        if not path.exists():
            raise ValueError(_no_weights(directory, path))
    return [_opened(path) for path in paths]


def _parts(index: Path) -> list[str]:
    """The files that an index names, all of them in its own folder."""
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict):
        raise ValueError(f"{index} must hold an object weight_map, got {str(names)[:40]!r}")
    for name in names.values():
        plain = isinstance(name, str) and Path(name).name == name and "\0" not in name
        if not plain or not name.endswith(".safetensors"):
            raise ValueError(f"{index} must name files in its own folder, got {str(name)[:200]!r}")
    return list(dict.fromkeys(names.values()))


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, "np")
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file, or is damaged: {error}") from None


def _no_weights(directory: Path, path: Path) -> str:
    message = f"{directory} must hold {path.name}, found {_listing(directory)}."
    pickles = sorted(directory.glob("*.bin"))
    if not pickles:
        return message
    # Copies: tensors that share memory, as tied ones do, are refused by save_file.
    return f"""{message}
{pickles[0].name} is a pickle, which can run any code when it is read. If you trust it, convert it:
python -c "import torch; from safetensors.torch import save_file; save_file({{n: t.contiguous()\
.clone() for n, t in torch.load('{pickles[0]}', weights_only=True).items()}}, '{path}', \
metadata={{'format': 'pt'}})\""""


def _listing(directory: Path) -> str:
    return ", ".join(sorted(path.name for path in directory.iterdir())) or "nothing"


# --- Names --------------------------------------------------------------------------------------


def _found(config: EncoderConfig, files: list, ignore: Sequence[str]) -> dict[str, tuple]:
    """Our names of the tensors -> the file and the name there, without what is derived."""
    family = FAMILIES[config.model_type]
    found: dict[str, tuple] = {}
    for opened in files:
        for name in opened.keys():  # noqa: SIM118 (a file is no dict)
            short = without_prefix(config.model_type, name)
            if any(fnmatch.fnmatchcase(n, pattern) for n in (name, short) for pattern in ignore):
                continue
            if short in found:
                raise ValueError(f"{found[short][1]} and {name} are the same tensor, {short}")
            found[short] = opened, name
    for name, copy in family.copies.items():
        if copy in found:
            found.setdefault(name, found[copy])
    derived = {name: found.pop(name) for name in family.derived if name in found}
    if derived:
        _LOG.debug("not read, because they follow from others: %s", ", ".join(derived))
    return found


def _check(
    directory: Path,
    config: EncoderConfig,
    wanted: list[Tensor],
    found: dict[str, tuple],
    files: list,
) -> None:
    names = {tensor.name for tensor in wanted}
    missing = sorted(names - set(found))
    unknown = sorted(found[name][1] for name in set(found) - names)
    if missing or unknown:
        raise ValueError(_both_sides(directory, config, missing, unknown))
    for tensor in wanted:
        opened, name = found[tensor.name]
        part = opened.get_slice(name)
        shape = tensor.file_shape(config)
        if tuple(part.get_shape()) != shape:
            raise ValueError(f"{name} must be {shape} by config.json, got {part.get_shape()}")
        if part.get_dtype() not in _FLOATS:
            raise ValueError(f"{name} must be of {', '.join(_FLOATS)}, got {part.get_dtype()}")


def _both_sides(
    directory: Path, config: EncoderConfig, missing: list[str], unknown: list[str]
) -> str:
    lines = [f"the tensors in {directory} are not those of a {config.model_type}"]
    lines += [f"{len(missing)} missing, {len(unknown)} unknown"]
    rest = list(unknown)
    for name in missing:
        near = difflib.get_close_matches(name, rest, n=1, cutoff=0.8)
        lines.append(f"  missing {name}" + (f"; is it {near[0]}?" if near else ""))
        for taken in near:
            rest.remove(taken)
    lines += [f"  unknown {name}" for name in unknown]
    return "\n".join(lines)


# --- Tensors ------------------------------------------------------------------------------------


def _read(
    part: Any, tensor: Tensor, config: EncoderConfig, sharding: NamedSharding | None
) -> Array:
    shape = tensor.parameter.shape
    rows = tensor.file_shape(config)[0]

    def read(index: tuple[slice, ...]) -> np.ndarray:
        bounds = [range(*s.indices(size)) for s, size in zip(index, shape, strict=True)]
        return _block(part, tensor, bounds, rows)

    if sharding is None:
        array = jax.device_put(read((slice(None),) * len(shape)))
    else:
        array = jax.make_array_from_callback(shape, sharding, read)
    # Before the next tensor is read, so that no two are held twice.
    return jax.block_until_ready(array)


def _block(part: Any, tensor: Tensor, bounds: list[range], rows: int) -> np.ndarray:
    """A block of a parameter, in float32. ``bounds`` are ours; rows beyond the file's stay 0."""
    block = np.zeros([len(bound) for bound in bounds], np.float32)
    target = block.transpose(tensor.order)
    shape = tensor.parameter.shape
    ranges, inner_shape, inner_index = [], [], []
    for first, *others in tensor.groups:
        # Of the axes that the file runs together, the first is cut while reading, others after.
        inner = [shape[axis] for axis in others]
        size = int(np.prod(inner, dtype=int))
        ranges.append((bounds[first].start * size, bounds[first].stop * size))
        inner_shape.append([len(bounds[first]), *inner])
        inner_index.append([slice(None), *(_slice(bounds[axis]) for axis in others)])
    (begin, end), columns = ranges[0], [slice(*r) for r in ranges[1:]]
    end = min(end, rows)
    width = int(np.prod([c.stop - c.start for c in columns], dtype=int))
    per_row = int(np.prod(inner_shape[0][1:], dtype=int))
    # Whole entries of the first axis at a time.
    step = max(1, _CHUNK // (width * per_row)) * per_row
    for start in range(begin, end, step):
        stop = min(start + step, end)
        piece = part[(slice(start, stop), *columns)]
        inner_shape[0][0] = (stop - start) // per_row
        piece = piece.reshape(sum(inner_shape, []))[tuple(sum(inner_index, []))]
        at = (start - begin) // per_row
        target[at : at + len(piece)] = piece
    return block


def _slice(bound: range) -> slice:
    return slice(bound.start, bound.stop)


def _put(params: dict, path: tuple[str, ...], array: Array) -> None:
    for key in path[:-1]:
        params = params.setdefault(key, {})
    params[path[-1]] = array
