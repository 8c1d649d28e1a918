"""Vectors of words from their characters."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int


class CharacterCNN(nn.Module):
    """A convolution over a word's characters, and the largest value of each filter.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> characters = jnp.array([[[5, 3, 0], [0, 0, 0]]])  # a word of two, and padding
      >>> cnn = models.CharacterCNN(characters=10, width=4, filters=6)
      >>> vectors, _ = cnn.init_with_output(jax.random.key(0), characters)
      >>> print(vectors.shape, vectors[0, 1].any())
      (1, 2, 6) False

    Attributes:
      characters: How many there are, 0 being padding.
      width: Of a character's vector.
      filters: Width of a word's vector.
      window: How many neighbouring characters a filter sees; odd.
      dtype: Of the matrix products.

    References:
      Ma and Hovy, `End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF
      <https://arxiv.org/abs/1603.01354>`_, 2016.
    """

    characters: int
    width: int = 25
    filters: int = 50
    window: int = 3
    dtype: str = "float32"

    @nn.compact
    def __call__(self, characters: Int[Array, "*batch W C"]) -> Float[Array, "*batch W F"]:
        """Vectors ``[..., W, filters]`` in float32; 0 for a word without characters.

        What lies behind a word's last character changes nothing.
        """
        if self.window % 2 != 1:
            raise ValueError(f"window must be odd, got {self.window}")
        normal = nn.initializers.normal(self.width**-0.5)
        table = self.param("table", normal, (self.characters, self.width))
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), (self.window * self.width, self.filters)
        )
        bias = self.param("bias", nn.initializers.zeros, (self.filters,))
        there = (characters != 0)[..., None]
        vectors = jnp.where(there, table[characters], 0.0).astype(self.dtype)
        found = jnp.dot(
            _windows(vectors, self.window),
            kernel.astype(self.dtype),
            preferred_element_type=jnp.float32,
        )
        # The bias and tanh do not change which is the largest.
        largest = jnp.where(there, found, -jnp.inf).max(axis=-2)
        some = there.any(axis=-2)
        largest = jnp.where(some, largest, 0.0)
        return jnp.where(some, jnp.tanh(largest + bias.reshape(*(1,) * (some.ndim - 1), -1)), 0.0)


def _windows(vectors: Array, size: int) -> Array:
    """[..., C, size · E]: each character between its neighbours, 0 beyond the ends."""
    half, count = size // 2, vectors.shape[-2]
    padded = jnp.pad(vectors, [(0, 0)] * (vectors.ndim - 2) + [(half, half), (0, 0)])
    shifted = [jax.lax.slice_in_dim(padded, i, i + count, axis=-2) for i in range(size)]
    return jnp.concatenate(shifted, axis=-1)
