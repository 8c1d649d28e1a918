"""Taggers as folders."""

import dataclasses
import os
from pathlib import Path
from typing import Any

from mmkd_jax import data, models
from mmkd_jax._json import described_by
from mmkd_jax.inference._sentence_tagger import SentenceTagger

_HEAD = "tagger"


def save_tagger(
    directory: str | os.PathLike, tagger: SentenceTagger, dtype: str = "float32"
) -> None:
    """Writes a folder that `load_tagger` reads.

    A transformer in it lies there as transformers reads it, with its tokenizer, which must be one
    of transformers. The rest is ``tagger.json``, ``tagger.safetensors``, and ``words.json``.

    Args:
      directory: Made if it is not there.
      tagger: Of which `params` are set.
      dtype: Of the transformer's file.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    config, params = tagger.config, tagger.params
    if params is None:
        raise ValueError("tagger must have params")
    if config.encoder is not None:
        encoder = {name: params["encoder"][name] for name in ("embeddings", "layers")}
        models.save_pretrained(directory, config.encoder, encoder, tagger.tokenizer, dtype=dtype)
    if tagger.vocabulary is not None:
        tagger.vocabulary.save(directory)
    settings = {
        "config": config.to_dict(),
        "max_length": tagger.max_length,
        "languages": list(tagger.languages),
        "reads_words": tagger.vocabulary is not None,
        "split": tagger.split,
    }
    models.save_head(
        directory, _HEAD, settings, {name: params[name] for name in params if name != "encoder"}
    )


def load_tagger(source: str | os.PathLike, **overrides: Any) -> SentenceTagger:
    """Loads a tagger from a folder: one that a run has exported, or `save_tagger` has written.

    ``load_tagger(DIR)(["Eva sees Rome."])`` gives words, tags, spans, and how probable they are.

    Args:
      source: The folder.
      overrides: For its transformer, what else `models.load_pretrained` takes, such as
        ``dtype="bfloat16"``.

    Raises:
      FileNotFoundError: If there is no tagger in the folder.
    """
    try:
        settings, params = models.load_head(source, _HEAD)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error}. The tagger of a run is in the folder student of its workdir"
        ) from None
    path = Path(source) / f"{_HEAD}.json"
    with described_by(path):
        config = models.TaggerConfig.from_dict(settings["config"])
    tokenizer = vocabulary = None
    if config.encoder is not None:
        encoder, found = models.load_pretrained(source, **overrides)
        params["encoder"] = {name: found[name] for name in ("embeddings", "layers")}
        config = dataclasses.replace(config, encoder=encoder)
        tokenizer = data.load_tokenizer(source)
    if settings.get("reads_words"):
        vocabulary = data.WordVocabulary.load(source)
    with described_by(path):
        languages = tuple(settings["languages"])
        return SentenceTagger(
            config,
            params,
            tokenizer,
            vocabulary,
            settings["max_length"],
            languages,
            settings.get("split", "text"),
        )
