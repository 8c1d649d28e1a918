"""Text in, answers out: trained models, loaded from a folder and used.

>>> from mmkd_jax import inference
>>> encoder = inference.load_encoder("runs/quickstart/student")  # doctest: +SKIP
>>> encoder.encode(["Guten Morgen", "Good morning"]).shape  # doctest: +SKIP
(2, 384)
"""

import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from tqdm import tqdm

from mmkd_jax import models

Vectors = Literal["cls", "mean", "projected"]
_VECTORS = ("cls", "mean", "projected")
_SHORTEST = 16  # subwords a row; other rows are twice as long, or four times, and so on
_LOG = logging.getLogger(__name__)


class SentenceEncoder:
    """Turns sentences into vectors.

    Sentences are sorted by length into rows of 16, 32, 64… subwords, always the same number of rows
    at a time, so that few programs are compiled, whatever comes. What is longer than `max_length`
    subwords is cut there.

    Args:
      config: Of the encoder.
      params: Its parameters. They may be replaced by others of the same shapes.
      tokenizer: A fast one, of transformers.
      vectors: "cls", the vector of the first token; "mean", the mean over all tokens, special ones
        included; "projected", what a projector makes of the first token's.
      projector: For "projected": a `models.Projection` and its variables.
      max_length: Subwords a sentence, special tokens included.
    """

    def __init__(
        self,
        config: models.EncoderConfig,
        params: dict,
        tokenizer: Any,
        vectors: Vectors = "mean",
        projector: tuple[models.Projection, dict] | None = None,
        max_length: int = 128,
    ):
        if vectors not in _VECTORS:
            raise ValueError(f"vectors must be one of {', '.join(_VECTORS)}, got {vectors!r}")
        if (vectors == "projected") != (projector is not None):
            raise ValueError('projector must be given for vectors="projected", and only then')
        if not 3 <= max_length <= config.longest:
            raise ValueError(f"max_length must be in 3..{config.longest}, got {max_length}")
        self.config, self.params, self.tokenizer = config, params, tokenizer
        self.vectors, self.max_length = vectors, max_length
        self._projection, self._variables = projector or (None, {})

    @property
    def width(self) -> int:
        """Of the vectors."""
        return self.config.width if self._projection is None else self._projection.width

    def encode(
        self,
        sentences: Sequence[str],
        batch_size: int = 64,
        normalise: bool = False,
        progress: bool = False,
    ) -> np.ndarray:
        """A vector for each sentence, ``[n, D]`` float32, in the order of the sentences.

        Args:
          sentences: As many as you like.
          batch_size: Rows at a time.
          normalise: Whether vectors get length 1.
          progress: Whether a progress bar is shown.
        """
        if isinstance(sentences, str):
            raise ValueError("sentences must be a list of them, got a single string")
        found = np.zeros((len(sentences), self.width), np.float32)
        if not len(sentences):
            return found
        ids = self.tokenizer(
            list(sentences), truncation=True, max_length=self.max_length, padding=False
        )["input_ids"]
        lengths = np.array([len(row) for row in ids])
        order = np.argsort(lengths, kind="stable")
        row_of = np.array([self._row_length(length) for length in lengths[order].tolist()])
        with tqdm(total=len(ids), unit=" sentences", disable=not progress) as bar:
            for width in np.unique(row_of).tolist():
                here = order[row_of == width]
                for start in range(0, len(here), batch_size):
                    chosen = here[start : start + batch_size]
                    rows = [ids[index] for index in chosen.tolist()]
                    found[chosen] = self._encode(rows, width, batch_size)
                    bar.update(len(chosen))
        if normalise:
            found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return found

    def _row_length(self, length: int) -> int:
        row = _SHORTEST
        while row < length:
            row *= 2
        return min(row, self.max_length)

    def _encode(self, rows: list[list[int]], width: int, batch_size: int) -> np.ndarray:
        ids = np.full((batch_size, width), self.config.pad_id, np.int32)
        mask = np.zeros((batch_size, width), bool)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
            mask[number, : len(row)] = True
        vectors = _vectors(
            self.config,
            self.vectors,
            self._projection,
            self.params,
            self._variables,
            jnp.asarray(ids),
            jnp.asarray(mask),
        )
        return np.asarray(vectors)[: len(rows)]


def load_encoder(
    source: str | os.PathLike, vectors: Vectors | None = None, **overrides: Any
) -> SentenceEncoder:
    """An encoder of sentences from a folder or an id of the Hugging Face hub.

    Args:
      source: What `models.save_pretrained` or transformers has written.
      vectors: Which vectors; by default what the folder says, in ``sentence_encoder.json`` or in
        the files of sentence-transformers, else "mean".
      overrides: Fields of `models.EncoderConfig`, such as ``dtype``, and ``max_length``.
    """
    from transformers import AutoTokenizer

    layout = models.read_sentence_layout(source)
    max_length = overrides.pop("max_length", layout.max_length)
    config, params = models.load_pretrained(source, **overrides)
    chosen = vectors or layout.vectors
    if chosen is None:
        _LOG.info("%s does not say which vectors it is for; taking the mean over tokens", source)
    projector = _load_projector(Path(source)) if chosen == "projected" else None
    return SentenceEncoder(
        config,
        {name: params[name] for name in ("embeddings", "layers")},
        AutoTokenizer.from_pretrained(source),
        chosen or "mean",
        projector,
        min(max_length or 128, config.longest),
    )


def _load_projector(folder: Path) -> tuple[models.Projection, dict]:
    settings, variables = models.load_head(folder, "sentence_projector")
    return models.Projection(**settings), variables


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _vectors(
    config: models.EncoderConfig,
    vectors: str,
    projection: models.Projection | None,
    params: dict,
    variables: dict,
    ids: Array,
    mask: Array,
) -> Array:
    hidden, _ = models.Encoder(config).apply({"params": params}, ids, mask)
    hidden = hidden.astype(jnp.float32)
    if vectors == "mean":
        counted = jnp.where(mask[..., None], hidden, 0.0).sum(axis=1)
        return counted / jnp.maximum(mask.sum(axis=1), 1)[:, None]
    return hidden[:, 0] if projection is None else projection.apply(variables, hidden[:, 0])
