"""Floating-point operations by formula. A multiplication with an addition counts as two.

Counted are products of matrices, which on accelerators are all that takes time: those with
weights, and those of attention. XLA's own count takes a loop over layers for one layer.
"""

from mmkd_jax.models._config import EncoderConfig


def encoder_flops(config: EncoderConfig, tokens: int | float, length: int | float) -> float:
    """Of a forward pass over so many tokens.

    >>> from mmkd_jax import models
    >>> base = models.EncoderConfig(
    ...     vocabulary_size=28996, width=768, layers=12, heads=12, hidden_width=3072, positions=512
    ... )
    >>> models.encoder_flops(base, tokens=1, length=0) / 2  # a weight, a multiplication
    84934656.0

    Args:
      config: The encoder.
      tokens: How many.
      length: Of the rows that they stand in; each looks at so many.
    """
    width, hidden = config.width, config.hidden_width
    weights = 4 * width * width + 2 * width * hidden
    attention = 2 * width * length
    return float(2 * tokens * config.layers * (weights + attention))


def masked_lm_flops(config: EncoderConfig, positions: int | float) -> float:
    """Of the masked-LM head at so many positions, the product with the word table included."""
    return float(2 * positions * config.width * (config.width + config.vocabulary_rows))
