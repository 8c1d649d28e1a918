"""What the vector of a sentence is: files of our own, and those of sentence-transformers."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmkd_jax._json import read_json
from mmkd_jax.models._head_files import load_head
from mmkd_jax.models._hugging_face.configs import from_hugging_face
from mmkd_jax.models._projection import Projection
from mmkd_jax.models._tensor_files import write_tensors

VECTORS = ("cls", "mean", "projected")
PROJECTOR = "sentence_projector"  # the head whose output the projected vectors are
_OURS = "sentence_encoder.json"
_TYPES = "sentence_transformers.models."  # names that releases from 2 on understand
# As the poolings of sentence-transformers are called, in old releases and new ones.
_POOLINGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


class SentenceLayout(NamedTuple):
    """What a folder says about the vectors of sentences.

    Attributes:
      vectors: "cls", "mean" or "projected" (see `save_sentence_layout`); None if it says nothing.
      max_length: Tokens beyond which texts are cut; None if it says nothing.
      normalise: Whether vectors have length 1.
      projected_from: What the projector takes, "cls" or "mean".
    """

    vectors: str | None = None
    max_length: int | None = None
    normalise: bool = False
    projected_from: str = "cls"


def save_sentence_layout(
    directory: str | os.PathLike,
    vectors: str,
    max_length: int,
    normalise: bool = False,
    projected_from: str = "cls",
) -> None:
    """Adds to a saved encoder what a sentence's vector is, for us and for sentence-transformers.

    The folder has been written by `save_pretrained`, with a tokenizer. sentence-transformers then
    gives the same vectors as `mmkd_jax.inference.load_encoder`. Projected vectors need the head
    "sentence_projector", which `save_head` has written there: the fields of `Projection`, and its
    variables. For sentence-transformers two dense maps stand for it; what its BatchNorms do
    without a batch goes into their weights.

    Example:
      >>> import jax, os, tempfile
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     models.save_pretrained(directory, config, params)
      ...     models.save_sentence_layout(directory, "mean", max_length=12, normalise=True)
      ...     print(*sorted(name for name in os.listdir(directory) if "json" not in name))
      1_Pooling 2_Normalize model.safetensors

    Args:
      directory: That of the encoder.
      vectors: "cls", the first token's hidden state; "mean", over all tokens, the special ones
        included; "projected", what the projector makes of one of these.
      max_length: Tokens, the special ones included, beyond which texts are cut.
      normalise: Whether vectors are to have length 1.
      projected_from: What the projector takes, "cls" or "mean"; it was trained with one of them.

    Raises:
      ValueError: If there is no such vector, or ``max_length`` is not positive.
      FileNotFoundError: If the directory holds no encoder, or no projector and vectors are to be
        projected.
    """
    if vectors not in VECTORS:
        raise ValueError(f"vectors must be one of {', '.join(VECTORS)}, got {vectors!r}")
    if projected_from not in ("cls", "mean"):
        raise ValueError(f"projected_from must be cls or mean, got {projected_from!r}")
    if max_length < 1:
        raise ValueError(f"max_length must be at least 1, got {max_length}")
    directory = Path(directory)
    if vectors != "projected":
        projected_from = vectors
    pooling = _pooling_config(directory, projected_from)
    dense = _dense_maps(directory) if vectors == "projected" else []
    names = ["Transformer", "Pooling", *["Dense"] * len(dense), *["Normalize"] * normalise]
    paths = ["", *(f"{number}_{name}" for number, name in enumerate(names) if number)]
    # Without a list of modules until they are all there.
    (directory / "modules.json").unlink(missing_ok=True)
    for path in paths[1:]:
        (directory / path).mkdir(exist_ok=True)
    _write(directory / "1_Pooling" / "config.json", pooling)
    for path, (activation, kernel, bias) in zip(paths[2:], dense, strict=False):
        _write_dense(directory / path, activation, kernel, bias)
    limits = {"max_seq_length": max_length, "do_lower_case": False}
    _write(directory / "sentence_bert_config.json", limits)
    _write(
        directory / "config_sentence_transformers.json",
        {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )
    layout = SentenceLayout(vectors, max_length, normalise, projected_from)
    _write(directory / _OURS, layout._asdict())
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": _TYPES + name}
        for number, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
    _write(directory / "modules.json", modules)


def _pooling_config(directory: Path, pooling: str) -> dict[str, Any]:
    """In the words of old releases, which new ones understand too."""
    path = directory / "config.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: not there. The layout is added to an encoder: call models.save_pretrained "
            "with this directory first"
        )
    return {
        "word_embedding_dimension": from_hugging_face(read_json(path)).width,
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }


# --- The projector as dense maps ----------------------------------------------------------------


def _dense_maps(directory: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Activation, kernel [inputs, outputs] and bias of both maps."""
    settings, variables = load_head(directory, PROJECTOR)
    projection = Projection(**settings)
    params, statistics = variables["params"], variables["batch_stats"]
    norms = ["norm_in", *["norm_out"] * projection.last_norm]
    folded = {name: _fold(projection.epsilon, statistics[name], params, name) for name in norms}
    maps = []
    for name, norm, activation in (
        ("dense_in", "norm_in", "ReLU"),
        ("dense_out", "norm_out", "Identity"),
    ):
        kernel = np.asarray(params[name], np.float64)
        scale, bias = folded.get(norm, (1.0, np.zeros(kernel.shape[1])))
        maps.append((activation, kernel * scale, bias))
    return maps


def _fold(
    epsilon: float, statistics: Mapping, params: Mapping, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """What a BatchNorm without a batch multiplies by and what it adds."""
    mean, variance = (np.asarray(statistics[key], np.float64) for key in ("mean", "variance"))
    scale = np.asarray(params.get(f"{name}_scale", 1.0), np.float64) / np.sqrt(variance + epsilon)
    bias = np.asarray(params.get(f"{name}_bias", 0.0), np.float64) - mean * scale
    return scale, bias


def _write_dense(folder: Path, activation: str, kernel: np.ndarray, bias: np.ndarray) -> None:
    inputs, outputs = kernel.shape
    modules = {"ReLU": "activation.ReLU", "Identity": "linear.Identity"}
    config = {
        "in_features": inputs,
        "out_features": outputs,
        "bias": True,
        "activation_function": f"torch.nn.modules.{modules[activation]}",
    }
    tensors = {
        "linear.weight": np.ascontiguousarray(kernel.T, np.float32),
        "linear.bias": bias.astype(np.float32),
    }
    write_tensors(tensors, folder / "model.safetensors", {"format": "pt"})
    _write(folder / "config.json", config)


# --- What a folder says -------------------------------------------------------------------------


def read_sentence_layout(
    directory: str | os.PathLike, vectors: str | None = None
) -> SentenceLayout:
    """What a folder says about the vectors of sentences.

    It is read from what `save_sentence_layout` has written, or else from the files of
    sentence-transformers.

    Example:
      >>> import tempfile
      >>> from mmkd_jax import models
      >>> models.read_sentence_layout(tempfile.mkdtemp(), vectors="cls").vectors
      'cls'

    Args:
      directory: That of an encoder.
      vectors: Which are wanted, whatever the folder says.

    Raises:
      ValueError: The folder asks for vectors that are not known here, and ``vectors`` is not given.
    """
    directory = Path(directory)
    ours = directory / _OURS
    layout = _ours(ours) if ours.exists() else _of_sentence_transformers(directory, vectors)
    return layout._replace(vectors=vectors or layout.vectors)


def _ours(path: Path) -> SentenceLayout:
    content = read_json(path)
    layout = SentenceLayout()._replace(
        **{name: content[name] for name in SentenceLayout._fields if name in content}
    )
    longest = layout.max_length
    if (
        set(content) - set(SentenceLayout._fields)
        or layout.vectors not in (None, *VECTORS)
        or not (longest is None or type(longest) is int)
        or type(layout.normalise) is not bool
        or layout.projected_from not in ("cls", "mean")
    ):
        raise ValueError(f"{path} is not as models.save_sentence_layout writes it: {content}")
    return layout


def _of_sentence_transformers(directory: Path, vectors: str | None) -> SentenceLayout:
    # The file is named by the kind of model: sentence_bert_config.json and the like.
    limits = [read_json(path) for path in sorted(directory.glob("sentence_*_config.json"))]
    longest = next((found["max_seq_length"] for found in limits if "max_seq_length" in found), None)
    if not (longest is None or type(longest) is int):
        raise ValueError(f"{directory}: max_seq_length must be a whole number, got {longest!r}")
    modules = directory / "modules.json"
    listed = read_json(modules, list) if modules.exists() else []
    named = [module.get("type") if isinstance(module, dict) else None for module in listed]
    types = [str(name).rpartition(".")[2] for name in named]
    strange = sorted(set(types) - {"Transformer", "Pooling", "Normalize"})
    if strange and vectors is None:
        raise ValueError(
            f"{modules}: {', '.join(strange)} is not known here; "
            "vectors='mean' or 'cls' does without"
        )
    pooling = directory / "1_Pooling" / "config.json"
    if pooling.exists() and vectors is None:
        vectors = _vectors_of(pooling)
    return SentenceLayout(vectors, longest, "Normalize" in types)


def _vectors_of(pooling: Path) -> str:
    content = read_json(pooling)
    named = content.get("pooling_mode")
    if named is None:
        chosen = [mode for key, mode in _POOLINGS.items() if content.get(key)]
    else:
        chosen = [str(mode) for mode in (named if isinstance(named, list) else [named])]
    if len(chosen) != 1 or chosen[0] not in ("cls", "mean"):
        raise ValueError(
            f"{pooling}: the pooling must be cls or mean, got "
            f"{' and '.join(chosen) or 'none'}; vectors='mean' or 'cls' takes one all the same"
        )
    return chosen[0]


# --- Files --------------------------------------------------------------------------------------


def _write(path: Path, content: Any) -> None:
    half = path.with_suffix(".half")
    half.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    half.replace(path)
