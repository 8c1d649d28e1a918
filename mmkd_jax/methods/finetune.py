"""Fine-tuning: an encoder and a head learn labels of texts, or where answers lie in them."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int

from mmkd_jax import models
from mmkd_jax.data import TextBatch
from mmkd_jax.methods._method import Loss, Tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuneSettings:
    """What is learned.

    Attributes:
      kind: "classes", one of several for each text or pair of texts; or "spans", where in the
        second text the answer to the first lies.
      classes: How many; 0 for spans.
      dropout: Of the head, in training.
    """

    kind: Literal["classes", "spans"] = "classes"
    classes: int = 2
    dropout: float = 0.1

    def __post_init__(self):
        if self.kind not in ("classes", "spans"):
            raise ValueError(f"kind must be classes or spans, got {self.kind!r}")
        if (self.classes >= 2) != (self.kind == "classes") or self.classes < 0:
            raise ValueError(
                f"classes must be at least 2, and 0 for spans, got {self.classes} for {self.kind}"
            )


@dataclasses.dataclass(frozen=True)
class FineTune:
    """The loss of fine-tuning, as `Method` describes it.

    ``params``: "encoder", and "heads", which has one, by the name of `head_name`. ``frozen`` is
    empty, and nothing compares examples with one another. The loss is the mean over the rows of a
    batch that are not empty: cross-entropy of the class; or of first and last position of the
    answer, half and half.

    Example:
      >>> import jax
      >>> from mmkd_jax import models
      >>> from mmkd_jax.methods import FineTune, FineTuneSettings
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=1, heads=2, hidden_width=16, positions=12
      ... )
      >>> method = FineTune(FineTuneSettings(kind="classes", classes=3), config)
      >>> sorted(method.new_heads(jax.random.key(0))["classifier"])
      ['classes_bias', 'classes_kernel', 'pooler_bias', 'pooler_kernel']

    Attributes:
      settings: What is learned.
      encoder: Its encoder.
    """

    settings: FineTuneSettings
    encoder: models.EncoderConfig

    # --- Parameters -----------------------------------------------------------------------------

    @property
    def head_name(self) -> str:
        """Of the head, in parameters and in files."""
        return "classifier" if self.settings.kind == "classes" else "reader"

    @property
    def head(self) -> models.Classifier | models.SpanHead:
        """The head."""
        scale = self.encoder.initial_scale
        if self.settings.kind == "spans":
            return models.SpanHead(scale)
        return models.Classifier(self.settings.classes, self.settings.dropout, scale)

    def new_heads(self, key: Array, pooler: Tree | None = None) -> Tree:
        """A new head.

        Args:
          key: For its weights.
          pooler: The checkpoint's, from which a classifier begins; None draws one.
        """
        params = self.head.init(key, jnp.zeros((1, 1, self.encoder.width)))["params"]
        if pooler is not None and self.settings.kind == "classes":
            params = params | {"pooler_kernel": pooler["kernel"], "pooler_bias": pooler["bias"]}
        return {self.head_name: params}

    def is_trained(self, path: tuple[str, ...]) -> bool:
        """Whether the parameter at this path of ``params`` has a part in the loss."""
        return path[0] == "heads" or path[1] in ("embeddings", "layers")

    # --- The loss -------------------------------------------------------------------------------

    def outputs(
        self, params: Tree, batch: TextBatch, key: Array | None = None
    ) -> tuple[Float[Array, "B _"], ...]:
        """Scores: of the classes ``[B, C]``; or of first and last position ``[B, T]`` each.

        An answer lies in the second text, or nowhere, which position 0 stands for; other positions
        score -inf.
        """
        in_encoder, in_head = (None, None) if key is None else jax.random.split(key)
        hidden, _ = models.Encoder(self.encoder).apply(
            {"params": params["encoder"]},
            batch.ids,
            batch.mask,
            batch.segments if self.encoder.token_types > 1 else None,
            deterministic=key is None,
            rngs=None if key is None else {"dropout": in_encoder},
        )
        head = {"params": params["heads"][self.head_name]}
        if self.settings.kind == "spans":
            return self.head.apply(head, hidden, may_answer(batch))
        rngs = None if key is None else {"dropout": in_head}
        return (self.head.apply(head, hidden, key is None, rngs=rngs),)

    def totals(self, batch: TextBatch, step: Int[Array, ""] | int) -> Tree:
        """Rows that are not empty."""
        del step
        return (batch.example >= 0).sum()

    def of_examples(
        self, params: Tree, frozen: Tree, batch: TextBatch, totals: Tree, key: Array | None
    ) -> Loss:
        """All of the loss."""
        del frozen
        scores = self.outputs(params, batch, key)
        some = batch.example >= 0
        losses, right = [], some
        for column, values in enumerate(scores):
            target = batch.target[:, column]
            chosen = jnp.take_along_axis(values, target[:, None], axis=1)[:, 0]
            losses.append(jax.nn.logsumexp(values, axis=-1) - chosen)
            right = right & (values.argmax(axis=-1) == target)
        each = sum(losses) / len(losses)
        loss = jnp.where(some, each, 0.0).sum() / jnp.maximum(totals, 1)
        return Loss(loss, {"right": right.sum() / jnp.maximum(totals, 1)}, ())

    def of_batch(self, params: Tree, stats: Tree, frozen: Tree, vectors: Tree) -> Loss:
        """Nothing."""
        return Loss(jnp.zeros(()), {}, stats)

    # --- Counting -------------------------------------------------------------------------------

    def tokens(self, batch: TextBatch) -> int:
        """What the encoder reads, padding left out."""
        return int(np.sum(batch.mask))

    def flops(self, batch: TextBatch) -> float:
        """Of forward and backward pass; a backward pass counts as two forward ones."""
        tokens = float(np.sum(batch.mask))
        rows = max(int((np.asarray(batch.example) >= 0).sum()), 1)
        return 3 * models.encoder_flops(self.encoder, tokens, tokens / rows)


def may_answer(batch: TextBatch) -> Bool[Array, "B T"]:
    """Where an answer may begin or end: in the second text, and at position 0 for nowhere."""
    behind = jnp.pad(jnp.asarray(batch.mask)[:, 1:], ((0, 0), (0, 1)))
    inside = (batch.segments == 1) & behind  # all but the separator at the end
    return inside.at[:, 0].set(True)
