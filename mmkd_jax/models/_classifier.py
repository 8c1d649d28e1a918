"""Heads of fine-tuned encoders: one answer a sequence, or a span of it."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from mmkd_jax.models._dropout import dropout


class Classifier(nn.Module):
    """Scores of classes from the first token's vector: dense, tanh, dense.

    As BERT's pooler with a classifier behind it, and as RoBERTa's classification head.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> head, hidden = models.Classifier(classes=3), jnp.ones((2, 5, 8))
      >>> logits, _ = head.init_with_output(jax.random.key(0), hidden)
      >>> print(logits.shape)
      (2, 3)

    Attributes:
      classes: How many.
      dropout: Before each dense map, in training.
      initial_scale: Standard deviation of new weights.
    """

    classes: int
    dropout: float = 0.1
    initial_scale: float = 0.02

    @nn.compact
    def __call__(
        self, hidden: Float[Array, "*batch T D"], deterministic: bool = True
    ) -> Float[Array, "*batch C"]:
        """Logits ``[..., classes]`` in float32."""
        keys = (None, None) if deterministic else (self.make_rng("dropout") for _ in range(2))
        before, between = keys
        x = dropout(hidden[..., 0, :], self.dropout, before)
        x = jnp.tanh(_dense(self, "pooler", x, x.shape[-1]))
        return _dense(self, "classes", dropout(x, self.dropout, between), self.classes)


class SpanHead(nn.Module):
    """Where an answer begins and where it ends: a score of each, for each token.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> hidden, allowed = jnp.ones((2, 3, 8)), jnp.array([[True, True, False]] * 2)
      >>> (start, end), _ = models.SpanHead().init_with_output(jax.random.key(0), hidden, allowed)
      >>> print(start.shape, end[0, 2])
      (2, 3) -inf

    Attributes:
      initial_scale: Standard deviation of new weights.
    """

    initial_scale: float = 0.02

    @nn.compact
    def __call__(
        self, hidden: Float[Array, "*batch T D"], allowed: Bool[Array, "*batch T"] | None = None
    ) -> tuple[Float[Array, "*batch T"], Float[Array, "*batch T"]]:
        """Scores of start and end, float32.

        Args:
          hidden: ``[..., T, D]``.
          allowed: ``[..., T]``, where an answer may lie; the others score -inf.

        Returns:
          Two arrays ``[..., T]``.
        """
        scores = _dense(self, "span", hidden, 2)
        if allowed is not None:
            scores = jnp.where(allowed[..., None], scores, -jnp.inf)
        return scores[..., 0], scores[..., 1]


def _dense(module: nn.Module, name: str, x: Array, width: int) -> Array:
    """A dense map in the dtype of what comes in, its result in float32."""
    scale = nn.initializers.normal(module.initial_scale)
    kernel = module.param(f"{name}_kernel", scale, (x.shape[-1], width))
    bias = module.param(f"{name}_bias", nn.initializers.zeros, (width,))
    wide = jnp.promote_types(x.dtype, jnp.float32)
    product = jnp.dot(x, kernel.astype(x.dtype), preferred_element_type=wide)
    return product + bias.reshape(*(1,) * (x.ndim - 1), width)
