"""The encoders of a run: tokenizers, configs, and parameters where the mesh wants them."""

import contextlib
import dataclasses
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax import Array
from jax.sharding import Mesh, NamedSharding

from mmkd_jax import data, models
from mmkd_jax._json import read_json
from mmkd_jax.runs._settings import ModelSettings
from mmkd_jax.training import encoder_shardings, on_first, write_atomically

# Word tables have a multiple of so many rows on any mesh, so that checkpoints fit all of them.
VOCABULARY_MULTIPLE = 128
_MADE_BY = "made_by.json"
_OF_VOCABULARY = ("vocabulary_size", "lowercase")
Tree = Any


def load_tokenizer(
    settings: ModelSettings, folder: Path, texts: Callable[[], Iterable[str]]
) -> Any:
    """The tokenizer of transformers, from a folder that it is put into at its first use.

    Args:
      settings: Of the model.
      folder: Its place in the workdir; later starts need nothing else.
      texts: What the model reads, for a vocabulary of its own.
    """
    wanted = {name: getattr(settings, name) for name in ("source", *_OF_VOCABULARY)}
    if settings.vocabulary_size:
        wanted["source"] = ""

    def make() -> None:
        if (folder / _MADE_BY).exists():
            found = read_json(folder / _MADE_BY)
            if found != wanted:
                raise ValueError(
                    f"{folder} holds a tokenizer of {found}, but the config says {wanted}"
                )
            return
        with _whole(folder) as new:
            if settings.vocabulary_size:
                sizes = settings.vocabulary_size, settings.lowercase
                data.save_vocabulary(data.train_vocabulary(texts(), *sizes), new)
            else:
                data.load_tokenizer(settings.source).save_pretrained(new)
            write_json(new / _MADE_BY, wanted)

    on_first(make)
    return data.load_tokenizer(folder)


@contextlib.contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A new folder, which gets its name when it is whole; who comes second throws theirs away.

    Programs that prepare parts of the same pairs begin with the same vocabulary at the same time.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield new
        new.chmod(folder.parent.stat().st_mode)  # and not for this user alone
        with contextlib.suppress(OSError):
            new.rename(folder)
        if not (folder / _MADE_BY).exists():
            raise FileExistsError(f"{folder} is in the way of a tokenizer: remove it")
    finally:
        shutil.rmtree(new, ignore_errors=True)


def expected_config(settings: ModelSettings) -> models.EncoderConfig:
    """What the model will be, from its settings alone: no weights, no corpus.

    A vocabulary of its own may come out smaller than `vocabulary_size`.
    """
    computing = settings.computing | {"vocabulary_multiple": VOCABULARY_MULTIPLE}
    if settings.source:
        config = models.read_config(settings.source, **computing)
        if settings.keep_layers:
            config = dataclasses.replace(config, layers=len(settings.keep_layers))
        if settings.vocabulary_size:
            config = dataclasses.replace(config, vocabulary_size=settings.vocabulary_size)
        return config
    sizes = dataclasses.asdict(settings.sizes)
    return models.EncoderConfig(vocabulary_size=settings.vocabulary_size, **sizes, **computing)


def load_model(
    settings: ModelSettings, tokenizer: Any, mesh: Mesh, key: Array, heads: Sequence[str]
) -> tuple[models.EncoderConfig, Tree]:
    """The model's config, and its parameters in their shardings.

    Args:
      settings: Of the model.
      tokenizer: Of `load_tokenizer`.
      mesh: Where the parameters go.
      key: For weights that are new.
      heads: Those that must be there; new ones are drawn where the source has none.
    """
    if not settings.source:
        config = expected_config(settings)
        config = dataclasses.replace(
            config, vocabulary_size=len(tokenizer), pad_id=tokenizer.pad_token_id
        )
        return config, _new_params(config, mesh, key, heads)
    config, params = models.load_pretrained(
        settings.source,
        mesh=mesh,
        ignore=settings.ignore,
        vocabulary_multiple=VOCABULARY_MULTIPLE,
        **settings.computing,
    )
    if settings.keep_layers:
        config, params = models.layers_of(config, params, settings.keep_layers)
    if settings.vocabulary_size:
        old = data.load_tokenizer(settings.source)
        config, params = models.new_vocabulary(
            config, params, old.get_vocab(), tokenizer.get_vocab(), key, pad=old.pad_token
        )
    if missing := [head for head in heads if head not in params]:
        drawn = _new_params(config, mesh, jax.random.fold_in(key, 1), missing)
        params = params | {head: drawn[head] for head in missing}
    shardings = models.param_shardings(config, mesh, heads=heads_of(params))
    return config, jax.jit(lambda tree: tree, out_shardings=shardings)(params)


def heads_of(params: Tree) -> tuple[str, ...]:
    """The heads that a tree of parameters has."""
    return tuple(sorted(set(params) - {"embeddings", "layers"}))


class Outline(NamedTuple):
    """What a model has turned out to be: enough to build its shapes.

    Attributes:
      config: Of the encoder.
      heads: Those of its checkpoint that are kept beside it.
    """

    config: models.EncoderConfig
    heads: tuple[str, ...]

    @property
    def shapes(self) -> Tree:
        """The parameters' shapes."""
        return models.abstract_params(self.config, self.heads)

    def shardings(self, mesh: Mesh, *prefix: str) -> dict[tuple[str, ...], NamedSharding]:
        """The parameters' shardings by path, which begins with `prefix`."""
        return encoder_shardings(self.config, mesh, self.heads, prefix)


def save_outlines(path: Path, outlines: Mapping[str, Outline]) -> None:
    """Writes what the models have turned out to be, for exports of a run."""
    plain = {
        name: {"config": dataclasses.asdict(outline.config), "heads": outline.heads}
        for name, outline in outlines.items()
    }
    write_json(path, plain)


def load_outlines(path: Path) -> dict[str, Outline]:
    """Reads what `save_outlines` has written."""
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: has this run begun?")
    found = read_json(path)
    return {
        name: Outline(models.EncoderConfig(**fields["config"]), tuple(fields["heads"]))
        for name, fields in found.items()
    }


def write_json(path: Path, value: Any) -> None:
    """Writes all of it or nothing."""
    write_atomically(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def _new_params(config: models.EncoderConfig, mesh: Mesh, key: Array, heads: Sequence[str]) -> Tree:
    shardings = models.param_shardings(config, mesh, heads=heads)
    draw = jax.jit(
        lambda key: models.initial_params(config, key, heads=heads), out_shardings=shardings
    )
    return draw(key)
