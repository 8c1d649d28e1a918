"""The settings of a run of structured distillation."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from mmkd_jax.methods import StructuredSettings, Teacher
from mmkd_jax.runs._tagger_settings import Specs, TaggerRunSettings, TaggerSettings, is_raw
from mmkd_jax.tags import TagSet, split
from mmkd_jax.training import OptimizerSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherSettings:
    """A teacher: where it comes from, and whom it teaches.

    Attributes:
      folder: Of a trained tagger; empty for one that is trained first, as `TeacherRecipe` says.
      languages: That it teaches; one that is trained here learns these too. Empty for all.
      weight: What it counts among the teachers of a language.
      renamed: What becomes of its types (or tags), by their names: a type (or tag) of the
        student's, or None for O.
      partial: Whether types that only it or only the student knows are left out of the comparison.
      folds: Above 1: so many are trained, each without the sentences of one fold, and a sentence is
        taught by the one that has not learned from it.
      recipe: Of one that is trained here: the fields in which it differs from the common recipe.
    """

    folder: str = ""
    languages: tuple[str, ...] = ()
    weight: float = 1.0
    renamed: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    partial: bool = False
    folds: int = 1
    recipe: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.folder and self.recipe:
            raise ValueError(
                "recipe is for a teacher that is trained here, and must be empty for one with a "
                f"folder, got {self.recipe}"
            )
        if self.folds < 1 or (self.folds > 1 and self.folder):
            raise ValueError(
                "folds must be 1, or more for a teacher that is trained here (without a folder), "
                f"got {self.folds}"
            )

    def teacher(self, tags: TagSet) -> Teacher:
        """What the method must know of it."""
        renamed = tuple(sorted(self.renamed.items()))
        return Teacher(tags=tags, weight=self.weight, renamed=renamed, partial=self.partial)

    def named(self, tags: Sequence[str], are_spans: bool) -> tuple[str, ...]:
        """Tags that it has given to a sentence, by the student's names."""
        if not are_spans:
            return tuple(self.renamed.get(tag) or tag for tag in tags)
        found = []
        for letter, kind in map(split, tags):
            new = self.renamed.get(kind, kind) if kind else None
            found.append("O" if new is None else f"{letter}-{new}")
        return tuple(found)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TeacherRecipe:
    """How teachers are made that come from no folder. What is not said here is as for the student.

    Each has a seed of its own, from the run's and the teacher's name: two of one language differ.

    Attributes:
      total_steps: The length of a teacher's run.
      batch_size: Slots a step, as for the student.
      log_every: Steps between lines of metrics.
      checkpoint_every: Steps between checkpoints.
      eval_every: Steps between evaluations; 0 for one at the end.
      keep_best: Whether the state with the best score on dev is the teacher.
      train: Corpora of all languages; empty for those of the student's that have labels.
      tagger: What a teacher is made of.
      optimizer: How its parameters move.
    """

    total_steps: int = 10_000
    batch_size: int = 2_000
    log_every: int = 50
    checkpoint_every: int = 1_000
    eval_every: int = 0
    keep_best: bool = True
    train: Specs = dataclasses.field(default_factory=dict)
    tagger: TaggerSettings = TaggerSettings()
    optimizer: OptimizerSettings = TaggerRunSettings.optimizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class StructuredRunSettings(TaggerRunSettings):
    """A run of a student of several taggers.

    Attributes:
      objective: What it learns from them, as `StructuredSettings.objective`; nll for nothing.
      structured: How. Its objective is not used; 0 steps of annealing stand for the whole run.
      teachers: By name.
      recipe: How those are made that come from no folder, but for what each says itself.
      prepared: A folder of trained teachers and of what they say of the corpora
        (`python -m mmkd_jax.prepare`), by this config, but for the seed; empty for the workdir,
        where they are made.
      shards: Files of each teacher's outputs.
      compare: Other students, trained first, each by its name and by the
        fields in which it differs: ``{"baseline": {"objective": "nll"}}``. A sweep is many. Groups
        of fields are nested; what has names of its own, as teachers have, is given as a whole.
        They have the same teachers, unless what is said changes these or what they are asked: then
        there are others, in the folder of that student.
    """

    may_change: ClassVar[tuple[str, ...]] = (
        *TaggerRunSettings.may_change,
        *("compare", "prepared"),
    )
    method: str = "structured"
    objective: str = "posterior"
    structured: StructuredSettings = StructuredSettings()
    teachers: Mapping[str, TeacherSettings] = dataclasses.field(default_factory=dict)
    recipe: TeacherRecipe = TeacherRecipe()
    prepared: str = ""
    shards: int = 1
    compare: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        super().__post_init__()
        if self.structured.objective != "nll":
            raise ValueError(
                "structured.objective is not used: write "
                f"objective = {self.structured.objective!r}, a field of the config itself"
            )
        if self.shards < 1:
            raise ValueError(f"shards must be at least 1, got {self.shards}")
        if self.distillation.weights and not self.teachers:
            raise ValueError(f"objective {self.objective!r} needs teachers, and there are none")
        partial = any(teacher.partial for teacher in self.teachers.values())
        self.distillation.check_fits(self.tagger.kind, partial)
        if wrong := [name for name in (*self.teachers, *self.compare) if not _is_name(name)]:
            raise ValueError(f"names become those of folders, and must not be {wrong}")
        if "student" in self.compare or "teachers" in self.compare:
            raise ValueError("compare must not name a row student or teachers: these are there")
        for name, teacher in self.teachers.items():
            self._recipe_of(name, teacher)
        for name in self.compare:
            self.variant(name)

    @property
    def distillation(self) -> StructuredSettings:
        """All choices of the method."""
        annealing = self.structured.annealing
        if not annealing.steps:
            annealing = dataclasses.replace(annealing, steps=float(self.total_steps))
        return dataclasses.replace(self.structured, objective=self.objective, annealing=annealing)

    def variant(self, name: str) -> "StructuredRunSettings":
        """One of the students to compare with."""
        alone = dataclasses.replace(self, compare={}, seeds=1)
        return changed(alone, self.compare[name], f"compare.{name}")

    def of_teacher(
        self, name: str, teacher: TeacherSettings, tags: tuple[str, ...], fold: int | None = None
    ) -> TaggerRunSettings:
        """The run that trains a teacher, or one of its folds.

        Args:
          name: By which its seed differs from that of others.
          teacher: Which.
          tags: All that there are, as `TaggerRunSettings.tags`.
          fold: The number of the fold that it does not see.
        """
        recipe, corpora = self._recipe_of(name, teacher), self.corpora
        own = {field.name for field in dataclasses.fields(TeacherRecipe)} - {"train"}
        without = {} if fold is None else {"without_fold": (fold, teacher.folds)}
        train = recipe.train or {
            name: spec for name, spec in corpora.train.items() if not is_raw(spec)
        }
        parts: dict[str, Any] = {"zero_shot": {}}
        for part, specs in (("train", train), ("dev", corpora.dev), ("test", corpora.test)):
            parts[part] = {
                name: {**spec, **without} if part == "train" else spec
                for name, spec in specs.items()
                if not teacher.languages or spec.get("language") in teacher.languages
            }
        if not parts["train"]:
            raise ValueError(
                f"teacher {name!r} has no labelled corpus of {list(teacher.languages)} to learn "
                "from: name one in recipe.train, or the folder of a teacher"
            )
        return TaggerRunSettings(
            **{name: getattr(recipe, name) for name in own},
            seed=(self.seed + zlib.crc32(name.encode("utf-8", "surrogatepass"))) % 2**31,
            task=self.task,
            tags=tags,
            scheme=self.scheme,
            mesh=self.mesh,
            keep_checkpoints=self.keep_checkpoints,
            skipped_in_a_row=self.skipped_in_a_row,
            accumulation=self.accumulation,
            structured=StructuredSettings(per=self.structured.per),
            corpora=dataclasses.replace(corpora, **parts),
        )

    def _recipe_of(self, name: str, teacher: TeacherSettings) -> TeacherRecipe:
        return changed(self.recipe, teacher.recipe, f"teachers.{name}.recipe")


def changed(settings: Any, values: Mapping[str, Any], where: str) -> Any:
    """Settings with some fields changed, groups of fields by nested mappings."""
    from mmkd_jax import config  # it imports all runs, and so this file

    return config.build(type(settings), _merged(settings, values, config.to_dict), where)


def _merged(settings: Any, values: Mapping[str, Any], plain: Callable[[Any], dict]) -> dict:
    found = plain(settings)
    for name, value in values.items():
        before = getattr(settings, name, None)
        is_group = dataclasses.is_dataclass(before) and isinstance(value, Mapping)
        found[name] = _merged(before, value, plain) if is_group else value
    return found


def _is_name(name: str) -> bool:
    return name not in ("", ".", "..") and "/" not in name and "\\" not in name
