"""BERT and its relatives as one Linen module."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float, Int

from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._dropout import dropout
from mmkd_jax.models._hash_key import HASH
from mmkd_jax.models._layer import batched, layer, layer_norm
from mmkd_jax.models._parameters import encoder_parameters, initialiser

_POLICIES = {
    "full": None,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


class Encoder(nn.Module):
    """A transformer with absolute positions and LayerNorms after each sum (post-LN).

    Parameters that are not its own, such as the masked-LM head of a checkpoint, are ignored.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> params = models.initial_params(config, jax.random.key(0))
      >>> ids = jnp.array([[4, 7, 2], [5, 0, 0]])
      >>> hidden, extras = models.Encoder(config).apply({"params": params}, ids, ids != 0)
      >>> print(hidden.shape, extras["layers"].shape, extras["embeddings"].shape)
      (2, 3, 8) (2, 2, 3, 8) (2, 3, 8)

    Attributes:
      config: The sizes, and how to compute.

    References:
      Devlin et al., `BERT <https://arxiv.org/abs/1810.04805>`_, 2019; Liu et al., `RoBERTa
      <https://arxiv.org/abs/1907.11692>`_, 2019; Sanh et al., `DistilBERT
      <https://arxiv.org/abs/1910.01108>`_, 2019; Conneau et al., `XLM-R
      <https://arxiv.org/abs/1911.02116>`_, 2020.
    """

    config: EncoderConfig

    @nn.compact
    def __call__(
        self,
        ids: Int[Array, "*batch T"],
        mask: Bool[Array, "*batch T"] | Int[Array, "*batch T"] | Float[Array, "*batch T"],
        token_types: Int[Array, "*batch T"] | None = None,
        deterministic: bool = True,
    ) -> tuple[Float[Array, "*batch T D"], dict[str, Array]]:
        """Hidden states of the tokens.

        What lies behind the mask gets hidden states too, which mean nothing; no token looks at
        them. A sentence without any token has finite hidden states.

        Args:
          ids: ``[..., T]`` tokens. One outside the vocabulary becomes NaN.
          mask: ``[..., T]`` booleans or 0 and 1, the tokens that are there.
          token_types: ``[..., T]`` segments; all 0 if not given.
          deterministic: False for dropout, which takes ``rngs={"dropout": key}``.

        Returns:
          The last layer's output ``[..., T, D]`` in the config's dtype, and ``extras``: each
          layer's output in "layers" ``[L, ..., T, D]``, the first layer's input in "embeddings".
        """
        config = self.config
        _check(config, ids, mask, token_types)
        params = {
            name: self.param(name, initialiser(tree, config))
            for name, tree in encoder_parameters(config).items()
        }
        key = None if deterministic else _dropout_key(config, self.make_rng("dropout"))
        x = embed(config, params["embeddings"], ids, token_types)
        if key is not None:
            key, in_embeddings = jax.random.split(key)
            x = dropout(x, config.dropout, in_embeddings)
        layers = [params["layers"][str(number)] for number in range(config.layers)]
        hidden, outputs = _run(config, layers, x, jnp.asarray(mask) != 0, key)
        return hidden, {"layers": outputs, "embeddings": x}


def embed(config: EncoderConfig, params: dict, ids: Array, token_types: Array | None) -> Array:
    """Sums the tables' rows in float32, normalises, and goes over to the config's dtype."""
    x = jnp.take(params["words"], ids, axis=0, mode="fill", fill_value=jnp.nan)
    length = ids.shape[-1]
    if config.position_offset:
        # As RoBERTa counts: what is padding has the padding's position.
        there = (ids != config.pad_id).astype(jnp.int32)
        positions = config.pad_id + there * jnp.cumsum(there, axis=-1)
        x += params["positions"][positions]
    else:
        x += batched(params["positions"][:length], x.ndim)
    if config.token_types:
        if token_types is None:
            x += batched(params["token_types"][0], x.ndim)
        else:
            # A product with few rows: its gradient is a product too, and no scatter.
            chosen = jax.nn.one_hot(token_types, config.token_types, dtype=x.dtype)
            x += jnp.einsum(
                "...s,sd->...d", chosen, params["token_types"], precision=jax.lax.Precision.HIGHEST
            )
    return layer_norm(config, params["norm"], x).astype(config.dtype)


def _run(
    config: EncoderConfig, layers: list, x: Array, mask: Array, key: Array | None
) -> tuple[Array, Array]:
    """All layers in turn; returns the last output, and all of them, [L, ..., T, D]."""
    step = functools.partial(layer, config)
    if config.remat != "none":
        step = jax.checkpoint(step, policy=_POLICIES[config.remat])
    keys = None if key is None else jax.random.split(key, config.layers)
    if config.scan_layers:
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *layers)

        def body(x, inputs):
            params, key = inputs
            x = step(params, x, mask, key)
            return x, x

        return jax.lax.scan(body, x, (stacked, keys))
    outputs = []
    for number, params in enumerate(layers):
        x = step(params, x, mask, None if keys is None else keys[number])
        outputs.append(x)
    return x, jnp.stack(outputs)


def _dropout_key(config: EncoderConfig, key: Array) -> Array:
    """A key of the config's kind from one of any kind."""
    bits = jax.random.bits(key, (2,), jnp.uint32)
    impl = HASH if config.dropout_key == "hash" else config.dropout_key
    return jax.random.wrap_key_data(bits, impl=impl)


def _check(config: EncoderConfig, ids: Array, mask: Array, token_types: Array | None) -> None:
    shape = jnp.shape(ids)
    if not shape or not jnp.issubdtype(jnp.result_type(ids), jnp.integer):
        raise ValueError(f"ids must be [..., T] integers, got {jnp.result_type(ids)} {shape}")
    if shape[-1] > config.longest:
        raise ValueError(
            f"ids must be [..., T] with T at most {config.longest}, which is how many positions "
            f"there are, got {shape}"
        )
    if jnp.shape(mask) != shape:
        raise ValueError(f"mask must be [..., T] = {shape}, got {jnp.shape(mask)}")
    if token_types is None:
        return
    if not config.token_types:
        raise ValueError(f"token_types must be None: a {config.model_type} has none")
    if jnp.shape(token_types) != shape:
        raise ValueError(f"token_types must be [..., T] = {shape}, got {jnp.shape(token_types)}")
