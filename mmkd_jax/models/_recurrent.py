"""A recurrent encoder of words: for cheap teachers, and the papers' students."""

import dataclasses

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from mmkd_jax.models._characters import CharacterCNN
from mmkd_jax.models._lstm import BiLSTM, locked_dropout, word_dropout


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """What a `RecurrentEncoder` reads, and how large it is.

    Attributes:
      words: Rows of the word table; 0 for none.
      word_width: Of a word's vector.
      characters: How many characters there are, 0 being padding; 0 for no character CNN.
      character_width: Of a character's vector.
      filters: Width of a word's vector from its characters.
      window: How many neighbouring characters a filter sees.
      width: Of the LSTM, each direction; the hidden states are twice as wide.
      layers: Of the LSTM.
      dropout: Locked, on what goes into each layer and comes out of the last, in training.
      word_dropout: Of whole words, in training.
      dtype: Of the matrix products.
    """

    words: int = 0
    word_width: int = 100
    characters: int = 0
    character_width: int = 25
    filters: int = 50
    window: int = 3
    width: int = 200
    layers: int = 1
    dropout: float = 0.5
    word_dropout: float = 0.05
    dtype: str = "float32"

    def __post_init__(self):
        for name in ("words", "characters"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("word_width", "character_width", "filters", "window", "width", "layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("dropout", "word_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")


class RecurrentEncoder(nn.Module):
    """Word vectors, vectors of their characters, or those of another encoder; then a BiLSTM.

    Whatever is given is put side by side. The word table is ``params["words"]``: vectors of
    `read_vectors` can be put there.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> encoder = models.RecurrentEncoder(models.RecurrentConfig(words=9, word_width=4, width=3))
      >>> words = jnp.array([[4, 7, 2], [5, 0, 0]])
      >>> (hidden, extras), _ = encoder.init_with_output(
      ...     jax.random.key(0), words != 0, words=words)
      >>> print(hidden.shape, extras["embeddings"].shape, extras["layers"].shape)
      (2, 3, 6) (2, 3, 4) (1, 2, 3, 6)

    Attributes:
      config: The sizes.
    """

    config: RecurrentConfig

    @nn.compact
    def __call__(
        self,
        mask: Bool[Array, "*batch W"],
        words: Int[Array, "*batch W"] | None = None,
        characters: Int[Array, "*batch W C"] | None = None,
        features: Float[Array, "*batch W D"] | None = None,
        deterministic: bool = True,
    ) -> tuple[Float[Array, "*batch W H2"], dict[str, Array]]:
        """Hidden states of the words.

        Args:
          mask: ``[..., W]``, the words that are there. What is behind it is never read.
          words: ``[..., W]``, rows of the word table, if the config has one.
          characters: ``[..., W, C]``, if the config has them.
          features: ``[..., W, D]``, such as the word vectors of a frozen encoder.
          deterministic: False for dropout, which takes ``rngs={"dropout": key}``.

        Returns:
          ``[..., W, 2 width]`` in float32, and ``extras``: "layers" ``[L, ..., W, 2 width]``, and
          the LSTM's input in "embeddings".
        """
        config = self.config
        parts = []
        if config.words:
            _need(words, "words", mask.shape)
            normal = nn.initializers.normal(config.word_width**-0.5)
            table = self.param("words", normal, (config.words, config.word_width))
            parts.append(table[jnp.where(mask, words, 0)])
        if config.characters:
            _need(characters, "characters", mask.shape, more=1)
            cnn = CharacterCNN(
                config.characters,
                config.character_width,
                config.filters,
                config.window,
                config.dtype,
                name="characters",
            )
            parts.append(cnn(jnp.where(mask[..., None], characters, 0)))
        if features is not None:
            _need(features, "features", mask.shape, more=1)
            parts.append(features.astype(jnp.float32))
        if not parts:
            raise ValueError("words, characters and features must not all be missing")
        x = jnp.where(mask[..., None], jnp.concatenate(parts, axis=-1), 0.0)
        if not deterministic:
            x = word_dropout(x, config.word_dropout, self.make_rng("dropout"))
            x = locked_dropout(x, config.dropout, self.make_rng("dropout"))
        lstm = BiLSTM(config.width, config.layers, config.dropout, config.dtype, name="lstm")
        hidden, layers = lstm(x, mask, deterministic)
        if not deterministic:
            hidden = locked_dropout(hidden, config.dropout, self.make_rng("dropout"))
        return hidden, {"layers": layers, "embeddings": x}


def _need(value: Array | None, name: str, shape: tuple[int, ...], more: int = 0) -> None:
    found = None if value is None else jnp.shape(value)
    if found is None or len(found) != len(shape) + more or found[: len(shape)] != shape:
        axes = "[..., W]" if not more else "[..., W, n]"
        raise ValueError(f"{name} must be {axes} with mask's axes {shape}, got {found}")
