"""MMKD: an English encoder teaches a multilingual one at token, word, sentence, structure level."""

import dataclasses
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from mmkd_jax import losses, models
from mmkd_jax.data import PairBatch
from mmkd_jax.methods._method import Loss, Tree

LEVELS = ("token", "word", "sentence", "structure")


@dataclasses.dataclass(frozen=True, kw_only=True)
class LevelWeights:
    """What each level counts in the loss; at 0 its views are not even computed.

    Attributes:
      token: Translation language modelling: masked tokens of both languages.
      word: The meaning of masked English words, from context and translation.
      sentence: The translation's vector, pulled towards the English one's.
      structure: Which sentences of a batch are alike.
    """

    token: float = 1.0
    word: float = 1.0
    sentence: float = 1.0
    structure: float = 10.0

    def __post_init__(self):
        values = dataclasses.asdict(self)
        if wrong := {name: value for name, value in values.items() if not value >= 0}:
            raise ValueError(f"weights must be at least 0, got {wrong}")
        if not any(values.values()):
            raise ValueError("weights must not all be 0: there would be nothing to learn")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MMKDSettings:
    """The choices of the method. The defaults are the paper's.

    Attributes:
      weights: Of the four levels.
      teacher_projection: How student and teacher sentence vectors meet. "frozen_random": each
        side's goes through a projector, the teacher's with random weights that are never trained,
        the student's also through a predictor (what the released code does). "none": as they are;
        widths must agree. "learned": the student's through one linear map, the teacher's as it is.
      sentence_vector: "cls", the vector of [CLS], or "mean", the mean over a sentence's tokens.
      projection_hidden: Inner width of projectors and predictors.
      projection_width: Width of what they give.
      word_temperature: Divides the scores of the word level.
      word_cosine: Whether its scores are cosines instead of inner products.
      word_both_directions: Whether masked words are also told apart from the teacher's side.
      pairs_every: The token and the word level see every so manieth pair of a batch. They cost
        several times what the two others cost, whose translations stand alone in their rows.
      structure_temperature: Divides the cosines of the structure level.
      include_self: Whether a sentence is compared with itself too.
    """

    weights: LevelWeights = LevelWeights()
    teacher_projection: Literal["frozen_random", "none", "learned"] = "frozen_random"
    sentence_vector: Literal["cls", "mean"] = "cls"
    projection_hidden: int = 768
    projection_width: int = 128
    word_temperature: float = 1.0
    word_cosine: bool = False
    word_both_directions: bool = False
    pairs_every: int = 1
    structure_temperature: float = 1.0
    include_self: bool = True

    def __post_init__(self):
        for name, known in (
            ("teacher_projection", ("frozen_random", "none", "learned")),
            ("sentence_vector", ("cls", "mean")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}"
                )
        if self.pairs_every < 1:
            raise ValueError(f"pairs_every must be at least 1, got {self.pairs_every}")
        for name in ("word_temperature", "structure_temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class MMKD:
    """The loss of MMKD, as `Method` describes it.

    Three trees go in. ``params``: "encoder", the student with its masked-LM head, and "heads".
    ``stats``: running statistics of the heads' BatchNorms. ``frozen``: "teacher", and "heads", its
    random projectors.

    The teacher runs once, without dropout and without gradient. The student runs twice: once on
    the translations alone, once on the pairs, with the token level's and the word level's views
    side by side. A step on a batch that is sharded over devices is a step on the whole batch.

    Attributes:
      settings: The choices.
      teacher: Its encoder.
      student: Its encoder.

    References:
      Li et al., `Multi-level Distillation of Semantic Knowledge for Pre-training Multilingual
      Language Model <https://arxiv.org/abs/2211.01200>`_, 2022.
    """

    settings: MMKDSettings
    teacher: models.EncoderConfig
    student: models.EncoderConfig

    def __post_init__(self):
        if self.settings.teacher_projection == "none" and self.teacher.width != self.student.width:
            raise ValueError(
                'teacher_projection "none" needs a student as wide as its teacher, got '
                f'{self.student.width} and {self.teacher.width}; "learned" maps one to the other'
            )

    # --- Parameters -----------------------------------------------------------------------------

    @property
    def vector_levels(self) -> tuple[str, ...]:
        """Those of the sentence and the structure level that count."""
        weights = self.settings.weights
        return tuple(name for name in ("sentence", "structure") if getattr(weights, name))

    def new_heads(self, key: Array) -> tuple[Tree, Tree, Tree]:
        """New heads: what is trained, its statistics, and what is frozen."""
        student, statistics, frozen = {}, {}, {}
        projection = self.settings.teacher_projection
        for number, level in enumerate(self.vector_levels):
            one, two, three = jax.random.split(jax.random.fold_in(key, number), 3)
            if projection == "learned":
                student[level] = _new_map(one, self.student.width, self.teacher.width)
            elif projection == "frozen_random":
                found = {
                    "projector": self._projector.init(one, jnp.zeros((1, self.student.width))),
                    "predictor": self._predictor.init(
                        two, jnp.zeros((1, self.settings.projection_width))
                    ),
                }
                student[level] = {name: tree["params"] for name, tree in found.items()}
                statistics[level] = {name: tree["batch_stats"] for name, tree in found.items()}
                frozen[level] = self._projector.init(three, jnp.zeros((1, self.teacher.width)))
        if self.settings.weights.word and self.teacher.width != self.student.width:
            key = jax.random.fold_in(key, len(LEVELS))
            student["word"] = _new_map(key, self.student.width, self.teacher.width)
        return student, statistics, frozen

    def is_trained(self, path: tuple[str, ...]) -> bool:
        """Whether the parameter at this path of ``params`` has a part in the loss."""
        if path[0] == "heads":
            return True
        if path[1] == "masked_lm":
            return self.settings.weights.token > 0
        return path[1] in ("embeddings", "layers")

    # --- The loss -------------------------------------------------------------------------------

    def totals(self, batch: PairBatch, step: Int[Array, ""] | int = 0) -> Tree:
        """Chosen tokens, and pairs with masked words, of the whole batch; alike at every step."""
        del step
        some = self._some(batch)
        return {
            "token": some.tlm_where.sum(),
            "word": (some.words_masked & some.words_valid).any(axis=-1).sum(),
        }

    def of_examples(
        self, params: Tree, frozen: Tree, batch: PairBatch, totals: Tree, key: Array | None
    ) -> Loss:
        """The token and the word level, and the sentence vectors for the two others."""
        weights = self.settings.weights
        in_pairs, in_alone = (None, None) if key is None else jax.random.split(key)
        found: dict[str, Array] = {}
        some = self._some(batch)
        token, word = self._pair_views(params, some, in_pairs)
        if token is not None:
            found["token"] = self._token_level(params["encoder"], token, some, totals)
        asked = batch if self.vector_levels else some
        taught = self._teach(frozen, asked) if word is not None or self.vector_levels else None
        if word is not None:
            of_some = self._some(taught) if self.vector_levels else taught
            found["word"] = self._word_level(params["heads"], word, of_some, some, totals)
        vectors = {}
        if self.vector_levels:
            hidden = self._read(params, batch.student_ids, batch.student_mask, None, in_alone)
            vectors = {
                "student": self._sentence_vector(hidden, batch.student_mask),
                "teacher": self._sentence_vector(taught, batch.teacher_mask),
            }
        total = sum((getattr(weights, name) * found[name] for name in found), jnp.zeros(()))
        return Loss(total, found, vectors)

    def of_batch(
        self, params: Tree, stats: Tree, frozen: Tree, vectors: dict[str, Float[Array, "_ _"]]
    ) -> Loss:
        """The sentence and the structure level, of all sentences of the batch together."""
        settings, found, changed = self.settings, {}, {}
        for level in self.vector_levels:
            student, teacher, changed[level] = self._meet(level, params, stats, frozen, vectors)
            if level == "sentence":
                found[level] = losses.sentence_alignment(student, teacher).mean()
            else:
                found[level] = losses.structure_alignment(
                    student,
                    teacher,
                    temperature=settings.structure_temperature,
                    include_self=settings.include_self,
                ).mean()
        weights = settings.weights
        total = sum((getattr(weights, name) * found[name] for name in found), jnp.zeros(()))
        return Loss(total, found, {name: tree for name, tree in changed.items() if tree})

    def _some(self, rows: Tree) -> Tree:
        """Every so manieth row, so that each device finds some among its own."""
        every = self.settings.pairs_every
        if every == 1:
            return rows

        def of(array: Array) -> Array:
            if len(array) % every:
                raise ValueError(f"pairs_every must divide {len(array)} examples, got {every}")
            return array.reshape(-1, every, *array.shape[1:])[:, 0]

        return jax.tree.map(of, rows)

    def _teach(self, frozen: Tree, batch: PairBatch) -> Array:
        hidden, _ = models.Encoder(self.teacher).apply(
            {"params": frozen["teacher"]}, batch.teacher_ids, batch.teacher_mask
        )
        return jax.lax.stop_gradient(hidden)

    def _read(
        self, params: Tree, ids: Array, mask: Array, segments: Array | None, key: Array | None
    ) -> Array:
        hidden, _ = models.Encoder(self.student).apply(
            {"params": params["encoder"]},
            ids,
            mask,
            segments if self.student.token_types > 1 else None,
            deterministic=key is None,
            rngs=None if key is None else {"dropout": key},
        )
        return hidden

    def _pair_views(
        self, params: Tree, batch: PairBatch, key: Array | None
    ) -> tuple[Array | None, Array | None]:
        """Hidden states of the views that the token and the word level need, in one call."""
        weights = self.settings.weights
        ids = [batch.tlm_ids] * bool(weights.token) + [batch.word_ids] * bool(weights.word)
        if not ids:
            return None, None
        # Side by side behind the batch's axis, so that each device keeps its own examples.
        views = (len(ids), *batch.pair_mask.shape[1:])
        shape = (len(batch.pair_mask), *views)
        mask, segments = (
            jnp.broadcast_to(array[:, None], shape)
            for array in (batch.pair_mask, batch.pair_segments)
        )
        hidden = self._read(params, jnp.stack(ids, axis=1), mask, segments, key)
        token = hidden[:, 0] if weights.token else None
        word = hidden[:, -1] if weights.word else None
        return token, word

    def _token_level(self, student: Tree, hidden: Array, batch: PairBatch, totals: Tree) -> Array:
        chosen = models.masked_lm_hidden(self.student, student, hidden, batch.tlm_positions)
        table, bias = models.masked_lm_table(self.student, student)
        values = losses.token_alignment_from_hidden(
            chosen, table, bias, batch.tlm_targets, batch.tlm_where
        )
        return _share(values, batch.tlm_where.sum(axis=-1), totals["token"])

    def _word_level(
        self, heads: Tree, hidden: Array, taught: Array, batch: PairBatch, totals: Tree
    ) -> Array:
        student, teacher = (
            jnp.take_along_axis(states, places[..., None], axis=1)
            for states, places in ((hidden, batch.student_words), (taught, batch.teacher_words))
        )
        if "word" in heads:
            student = _mapped(heads["word"], student)
        values = losses.word_alignment(
            student,
            teacher,
            batch.words_masked,
            batch.words_valid,
            temperature=self.settings.word_temperature,
            cosine=self.settings.word_cosine,
            both_directions=self.settings.word_both_directions,
        )
        any_masked = (batch.words_masked & batch.words_valid).any(axis=-1)
        return _share(values, any_masked, totals["word"])

    def _sentence_vector(self, hidden: Array, mask: Array) -> Array:
        hidden = hidden.astype(jnp.promote_types(hidden.dtype, jnp.float32))
        if self.settings.sentence_vector == "cls":
            return hidden[:, 0]
        counted = jnp.where(mask[..., None], hidden, 0.0).sum(axis=1)
        return counted / jnp.maximum(mask.sum(axis=1), 1)[:, None]

    def _meet(
        self, level: str, params: Tree, stats: Tree, frozen: Tree, vectors: Tree
    ) -> tuple[Array, Array, Tree]:
        """Both sides' vectors where they can be compared, and new statistics."""
        student, teacher = vectors["student"], vectors["teacher"]
        if self.settings.teacher_projection == "none":
            return student, teacher, {}
        head = params["heads"][level]
        if self.settings.teacher_projection == "learned":
            return _mapped(head, student), teacher, {}
        changed = {}
        for name, module in (("projector", self._projector), ("predictor", self._predictor)):
            student, new = module.apply(
                {"params": head[name], "batch_stats": stats[level][name]},
                student,
                deterministic=False,
                mutable=["batch_stats"],
            )
            changed[name] = new["batch_stats"]
        # Its BatchNorm too takes the statistics of the batch; its running ones are of no use.
        teacher, _ = self._projector.apply(
            frozen["heads"][level], teacher, deterministic=False, mutable=["batch_stats"]
        )
        return student, jax.lax.stop_gradient(teacher), changed

    @property
    def _projector(self) -> models.Projection:
        return models.Projection(self.settings.projection_hidden, self.settings.projection_width)

    @property
    def _predictor(self) -> models.Projection:
        return models.Projection(
            self.settings.projection_hidden, self.settings.projection_width, last_norm=False
        )

    # --- Counting -------------------------------------------------------------------------------

    def tokens(self, batch: PairBatch) -> int:
        """What the student reads, padding left out."""
        weights, some = self.settings.weights, self._some(batch)
        pairs = int(np.sum(some.pair_mask)) * (bool(weights.token) + bool(weights.word))
        return pairs + (int(np.sum(batch.student_mask)) if self.vector_levels else 0)

    def flops(self, batch: PairBatch) -> float:
        """Of forward and backward passes; a backward pass counts as two forward ones."""
        weights, some = self.settings.weights, self._some(batch)
        pairs = _forward(self.student, some.pair_mask)
        chosen = float(np.sum(some.tlm_where))
        student = pairs * (bool(weights.token) + bool(weights.word))
        student += bool(weights.token) * models.masked_lm_flops(self.student, chosen)
        teacher = 0.0
        if self.vector_levels:
            student += _forward(self.student, batch.student_mask)
        if self.vector_levels or weights.word:
            asked = batch if self.vector_levels else some
            teacher = _forward(self.teacher, asked.teacher_mask)
        return 3 * student + teacher


def _forward(config: models.EncoderConfig, mask: np.ndarray) -> float:
    tokens = float(np.sum(mask))
    return models.encoder_flops(config, tokens, tokens / len(mask))


def _share(values: Array, counts: Array, total: Array) -> Array:
    """What some examples contribute to the weighted mean over all of them."""
    counted = counts > 0
    return (jnp.where(counted, values, 0.0) * counts).sum() / jnp.maximum(total, 1)


def _new_map(key: Array, width: int, to: int) -> dict[str, Any]:
    return {"kernel": jax.nn.initializers.lecun_normal()(key, (width, to))}


def _mapped(head: dict, vectors: Array) -> Array:
    return vectors @ head["kernel"].astype(vectors.dtype)
