"""What an encoder is: sizes that a checkpoint fixes, and how to compute it."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from mmkd_jax.models._activations import gelu

ACTIVATIONS: dict[str, Callable] = {
    "gelu": gelu,
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
}
MODEL_TYPES = ("bert", "distilbert", "roberta", "xlm-roberta")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """One description for BERT, RoBERTa, XLM-R and DistilBERT.

    The first group of fields is fixed by the weights. The second may differ every time they are
    used, and changes no parameter.

    Example:
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> print(config.vocabulary_rows, config.longest)
      30 12
      >>> roberta = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12,
      ...     token_types=1, pad_id=1, position_offset=2, vocabulary_multiple=128
      ... )
      >>> print(roberta.vocabulary_rows, roberta.longest)
      128 10

    Attributes:
      vocabulary_size: Number of tokens.
      width: Size of a hidden state.
      layers: Number of layers.
      heads: Attention heads of a layer. They divide the width.
      hidden_width: Inner size of a layer's two dense maps.
      positions: Rows of the position table.
      position_offset: 0: positions count from 0, the padding included (BERT). Otherwise the
        position of the first token, and what is ``pad_id`` has no position and is not counted
        (RoBERTa, where the offset is ``pad_id + 1``).
      token_types: Rows of the segment table; 0 if there is none (DistilBERT).
      pad_id: The token that fills sentences up.
      activation: Between the two dense maps, and in the masked-LM head: gelu (by erf),
        gelu_tanh, relu or silu.
      layer_norm_epsilon: Added to the variance.
      initial_scale: Standard deviation of new weights.
      model_type: What transformers calls it: bert, roberta, xlm-roberta or distilbert.
      vocabulary_multiple: The word table has as many rows as the next multiple of this. Rows
        beyond ``vocabulary_size`` are no tokens, and are left out of exports.
      dropout: Of hidden states, in training.
      attention_dropout: Of attention weights, in training.
      dtype: Of activations and matrix products. Parameters are float32; LayerNorm and softmax
        are computed in float32.
      attention: xla, or cudnn (a GPU, bfloat16 or float16, tokens before padding, and no
        dropout of attention weights).
      remat: What the backward pass computes anew, layer by layer: nothing ("none"), all
        ("full"), or all but the products with weights ("dots").
      scan_layers: One compiled layer in a loop: compiles faster, and stacks the layers'
        parameters at every call. Parameters look the same either way.
      dropout_key: Random bits of dropout, the same on every machine and under every sharding:
        "hash", in few operations, or JAX's threefry2x32, in seven times as many. (JAX's rbg has
        each device draw the bits of the whole batch.)
    """

    vocabulary_size: int
    width: int
    layers: int
    heads: int
    hidden_width: int
    positions: int
    position_offset: int = 0
    token_types: int = 2
    pad_id: int = 0
    activation: str = "gelu"
    layer_norm_epsilon: float = 1e-12
    initial_scale: float = 0.02
    model_type: str = "bert"

    vocabulary_multiple: int = 1
    dropout: float = 0.1
    attention_dropout: float = 0.1
    dtype: DTypeLike = "float32"
    attention: Literal["xla", "cudnn"] = "xla"
    remat: Literal["none", "full", "dots"] = "none"
    scan_layers: bool = False
    dropout_key: Literal["hash", "threefry2x32"] = "hash"

    def __post_init__(self):
        # jnp.bfloat16 and the like are welcome; what is stored compares and hashes by name.
        object.__setattr__(self, "dtype", jnp.dtype(self.dtype).name)
        sizes = ("vocabulary_size", "width", "heads", "hidden_width", "positions", "layers")
        for name in (*sizes, "vocabulary_multiple"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.width % self.heads:
            raise ValueError(f"heads must divide width = {self.width}, got {self.heads}")
        if not 0 <= self.position_offset < self.positions or self.token_types < 0:
            raise ValueError(
                f"position_offset must lie in 0..positions - 1 = {self.positions - 1} and "
                f"token_types must not be negative, got {self.position_offset}, {self.token_types}"
            )
        if self.position_offset and self.position_offset != self.pad_id + 1:
            raise ValueError(
                f"position_offset must be 0 or pad_id + 1 = {self.pad_id + 1}, "
                f"got {self.position_offset}"
            )
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if not jnp.issubdtype(jnp.dtype(self.dtype), jnp.floating):
            raise ValueError(f"dtype must be of floats, got {self.dtype}")
        for name, known in (
            ("model_type", MODEL_TYPES),
            ("activation", tuple(ACTIVATIONS)),
            ("attention", ("xla", "cudnn")),
            ("remat", ("none", "full", "dots")),
            ("dropout_key", ("hash", "threefry2x32")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )

    @property
    def vocabulary_rows(self) -> int:
        """Rows of the word table, padding included."""
        return -(-self.vocabulary_size // self.vocabulary_multiple) * self.vocabulary_multiple

    @property
    def head_width(self) -> int:
        """Size of one attention head."""
        return self.width // self.heads

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence that has positions."""
        return self.positions - self.position_offset
