"""Taggers: an encoder, its words, and a chain of scores over their tags."""

import dataclasses
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from mmkd_jax import crf
from mmkd_jax.crf import LinearChain
from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._dropout import dropout
from mmkd_jax.models._encoder import Encoder
from mmkd_jax.models._recurrent import RecurrentConfig, RecurrentEncoder
from mmkd_jax.models._words import pool_words
from mmkd_jax.tags import TagSet


class TagHead(nn.Module):
    """From the vectors of words to a chain: a CRF, or a softmax as a chain.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import crf, models, tags
      >>> head = models.TagHead(tags.TagSet.of_types(["PER"]), constrained=True)
      >>> chain, params = head.init_with_output(
      ...     jax.random.key(0), jnp.ones((2, 4, 8)), jnp.array([4, 2]))
      >>> print(chain.emissions.shape, chain.start)  # no sentence begins with I-PER
      (2, 4, 3) [  0.   0. -inf]

    Attributes:
      tags: The tag set.
      kind: crf, with trained transitions and scores of the first and the last tag; or softmax,
        which decides on each tag alone.
      constrained: What the tag set's scheme forbids scores -inf. A softmax is then no softmax of
        single tags any more, but one over the legal sequences.
      dropout: Of the vectors, in training.
    """

    tags: TagSet
    kind: Literal["crf", "softmax"] = "crf"
    constrained: bool = False
    dropout: float = 0.0

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "*batch W D"],
        lengths: Int[Array, "*batch"] | None = None,
        deterministic: bool = True,
    ) -> LinearChain:
        """The chain of each sentence, in float32.

        Args:
          features: ``[..., W, D]``.
          lengths: ``[...]``, the number of words; all W if not given.
          deterministic: False for dropout, which takes ``rngs={"dropout": key}``.
        """
        count = len(self.tags)
        if not deterministic:
            features = dropout(features, self.dropout, self.make_rng("dropout"))
        normal = nn.initializers.normal(0.02)
        kernel = self.param("kernel", normal, (features.shape[-1], count))
        bias = self.param("bias", nn.initializers.zeros, (count,))
        wide = jnp.promote_types(features.dtype, jnp.float32)
        emissions = jnp.dot(
            features, kernel.astype(features.dtype), preferred_element_type=wide
        ) + bias.reshape(*(1,) * (features.ndim - 1), count)
        if self.kind == "softmax" and not self.constrained:
            return crf.independent(emissions, lengths)
        shapes = {"transitions": (count, count), "start": (count,), "end": (count,)}
        if self.kind == "softmax":
            scores = {name: jnp.zeros(shape) for name, shape in shapes.items()}
        else:
            zeros = nn.initializers.zeros
            scores = {name: self.param(name, zeros, shape) for name, shape in shapes.items()}
        if self.constrained:
            allowed = {
                "transitions": self.tags.allowed_transitions(),
                "start": self.tags.allowed_starts(),
                "end": self.tags.allowed_ends(),
            }
            scores = {k: jnp.where(allowed[k], scores[k], -jnp.inf) for k in scores}
        return LinearChain(emissions, **scores, lengths=lengths)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggerConfig:
    """What a `Tagger` is made of.

    Attributes:
      tags: The tag set.
      encoder: A transformer, or None.
      recurrent: A recurrent encoder, or None; with both, it reads the transformer's words.
      kind: crf or softmax.
      constrained: What the tag set's scheme forbids gets probability 0.
      pooling: The vector of a word is that of its first subword, or their mean.
      freeze_encoder: The transformer gets no gradient and no dropout.
      dropout: Of the vectors of words, in training.
    """

    tags: TagSet
    encoder: EncoderConfig | None = None
    recurrent: RecurrentConfig | None = None
    kind: Literal["crf", "softmax"] = "crf"
    constrained: bool = False
    pooling: Literal["first", "mean"] = "first"
    freeze_encoder: bool = False
    dropout: float = 0.1

    def __post_init__(self):
        if self.encoder is None and self.recurrent is None:
            raise ValueError("encoder and recurrent must not both be None")
        for name, known in (("kind", ("crf", "softmax")), ("pooling", ("first", "mean"))):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        if self.constrained and self.tags.scheme is None:
            raise ValueError("constrained needs tags of a scheme such as BIO; these have none")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")

    def to_dict(self) -> dict:
        """What `from_dict` takes, as json can write it."""
        tags = {"names": list(self.tags.names), "scheme": self.tags.scheme}
        return dataclasses.asdict(self) | {"tags": tags}

    @classmethod
    def from_dict(cls, settings: dict) -> "TaggerConfig":
        """The config that `to_dict` wrote."""
        kinds = {"encoder": EncoderConfig, "recurrent": RecurrentConfig}
        parts = {
            name: None if settings[name] is None else kind(**settings[name])
            for name, kind in kinds.items()
        }
        tags = TagSet(settings["tags"]["names"], settings["tags"]["scheme"])
        return cls(**settings | parts | {"tags": tags})


class Tagger(nn.Module):
    """A tagger of words. Its parameters: "encoder", "recurrent", and "head", as far as it has them.

    ``params["encoder"]`` is what `load_pretrained` returns; ``params["head"]["transitions"]`` (and
    "start", "end") are there for a learning rate of their own.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import crf, models, tags
      >>> config = models.TaggerConfig(
      ...     tags=tags.TagSet(["NOUN", "VERB"]),
      ...     recurrent=models.RecurrentConfig(words=9, word_width=4, width=3))
      >>> words = jnp.array([[4, 7, 2], [5, 0, 0]])
      >>> chain, params = models.Tagger(config).init_with_output(
      ...     jax.random.key(0), words != 0, words=words)
      >>> print(crf.viterbi(chain)[0].shape, *params["params"])
      (2, 3) recurrent head

    Attributes:
      config: What it is made of.
    """

    config: TaggerConfig

    @nn.compact
    def __call__(
        self,
        word_mask: Bool[Array, "*batch W"],
        *,
        ids: Int[Array, "*batch T"] | None = None,
        mask: Bool[Array, "*batch T"] | Int[Array, "*batch T"] | None = None,
        token_types: Int[Array, "*batch T"] | None = None,
        word_of: Int[Array, "*batch T"] | None = None,
        words: Int[Array, "*batch W"] | None = None,
        characters: Int[Array, "*batch W C"] | None = None,
        deterministic: bool = True,
    ) -> LinearChain:
        """The chain over each sentence's tags.

        Args:
          word_mask: ``[..., W]``, the words that are there, before all padding.
          ids: ``[..., T]`` subwords, if there is a transformer.
          mask: ``[..., T]``, the subwords that are there.
          token_types: ``[..., T]`` segments.
          word_of: ``[..., T]``, the word of each subword, or -1; see `pool_words`.
          words: ``[..., W]`` rows of the word table, if there is one.
          characters: ``[..., W, C]``, if the recurrent encoder reads them.
          deterministic: False for dropout, which takes ``rngs={"dropout": key}``.
        """
        config, features = self.config, None
        if config.encoder is not None:
            if ids is None or mask is None or word_of is None:
                raise ValueError("ids, mask and word_of must be given: the tagger has an encoder")
            still = deterministic or config.freeze_encoder
            encoder = Encoder(config.encoder, name="encoder")
            hidden, _ = encoder(ids, mask, token_types, still)
            if config.freeze_encoder:
                hidden = jax.lax.stop_gradient(hidden)
            features = pool_words(hidden, word_of, word_mask.shape[-1], config.pooling)
        if config.recurrent is not None:
            recurrent = RecurrentEncoder(config.recurrent, name="recurrent")
            features, _ = recurrent(word_mask, words, characters, features, deterministic)
        head = TagHead(config.tags, config.kind, config.constrained, config.dropout, name="head")
        return head(features, crf.mask_to_lengths(word_mask), deterministic)
