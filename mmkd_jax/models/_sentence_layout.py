"""What turns a checkpoint into an encoder of sentences, as sentence-transformers writes it down."""

import json
import os
from pathlib import Path
from typing import NamedTuple

_OURS = "sentence_encoder.json"
_POOLINGS = {"pooling_mode_cls_token": "cls", "pooling_mode_mean_tokens": "mean"}


class SentenceLayout(NamedTuple):
    """How vectors are made of hidden states; None for what a folder does not say.

    Attributes:
      vectors: "cls", "mean" or "projected".
      max_length: Subwords, special tokens included.
    """

    vectors: str | None
    max_length: int | None


def save_sentence_layout(
    directory: str | os.PathLike, vectors: str, max_length: int, normalise: bool = False
) -> None:
    """Says which vectors a saved encoder is for, so that sentence-transformers makes the same.

    Example:
      >>> import os, tempfile
      >>> from mmkd_jax import models
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     models.save_sentence_layout(directory, "mean", max_length=128)
      ...     print(models.read_sentence_layout(directory))
      SentenceLayout(vectors='mean', max_length=128)

    Args:
      directory: What `save_pretrained` has written.
      vectors: "cls" or "mean".
      max_length: Subwords, special tokens included.
      normalise: Whether sentence-transformers is to give vectors length 1.
    """
    if vectors not in _POOLINGS.values():
        raise ValueError(f"vectors must be cls or mean, got {vectors!r}")
    directory = Path(directory)
    parts = [("", "sentence_transformers.models.Transformer")]
    parts.append(("1_Pooling", "sentence_transformers.models.Pooling"))
    if normalise:
        parts.append(("2_Normalize", "sentence_transformers.models.Normalize"))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": kind}
        for number, (path, kind) in enumerate(parts)
    ]
    config = json.loads((directory / "config.json").read_text()) if _has_config(directory) else {}
    pooling = {name: how == vectors for name, how in _POOLINGS.items()} | {
        "word_embedding_dimension": config.get("hidden_size", config.get("dim", 0)),
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    for path, _ in parts:
        (directory / path).mkdir(parents=True, exist_ok=True)
    _write(directory / "1_Pooling" / "config.json", pooling)
    _write(directory / "modules.json", modules)
    _write(
        directory / "sentence_bert_config.json",
        {"max_seq_length": max_length, "do_lower_case": False},
    )
    _write(directory / _OURS, {"vectors": vectors, "max_length": max_length})


def read_sentence_layout(directory: str | os.PathLike) -> SentenceLayout:
    """What a folder says about its vectors, in our file or in those of sentence-transformers."""
    directory = Path(directory)
    if (directory / _OURS).is_file():
        found = _read(directory / _OURS)
        return SentenceLayout(found["vectors"], found["max_length"])
    pooling, length = directory / "1_Pooling" / "config.json", None
    if (directory / "sentence_bert_config.json").is_file():
        length = _read(directory / "sentence_bert_config.json").get("max_seq_length")
    if not pooling.is_file():
        return SentenceLayout(None, length)
    modes = [name for name, on in _read(pooling).items() if on is True and name.startswith("pool")]
    if len(modes) != 1 or modes[0] not in _POOLINGS:
        raise ValueError(f"{pooling}: only one of {', '.join(_POOLINGS)} is known, got {modes}")
    return SentenceLayout(_POOLINGS[modes[0]], length)


def _has_config(directory: Path) -> bool:
    return (directory / "config.json").is_file()


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
