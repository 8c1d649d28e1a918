"""Floating point operations by formula.

What XLA says of a compiled program counts the body of a loop once, however often it runs, and
counts what is computed anew in the backward pass, which is no work for the model.
"""

from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._tagger import TaggerConfig


def encoder_flops(config: EncoderConfig, tokens: int | float, length: int | float) -> float:
    """Of a forward pass; forward and backward together are three times as much.

    Counted are the products of matrices, a multiplication and an addition each: those with the
    weights of attention and of the dense maps, and those of attention itself, scores and mean, in
    which every token meets all of its row. Not counted are embeddings, biases, norms, softmax,
    activations and dropout: together a few percent of the work, and not what devices are rated by.

    Example:
      >>> from mmkd_jax import models
      >>> base = models.EncoderConfig(
      ...     vocabulary_size=30522, width=768, layers=12, heads=12, hidden_width=3072,
      ...     positions=512
      ... )
      >>> print(f"{models.encoder_flops(base, tokens=128, length=128):.3e}")
      2.235e+10

    Args:
      config: The encoder.
      tokens: How many there are, in all rows. With the padding it is what the device computes,
        without it what is of use.
      length: Of a row, padding included.

    Returns:
      The number of operations.
    """
    width, hidden = config.width, config.hidden_width
    weights = 4 * width * width + 2 * width * hidden  # query, key, value, output; up, down
    attention = 2 * length * width
    return 2.0 * tokens * config.layers * (weights + attention)


def masked_lm_flops(config: EncoderConfig, positions: int | float) -> float:
    """Of a forward pass of the masked-LM head; forward and backward are three times as much.

    Counted are the products with the dense map and with the table of all tokens, the padding of the
    vocabulary included.

    Args:
      config: The encoder's.
      positions: At how many there are scores.

    Returns:
      The number of operations.
    """
    return 2.0 * positions * config.width * (config.width + config.vocabulary_rows)


def word_flops(config: TaggerConfig, words: int | float, characters: int | float = 0) -> float:
    """Of a forward pass of what a tagger does with words; its transformer comes on top.

    Counted are the products of matrices: of the character CNN, of the LSTM, and of the head. The
    scores of whole sequences, N² a word for N tags, are not.

    Example:
      >>> from mmkd_jax import models, tags
      >>> config = models.TaggerConfig(
      ...     tags=tags.TagSet(["NOUN", "VERB"]),
      ...     recurrent=models.RecurrentConfig(words=9, word_width=4, width=3))
      >>> models.word_flops(config, words=10)  # 10 · 2 · (2 · 4 · 3 · (4 + 3) + 6 · 2)
      3600.0

    Args:
      config: The tagger.
      words: How many there are, in all sentences.
      characters: How many these have together.

    Returns:
      The number of operations.
    """
    recurrent, products = config.recurrent, 0.0
    width = 0 if config.encoder is None else config.encoder.width
    if recurrent is not None:
        width += recurrent.word_width if recurrent.words else 0
        if recurrent.characters:
            width += recurrent.filters
            seen = recurrent.window * recurrent.character_width
            products += characters * seen * recurrent.filters
        for _ in range(recurrent.layers):
            # Four gates in each direction, of the input and of the state before.
            products += words * 2 * 4 * recurrent.width * (width + recurrent.width)
            width = 2 * recurrent.width
    return 2.0 * (products + words * width * len(config.tags))
