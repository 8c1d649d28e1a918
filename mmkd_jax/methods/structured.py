"""Structured distillation: taggers of one language each teach one tagger of all of them."""

import dataclasses
import functools
import re
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Int

from mmkd_jax import losses, models
from mmkd_jax.crf import LinearChain
from mmkd_jax.data import TaggedBatch
from mmkd_jax.methods._distillation import OBJECTIVES, Teachers, confidence, distillation
from mmkd_jax.methods._method import Loss, Tree
from mmkd_jax.methods._teachers import Scores, Teacher, View, stack, tags_of, view

_TERM = re.compile(r"(?:(\d*\.?\d+)\s*\*\s*)?(\w+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class AnnealingSettings:
    """How λ, the weight of the teachers, changes, as `losses.annealing` takes it.

    Attributes:
      kind: linear, cosine or constant.
      steps: In how many it falls to 0; a run takes 0 for its own length.
      start: λ at the beginning.
      floor: λ never falls below it.
      every: λ changes every so many steps.
    """

    kind: Literal["linear", "cosine", "constant"] = "linear"
    steps: float = 0.0
    start: float = 1.0
    floor: float = 0.0
    every: int = 1

    def __post_init__(self):
        if not 0 <= self.floor <= self.start <= 1:
            raise ValueError(f"0 <= floor <= start <= 1 must hold, got {self.floor}, {self.start}")
        if self.steps < 0 or self.every < 1:
            raise ValueError(
                f"steps must be at least 0, and every at least 1, got {self.steps}, {self.every}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class StructuredSettings:
    """The choices of the method.

    Attributes:
      objective: What is learned from the teachers: emission, token (the same for softmax taggers),
        top_k, weighted_top_k, posterior, kl, or hard (the teachers' best tags as if they were
        gold); or a sum, such as "0.5*posterior + 0.5*weighted_top_k". nll alone is a tagger that
        learns from gold tags, and has no teachers.
      temperature: Of all but top_k, weighted_top_k and hard.
      paths: Of top_k and weighted_top_k.
      annealing: λ. A sentence with gold tags and teachers counts λ · distillation + (1 - λ) · gold.
        One that has only the one or the other counts that, whatever λ is.
      confidence: Raw sentences are left out whose teachers are less sure of their best tags than
        this, as a probability a token: exp(log p(y) / length). Of what is taught the metric
        "kept" is the share that is left.
      per: What the loss is a mean over: sentence, as in the first paper, or token.
    """

    objective: str = "nll"
    temperature: float = 1.0
    paths: int = 10
    annealing: AnnealingSettings = AnnealingSettings()
    confidence: float = 0.0
    per: Literal["sentence", "token"] = "sentence"

    def __post_init__(self):
        if self.per not in ("sentence", "token"):
            raise ValueError(f"per must be sentence or token, got {self.per!r}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be above 0, got {self.temperature}")
        if self.paths < 1:
            raise ValueError(f"paths must be at least 1, got {self.paths}")
        if not 0 <= self.confidence < 1:
            raise ValueError(f"confidence must lie in [0, 1), got {self.confidence}")
        _ = self.weights

    @functools.cached_property
    def weights(self) -> dict[str, float]:
        """What each objective counts; none for nll."""
        found: dict[str, float] = {}
        for part in self.objective.split("+"):
            term = _TERM.fullmatch(part.strip())
            name = term[2] if term else part.strip()
            weight = float(term[1] or 1.0) if term else 0.0
            if self.objective.strip() != "nll" and (name not in OBJECTIVES or not weight):
                raise ValueError(
                    "objective must be nll, or one or a sum of "
                    f"{', '.join(OBJECTIVES)}, such as 0.5*kl + 0.5*hard, with weights above 0; "
                    "what gold tags count beside it is annealing's 1 - λ. "
                    f"Got {self.objective!r}"
                )
            if name in found:
                raise ValueError(f"objective must name {name} once, got {self.objective!r}")
            found[name] = weight
        found.pop("nll", None)
        return found

    def check_fits(self, kind: str, partial: bool) -> None:
        """ValueError where the objective is none for these taggers.

        Args:
          kind: Of the student: crf or softmax.
          partial: Whether a teacher is.
        """
        if "token" in self.weights and kind != "softmax":
            raise ValueError('"token" is for softmax students; for a CRF it is called emission')
        if partial and (wrong := sorted(set(self.weights) - {"posterior"})):
            raise ValueError(
                f"{', '.join(wrong)} cannot learn from partial teachers: posterior can, which "
                "compares what both can say"
            )


@dataclasses.dataclass(frozen=True)
class Structured:
    """The loss of a tagger that learns from gold tags, from teachers, or from both.

    ``params`` are those of `models.Tagger`; there are no statistics. ``frozen["teachers"]`` is what
    `teacher_table` makes of the teachers' transitions; their emissions come in the batch, in the
    tags of `teacher_views`. Without teachers ``frozen`` is empty.

    With several teachers a sentence's loss is the mean of its losses with each of them, by their
    weights. For kl, and for posterior at temperature 1, that is the loss with the mixture of the
    teachers, but for what no student can change.

    Attributes:
      settings: The choices.
      tagger: The student.
      teachers: Its teachers.

    References:
      Wang et al., `Structure-Level Knowledge Distillation For Multilingual Sequence Labeling
      <https://arxiv.org/abs/2004.03846>`_, 2020; Wang et al., `Structural Knowledge Distillation
      <https://arxiv.org/abs/2010.05010>`_, 2021.
    """

    settings: StructuredSettings
    tagger: models.TaggerConfig
    teachers: tuple[Teacher, ...] = ()

    def __post_init__(self):
        weights, annealing = self.settings.weights, self.settings.annealing
        if bool(weights) != bool(self.teachers):
            raise ValueError(
                f"objective {self.settings.objective!r} needs teachers: name some, or take nll"
                if weights
                else 'objective "nll" has no use for teachers: name none, or take another objective'
            )
        if weights and annealing.kind != "constant" and not annealing.steps:
            raise ValueError("annealing.steps must be above 0, unless annealing.kind is constant")
        kinds = {each.kind for each in self.teacher_views}
        self.settings.check_fits(self.tagger.kind, partial="shared" in kinds)
        split = any(each.splits_tags for each in self.teacher_views)
        if split and (wrong := sorted({"emission", "token"} & set(weights))):
            raise ValueError(
                f"{', '.join(wrong)} compares tag by tag, and a teacher in BIO has no scores for "
                "the tags of BIOES: take another objective, or a student in BIO"
            )

    # --- Teachers -------------------------------------------------------------------------------

    @functools.cached_property
    def teacher_views(self) -> tuple[View, ...]:
        """How the student sees each teacher's tags."""
        return tuple(view(teacher, self.tagger.tags) for teacher in self.teachers)

    @property
    def teacher_tags(self) -> int:
        """How many there must be room for in a batch: N of `TaggedBatch.teacher_emissions`."""
        return tags_of(self.teacher_views)

    def teacher_table(self, scores: Sequence[Scores]) -> dict[str, np.ndarray]:
        """What ``frozen["teachers"]`` must be.

        Args:
          scores: Of each teacher, in its own tags.
        """
        if len(scores) != len(self.teachers):
            raise ValueError(
                f"scores must be one a teacher, {len(self.teachers)}, got {len(scores)}"
            )
        return stack(self.teacher_views, scores, self.teachers, self.tagger.constrained)

    def is_trained(self, path: tuple[str, ...]) -> bool:
        """Whether the parameter at this path of ``params`` has a part in the loss."""
        if path[0] != "encoder":
            return True
        return not self.tagger.freeze_encoder and path[1] in ("embeddings", "layers")

    # --- The loss -------------------------------------------------------------------------------

    def totals(self, batch: TaggedBatch, step: Int[Array, ""] | int = 0) -> Tree:
        """How many sentences, or tokens, of the whole batch count; and λ."""
        counts = batch.lengths if self.settings.per == "token" else batch.lengths > 0
        labelled, taught = _labelled(batch), self._taught(batch)
        found = {"all": labelled | taught, "gold": labelled, "taught": taught}
        totals = {name: jnp.where(where, counts, 0).sum() for name, where in found.items()}
        return totals | {"rows": jnp.asarray(len(counts)), "lambda": self._lambda(step)}

    def of_examples(
        self, params: Tree, frozen: Tree, batch: TaggedBatch, totals: Tree, key: Array | None
    ) -> Loss:
        """All of the loss: a tagger compares no sentences."""
        chain = self.chain(params, batch, key)
        labelled, taught, mix = _labelled(batch), self._taught(batch), totals["lambda"]

        def share(values: Array, where: Array, total: str) -> Array:
            # A value is the sum over its sentence, be the mean one over sentences or over tokens.
            return jnp.where(where, values, 0.0).sum() / jnp.maximum(totals[total], 1)

        gold = losses.crf_nll(chain, jnp.maximum(batch.tags, 0))
        metrics = {"nll": share(gold, labelled, "gold")}
        value = share(jnp.where(taught, 1 - mix, 1.0) * gold, labelled, "all")
        if self.teachers:
            teachers = jax.lax.stop_gradient((frozen["teachers"], batch.teacher_emissions))
            taught_by = Teachers(*teachers, batch.teachers, batch.lengths)
            found = distillation(self.settings, chain, taught_by)
            kept = taught & (labelled | self._are_sure(taught_by))
            metrics |= {name: share(values, kept, "taught") for name, values in found.items()}
            if self.settings.confidence:
                counts = batch.lengths if self.settings.per == "token" else batch.lengths > 0
                metrics["kept"] = share(jnp.asarray(counts), kept, "taught")
            metrics["lambda"] = mix * len(batch.lengths) / totals["rows"]
            distilled = sum(self.settings.weights[name] * found[name] for name in found)
            value += share(jnp.where(labelled, mix, 1.0) * distilled, kept, "all")
        return Loss(value, metrics, {})

    def of_batch(self, params: Tree, stats: Tree, frozen: Tree, vectors: Tree) -> Loss:
        """Nothing."""
        del params, frozen, vectors
        return Loss(jnp.zeros(()), {}, stats)

    def chain(self, params: Tree, batch: TaggedBatch, key: Array | None = None) -> LinearChain:
        """The student's chain of each sentence, with dropout if there is a key."""
        recurrent = self.tagger.recurrent
        return models.Tagger(self.tagger).apply(
            {"params": params},
            _inside(batch),
            **({} if self.tagger.encoder is None else _subwords(batch)),
            words=batch.words if recurrent is not None and recurrent.words else None,
            characters=batch.characters if recurrent is not None and recurrent.characters else None,
            deterministic=key is None,
            rngs=None if key is None else {"dropout": key},
        )

    def _lambda(self, step: Array | int) -> Array:
        if not self.teachers:
            return jnp.zeros(())
        annealing = self.settings.annealing
        schedule = losses.annealing(
            annealing.kind,
            annealing.steps or None,
            start=annealing.start,
            floor=annealing.floor,
            every=annealing.every,
        )
        return schedule(step)

    def _taught(self, batch: TaggedBatch) -> Bool[Array, "B"]:
        if not self.teachers:
            return jnp.zeros(len(batch.lengths), bool)
        return (batch.lengths > 0) & (batch.teachers >= 0).any(axis=-1)

    def _are_sure(self, teachers: Teachers) -> Bool[Array, "B"]:
        if not self.settings.confidence:
            return jnp.ones(len(teachers.lengths), bool)
        return confidence(teachers) >= self.settings.confidence

    # --- Counting -------------------------------------------------------------------------------

    def tokens(self, batch: TaggedBatch) -> int:
        """What the student reads, padding left out: subwords, or words if it reads no subwords."""
        read = batch.lengths if self.tagger.encoder is None else batch.mask
        return int(np.sum(read))

    def flops(self, batch: TaggedBatch) -> float:
        """Of forward and backward passes; a backward pass counts as two forward ones."""
        words = float(np.sum(batch.lengths))
        characters = 0.0 if batch.characters is None else float(np.sum(batch.characters != 0))
        forward = 3 * models.word_flops(self.tagger, words, characters)
        if self.tagger.encoder is not None:
            tokens = float(np.sum(batch.mask))
            once = models.encoder_flops(self.tagger.encoder, tokens, tokens / len(batch.mask))
            forward += once if self.tagger.freeze_encoder else 3 * once
        return forward


def _subwords(batch: TaggedBatch) -> dict[str, Array]:
    return {"ids": batch.ids, "mask": batch.mask, "word_of": batch.word_of}


def _inside(batch: TaggedBatch) -> Bool[Array, "B W"]:
    return jnp.arange(batch.tags.shape[1])[None] < batch.lengths[:, None]


def _labelled(batch: TaggedBatch) -> Bool[Array, "B"]:
    """Which sentences have a tag for each word."""
    return (batch.lengths > 0) & ((batch.tags >= 0) | ~_inside(batch)).all(axis=-1)
