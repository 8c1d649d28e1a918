"""The masked-LM head: what stands at a position, from its hidden state."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from mmkd_jax.models._config import ACTIVATIONS, EncoderConfig
from mmkd_jax.models._layer import batched, layer_norm, project


def masked_lm_hidden(
    config: EncoderConfig,
    params: dict,
    hidden: Float[Array, "*batch T D"],
    positions: Int[Array, "*batch P"] | None = None,
) -> Float[Array, "*batch P D"]:
    """Gathers the positions that are asked for, and transforms them.

    With `masked_lm_table` this is what `mmkd_jax.losses.token_alignment_from_hidden` takes.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import losses, models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0), heads=["masked_lm"])
      >>> hidden, positions = jnp.ones((1, 5, 8)), jnp.array([[1, 3]])
      >>> chosen = models.masked_lm_hidden(config, params, hidden, positions)
      >>> table, bias = models.masked_lm_table(config, params)
      >>> targets, where = jnp.array([[4, 7]]), jnp.array([[True, True]])
      >>> loss = losses.token_alignment_from_hidden(chosen, table, bias, targets, where)
      >>> print(chosen.shape, loss.shape)
      (1, 2, 8) (1,)

    Args:
      config: The encoder's.
      params: With the head at ``params["masked_lm"]``.
      hidden: ``[..., T, D]``, the encoder's output.
      positions: ``[..., P]``, each in 0..T-1; all T if not given.

    Returns:
      ``[..., P, D]``, in the dtype of ``hidden``.
    """
    head = _head(params)
    if positions is not None:
        if jnp.shape(positions)[:-1] != jnp.shape(hidden)[:-2]:
            raise ValueError(
                f"positions must be [..., P] with hidden's batch axes {jnp.shape(hidden)[:-2]}, "
                f"got {jnp.shape(positions)}"
            )
        hidden = jnp.take_along_axis(hidden, positions[..., None], axis=-2)
    # RoBERTa's head has the exact GELU whatever its layers have.
    exact = config.model_type in ("roberta", "xlm-roberta")
    activation = ACTIVATIONS["gelu" if exact else config.activation]
    x = activation(project(head["dense"], hidden))
    return layer_norm(config, head["norm"], x)


def masked_lm_table(
    config: EncoderConfig, params: dict
) -> tuple[Float[Array, "V D"], Float[Array, "V"]]:
    """The output embeddings, which are the input's, and the bias of each token.

    Rows of the table that are no tokens have the bias -inf: their probability is 0. It is not
    stored, so that no optimiser meets it.

    Example:
      >>> import jax
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=3, width=8, layers=2, heads=2, hidden_width=16, positions=12,
      ...     vocabulary_multiple=4
      ... )
      >>> params = models.initial_params(config, jax.random.key(0), heads=["masked_lm"])
      >>> table, bias = models.masked_lm_table(config, params)
      >>> print(table.shape, bias)
      (4, 8) [  0.   0.   0. -inf]

    Args:
      config: The encoder's.
      params: With the head at ``params["masked_lm"]``.

    Returns:
      ``[V, D]`` and ``[V]``, V with the padding of the vocabulary.
    """
    bias = _head(params)["bias"]
    a_token = jnp.arange(config.vocabulary_rows) < config.vocabulary_size
    return params["embeddings"]["words"], jnp.where(a_token, bias, -jnp.inf)


def masked_lm_logits(
    config: EncoderConfig,
    params: dict,
    hidden: Float[Array, "*batch T D"],
    positions: Int[Array, "*batch P"] | None = None,
) -> Float[Array, "*batch P V"]:
    """The scores of all tokens at the positions that are asked for.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0), heads=["masked_lm"])
      >>> hidden, positions = jnp.ones((1, 5, 8)), jnp.array([[1, 3]])
      >>> print(models.masked_lm_logits(config, params, hidden, positions).shape)
      (1, 2, 30)

    Args:
      config: The encoder's.
      params: With the head at ``params["masked_lm"]``.
      hidden: ``[..., T, D]``, the encoder's output.
      positions: ``[..., P]``, each in 0..T-1; all T if not given.

    Returns:
      ``[..., P, V]`` in float32, V with the padding of the vocabulary, which scores -inf.
    """
    x = masked_lm_hidden(config, params, hidden, positions)
    table, bias = masked_lm_table(config, params)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    logits = jnp.einsum("...d,vd->...v", x, table.astype(x.dtype), preferred_element_type=wide)
    return logits + batched(bias, logits.ndim)


def _head(params: dict) -> dict:
    if "masked_lm" not in params:
        raise ValueError(f"params must hold the head masked_lm, got {', '.join(params)}")
    return params["masked_lm"]
