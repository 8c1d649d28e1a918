"""AdamW with the schedule of the paper, and its relatives; SGD as taggers like it."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from mmkd_jax.training._plateau import PlateauSettings, scale_by_plateau

_TRANSITIONS = ("transitions", "start", "end")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """How parameters move. The defaults are the paper's of MMKD.

    Attributes:
      kind: "adamw" or "sgd".
      learning_rate: The peak, at `reference_batch` examples a step; in proportion at others.
      reference_batch: 0 takes the learning rate as it is.
      warmup: In this share of all steps the learning rate rises to its peak.
      schedule: How it falls to 0 after that: "cosine", "linear", or "constant" (it does not).
      head_factor: New heads learn so many times faster than the encoder.
      transition_factor: A tagger's transitions, and the scores of its first and last tag, learn so
        many times faster than the encoder.
      weight_decay: Of all but biases, the scales of norms and transitions.
      clip_norm: The gradient is scaled down to this norm; 0 leaves it as it is.
      b1: Decay of the gradient's mean. For SGD: the momentum, 0 for none.
      b2: Decay of its mean square.
      epsilon: Added to its root.
      average: Decay of a running average of the parameters, which is what is evaluated and
        exported; 0 for none.
      plateau: What happens when evaluations show no progress.
    """

    kind: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float = 2e-5
    reference_batch: int = 256
    warmup: float = 2 / 15
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    head_factor: float = 1.0
    transition_factor: float = 1.0
    weight_decay: float = 0.01
    clip_norm: float = 0.0
    b1: float = 0.9
    b2: float = 0.999
    epsilon: float = 1e-8
    average: float = 0.0
    plateau: PlateauSettings = PlateauSettings()

    def __post_init__(self):
        if self.kind not in ("adamw", "sgd"):
            raise ValueError(f"kind must be adamw or sgd, got {self.kind!r}")
        if self.schedule not in ("cosine", "linear", "constant"):
            raise ValueError(
                f"schedule must be one of cosine, linear, constant, got {self.schedule!r}"
            )
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup is a share of all steps, in [0, 1], got {self.warmup}")
        for name in ("average", "b1", "b2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        for name in (
            *("learning_rate", "head_factor", "transition_factor", "weight_decay", "clip_norm"),
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")


def learning_rate(
    settings: OptimizerSettings, total_steps: int, batch_size: int
) -> Callable[[Any], jax.Array]:
    """The schedule: warm-up, then the fall. It changes at every step."""
    peak = settings.learning_rate
    if settings.reference_batch:
        peak *= batch_size / settings.reference_batch
    warmup = round(settings.warmup * total_steps)

    def at(step: Any) -> jax.Array:
        step = jnp.asarray(step, jnp.float32)
        rise = (step + 1) / max(warmup, 1)
        done = jnp.clip((step - warmup) / max(total_steps - warmup, 1), 0.0, 1.0)
        fall = {
            "cosine": 0.5 * (1 + jnp.cos(jnp.pi * done)),
            "linear": 1 - done,
            "constant": jnp.ones_like(done),
        }[settings.schedule]
        return peak * jnp.where(step < warmup, rise, fall)

    return at


def make_optimizer(
    settings: OptimizerSettings,
    total_steps: int,
    batch_size: int,
    is_trained: Callable[[tuple[str, ...]], bool],
) -> optax.GradientTransformation:
    """AdamW or SGD for what is trained; what is not stays as it is, and takes no memory.

    Args:
      settings: How parameters move.
      total_steps: The length of the run.
      batch_size: Examples a step.
      is_trained: Of the path of a parameter.
    """
    schedule = learning_rate(settings, total_steps, batch_size)

    def moving(factor: float) -> optax.GradientTransformation:
        def rate(step: Any) -> jax.Array:
            return factor * schedule(step)

        if settings.kind == "sgd":
            decay = optax.add_decayed_weights(settings.weight_decay, _decays)
            return optax.chain(decay, optax.sgd(rate, settings.b1 or None))
        return optax.adamw(
            rate,
            b1=settings.b1,
            b2=settings.b2,
            eps=settings.epsilon,
            weight_decay=settings.weight_decay,
            mask=_decays,
        )

    def label(path: tuple, _: Any) -> str:
        names = tuple(entry.key for entry in path)
        if not is_trained(names):
            return "frozen"
        if names[0] == "head" and names[-1] in _TRANSITIONS:
            return "transitions"
        return "encoder" if names[0] == "encoder" else "heads"

    groups = {
        "encoder": moving(1.0),
        "heads": moving(settings.head_factor),
        "transitions": moving(settings.transition_factor),
        "frozen": optax.set_to_zero(),
    }
    chain = [optax.clip_by_global_norm(settings.clip_norm)] if settings.clip_norm else []
    chain.append(
        optax.partition(groups, lambda params: jax.tree_util.tree_map_with_path(label, params))
    )
    if settings.plateau.is_used:
        chain.append(scale_by_plateau())
    return optax.chain(*chain)


def _decays(params: Any) -> Any:
    """Weights of products decay; biases, scales of norms, and transitions do not."""

    def of(path: tuple, _: Any) -> bool:
        name = str(path[-1].key)
        return not name.endswith(("bias", "scale")) and name not in _TRANSITIONS

    return jax.tree_util.tree_map_with_path(of, params)
