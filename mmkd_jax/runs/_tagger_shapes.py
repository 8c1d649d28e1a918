"""What a tagger will be, and the shapes of its step, from settings."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from mmkd_jax import data, models, training
from mmkd_jax.methods import Structured
from mmkd_jax.runs._models import expected_config
from mmkd_jax.runs._run import abstract_of
from mmkd_jax.runs._tagger_settings import TaggerRunSettings
from mmkd_jax.tags import TagSet

Tree = Any
_MULTIPLE = 8


def tag_set(settings: TaggerRunSettings, corpora: Any) -> TagSet:
    """The tags that are named, or those of some sentences by language."""
    if settings.task == "pos":
        if settings.tags:
            return TagSet(settings.tags, None)
        seen = {tag for rows in corpora for row in rows for tag in row.tags}
        if not seen:
            raise ValueError("corpora.train has no tags: name a corpus with labels")
        return TagSet(sorted(seen), None)
    if settings.tags:
        return TagSet.of_types(settings.tags, settings.scheme)
    every = itertools.chain.from_iterable(corpora)
    kinds = {tag.partition("-")[2] for row in every for tag in row.tags} - {""}
    if not kinds:
        raise ValueError("corpora.train has no spans: name a corpus with labels")
    return TagSet.of_types(sorted(kinds), settings.scheme)


def tagger_config(
    settings: TaggerRunSettings,
    tags: TagSet,
    vocabulary: data.WordVocabulary | None,
    encoder: models.EncoderConfig | None = None,
) -> models.TaggerConfig:
    """What the tagger is made of; where something is not known yet, as large as it may become."""
    tagger, recurrent = settings.tagger, None
    if tagger.encoder is not None and encoder is None:
        encoder = expected_config(tagger.encoder)
    if tagger.recurrent is not None:
        known = vocabulary is not None
        sizes = tagger.recurrent.most_words + 2, tagger.recurrent.most_characters + 2
        if known:
            sizes = vocabulary.word_count, vocabulary.character_count
        recurrent = tagger.recurrent.config(*sizes)
    return models.TaggerConfig(
        tags=tags,
        encoder=encoder,
        recurrent=recurrent,
        kind=tagger.kind,
        constrained=tagger.constrained,
        pooling=tagger.pooling,
        freeze_encoder=tagger.freeze_encoder,
        dropout=tagger.dropout,
    )


def drawn(config: models.TaggerConfig, key: Array) -> Tree:
    """New parameters, of a batch of one word."""
    one = jnp.zeros((1, 1), jnp.int32)
    inputs: dict[str, Any] = {"words": one, "characters": jnp.zeros((1, 1, 1), jnp.int32)}
    if config.encoder is not None:
        inputs |= {"ids": one, "mask": one + 1, "word_of": one}
    return models.Tagger(config).init(key, jnp.ones((1, 1), bool), **inputs)["params"]


def rows_multiple(settings: TaggerRunSettings, mesh: Mesh) -> int:
    """What the rows of a batch must be a multiple of, so that all devices get as many.

    It is the same for up to 8 devices (as long as these divide 8), and so is the plan: a run may go
    on with fewer of them or more.
    """
    devices = mesh.shape["data"] * mesh.shape["fsdp"]
    return int(np.lcm(_MULTIPLE, devices)) * settings.accumulation.pieces


def abstract(settings: TaggerRunSettings, mesh: Mesh, method: Structured) -> training.Abstract:
    """The step and its shapes, once it is known what the tagger is."""
    config = method.tagger
    known = {}
    if config.encoder is not None:
        known = training.encoder_shardings(config.encoder, mesh, (), ("encoder",))
    params = jax.eval_shape(lambda key: drawn(config, key), jax.random.key(0))
    batch = _batch_shapes(settings, config, mesh)
    return abstract_of(settings, mesh, method, params, batch, known, {}, {})


def _batch_shapes(
    settings: TaggerRunSettings, config: models.TaggerConfig, mesh: Mesh
) -> data.TaggedBatch:
    """A batch of the longest rows there may be."""
    width, multiple = settings.corpora.max_length, rows_multiple(settings, mesh)
    rows = max(settings.batch_size // width // multiple, 1) * multiple
    where = training.batch_sharding(mesh)

    def shape(*sizes: int, dtype: Any = np.int32) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((rows, *sizes), dtype, sharding=where)

    subwords = (None,) * 4
    if config.encoder is not None:
        subwords = shape(width), shape(width, dtype=bool), shape(width), shape(width)
    words = characters = None
    if settings.tagger.reads_words:
        words, characters = shape(width), shape(width, settings.tagger.recurrent.longest)
    return data.TaggedBatch(*subwords, shape(), shape(width), shape(), shape(), words, characters)
