"""A run of structured distillation: teachers, what they say, and the student."""

import dataclasses
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mmkd_jax import data, evaluation, inference, training
from mmkd_jax.methods import Scores, Structured, Teacher
from mmkd_jax.models import TaggerConfig
from mmkd_jax.runs._settings import RunSettings
from mmkd_jax.runs._structured_settings import StructuredRunSettings
from mmkd_jax.runs._tagger import (
    Lesson,
    Sentences,
    TaggerRun,
    Tags,
    abstract,
    tag_set,
    tagger_config,
)
from mmkd_jax.runs._tagger_settings import TaggerRunSettings
from mmkd_jax.runs._teachers import (
    Model,
    ask,
    asked,
    check_tagger,
    models_of,
    outputs_of,
    tags_of,
)
from mmkd_jax.tags import TagSet

_LOG = logging.getLogger("mmkd_jax.train")


@dataclasses.dataclass(frozen=True)
class StructuredRun(TaggerRun):
    """A run of a student of several taggers, in a workdir.

    Beside what every run has there: ``teachers/NAME``, a workdir of each teacher that is trained
    here; ``outputs/NAME``, what each says of the corpora; ``compare/NAME``, a workdir of each
    student to compare with.

    Attributes:
      settings: All of them.
      folder: The workdir.
    """

    settings: StructuredRunSettings
    folder: Path

    settings_type = StructuredRunSettings
    prepared_field = "prepared"

    @staticmethod
    def abstract(settings: StructuredRunSettings, mesh: Mesh) -> training.Abstract:
        """Step, state and batch as shapes: no weights, no data, no network.

        Teachers are taken to have the student's tags.
        """
        if not settings.tags:
            raise ValueError("tags must name the tags: without the corpora they are not known")
        config = tagger_config(settings, tag_set(settings, ()), None)
        distillation, found = settings.distillation, models_of(settings, Path())
        if not distillation.weights:
            return abstract(settings, mesh, Structured(distillation, config))
        one = Teacher(tags=config.tags)
        method = Structured(distillation, config, (one,) * len(found))
        shapes = abstract(settings, mesh, method)
        count, slots = len(config.tags), _most(settings)
        scores = Scores(np.zeros((count, count)), np.zeros(count), np.zeros(count))
        table = method.teacher_table([scores] * len(found))
        where = shapes.batch.tags.sharding
        rows, words = shapes.batch.tags.shape
        more = {
            "teachers": jax.ShapeDtypeStruct((rows, slots), np.int32, sharding=where),
            "teacher_emissions": jax.ShapeDtypeStruct(
                (rows, slots, words, count), np.float32, sharding=where
            ),
        }
        frozen = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=training.replicated(mesh)),
            {"teachers": table},
        )
        return shapes._replace(frozen=frozen, batch=shapes.batch._replace(**more))

    # --- Making what is missing -----------------------------------------------------------------

    @classmethod
    def of_prepared(cls, settings: StructuredRunSettings, folder: Path) -> "StructuredRun":
        """The run that prepares into a folder, for others to read."""
        if not settings.distillation.weights:
            raise ValueError(
                f"objective {settings.objective!r} has no teachers, so that there is nothing to "
                "prepare: name an objective that has, such as kl"
            )
        return cls(dataclasses.replace(settings, prepared="", compare={}, seeds=1), folder)

    @property
    def prepared(self) -> Path:
        """The folder of teachers and outputs."""
        return Path(self.settings.prepared or self.folder)

    def first(self) -> dict[str, RunSettings]:
        """Teachers, then students to compare with. Checks those that are there already."""
        settings, found = self.settings, {}
        self._check_folders()
        teachers = self._trained_here()
        if settings.prepared:
            for name, one in teachers.items():
                _check_prepared(self.prepared / "teachers" / name, one)
        else:
            found |= {f"teachers/{name}": one for name, one in teachers.items()}
        ours = _needed(settings)
        for name in settings.compare:
            variant = settings.variant(name)
            if variant.prepared == settings.prepared:
                same = all(ours.get(key) == value for key, value in _needed(variant).items())
                variant = dataclasses.replace(variant, prepared=str(self.prepared) if same else "")
            found[f"compare/{name}"] = variant
        return found

    def prepare(self, part: int = 0, parts: int = 1, beam: Any = ()) -> Path | None:
        """Has each teacher read its corpora, or one of several processes' part of them.

        Returns:
          The folder, or None as long as other parts are missing.
        """
        if beam:
            raise ValueError("--beam is for pairs: teachers run where there is an accelerator")
        if parts > self.settings.shards:
            raise ValueError(
                f"--shard={part}/{parts} needs as many files as there are parts: set "
                f"--config.shards={parts}, here and where it is trained, got {self.settings.shards}"
            )
        sentences = _rows(self._sentences(self.settings.corpora.train))
        finished = [
            ask(model, asked(model, sentences, self.prepared, self.settings.shards), part, parts)
            for model in self._models()
        ]
        return self.prepared if all(finished) else None

    # --- What came of it ------------------------------------------------------------------------

    def conclude(
        self, task: training.Task, outcome: training.Outcome, student: Path
    ) -> dict[str, Any]:
        """Writes what a finished run leaves; returns its results.json, in percent."""
        results = super().conclude(task, outcome, student)["tagging"]
        students = {"student": results}
        for name in self.settings.compare:
            students[name] = _results_of(self.folder / "compare" / name)
        rows = {name: _languages(each) for name, each in students.items()}
        if teachers := self._teachers_scores():
            rows["teachers"] = teachers
        found = results | evaluation.compared([rows])
        if "zero_shot" in results:
            foreign = {
                name: each["zero_shot"]["languages"]
                for name, each in students.items()
                if "zero_shot" in each
            }
            found["zero_shot_compared"] = evaluation.compared([foreign])
        return {"tagging": found}

    # --- Parts ----------------------------------------------------------------------------------

    def _models(self) -> list[Model]:
        if not self.settings.distillation.weights and not self.settings.compare:
            return []
        return models_of(self.settings, self.prepared)

    def _check_folders(self) -> None:
        """Says which folder holds no teacher, or one whose tags are none of the student's."""
        found = [model for model in self._models() if model.settings.folder]
        for model in found:
            check_tagger(model)
        student = self._student_tags() if found else None
        for model in found:
            try:
                model.settings.teacher(tags_of(model)).check_fits(student)
            except ValueError as error:
                raise ValueError(f"teacher {model.name!r}: {error}") from None

    def _trained_here(self) -> dict[str, TaggerRunSettings]:
        """The runs of the teachers that come from no folder, by the teachers' names."""
        models = [model for model in self._models() if not model.settings.folder]
        tags = self._tag_names() if models else ()
        return {
            model.name: self.settings.of_teacher(model.name, model.settings, tags, model.fold)
            for model in models
        }

    def _train(self) -> Sentences:
        """What is learned from: if there are teachers, raw text too that is of their languages."""
        if not self.settings.distillation.weights:
            return super()._train()
        teachers, found = self.settings.teachers.values(), {}
        everyone = any(not teacher.languages for teacher in teachers)
        taught = {language for teacher in teachers for language in teacher.languages}
        for language, rows in self._sentences(self.settings.corpora.train).items():
            kept = [row for row in rows if row.tags or everyone or language in taught]
            if left_out := len(rows) - len(kept):
                _LOG.warning(
                    "%s: %d sentences have neither labels nor a teacher, and are left out",
                    language,
                    left_out,
                )
            if kept:
                found[language] = kept
        if not found:
            raise ValueError(
                "corpora.train must have sentences with labels, or of teachers' languages"
            )
        return found

    def _tag_names(self) -> tuple[str, ...]:
        """As `TaggerRunSettings.tags`."""
        if self.settings.tags:
            return self.settings.tags
        found = self._student_tags()
        return found.names if found.scheme is None else found.types

    def _student_tags(self) -> TagSet:
        some = () if self.settings.tags else self._sentences(self.settings.corpora.train).values()
        return tag_set(self.settings, some)

    def _lesson(
        self,
        train: Sentences,
        config: TaggerConfig,
        batches: data.TaggedBatches,
        mesh: Mesh,
    ) -> Lesson:
        settings = self.settings.distillation
        if not settings.weights:
            return Lesson(Structured(settings, config), {}, batches)
        sentences, found = _rows(train), self._models()
        questions = [
            asked(model, sentences, self.prepared, self.settings.shards) for model in found
        ]
        outputs = [
            outputs_of(model, question) for model, question in zip(found, questions, strict=True)
        ]
        teachers = [
            model.settings.teacher(each.tags) for model, each in zip(found, outputs, strict=True)
        ]
        method = Structured(settings, config, tuple(teachers))
        table = method.teacher_table([Scores(**each.scores) for each in outputs])
        records = np.full((len(sentences), len(found)), -1)
        for number, question in enumerate(questions):
            records[question.sentences, number] = np.arange(len(question.sentences))
        columns = tuple(view.columns for view in method.teacher_views)
        source = data.TaughtBatches(batches, tuple(outputs), columns, records)
        frozen = jax.device_put({"teachers": table}, training.replicated(mesh))
        return Lesson(method, frozen, source)

    def _teachers_scores(self) -> dict[str, float]:
        """Of each language, the mean score of its teachers on test; on dev, without a test."""
        corpora = self.settings.corpora
        sentences = self._sentences(corpora.test or corpora.dev)
        found: dict[str, list[float]] = {}
        for model in self._models():
            languages = model.settings.languages or sentences
            judged = {code: rows for code, rows in sentences.items() if code in languages}
            for language, score in self._teacher_scores(model, judged).items():
                found.setdefault(language, []).append(score)
        return {language: float(np.mean(some)) for language, some in sorted(found.items())}

    def _teacher_scores(self, model: Model, judged: Sentences) -> dict[str, float]:
        if not judged:
            return {}
        if not model.settings.folder:  # it was measured on these when it was trained
            return _languages(_results_of(model.folder.parent))
        tagger = inference.load_tagger(model.folder)
        are_spans = tagger.config.tags.scheme is not None

        def tag(sentences: list[Sequence[str]]) -> list[Tags]:
            return [model.settings.named(tags, are_spans) for tags in tagger.tag(sentences)]

        scores = self._score(tag, judged)
        return {language: scores[language] for language in judged}


def _check_prepared(folder: Path, teacher: TaggerRunSettings) -> None:
    """Whether a teacher is what it would be if it were trained now."""
    from mmkd_jax import config  # it imports all runs, and so this file

    if not (folder / "config.json").exists():
        raise FileNotFoundError(
            f"{folder} holds no run of a teacher: prepare it (python -m mmkd_jax.prepare), or "
            "leave prepared empty, and teachers are trained in the workdir"
        )
    # Students of many seeds may have the same teachers, and corpora may lie elsewhere by now.
    may_change = (*teacher.may_change, "seed", "corpora.root")
    training.compare_config(folder, config.to_dict(teacher), may_change)


def _needed(settings: StructuredRunSettings) -> dict[str, tuple]:
    """Of each model that a run learns from, what it and what it says depend on."""
    if not settings.distillation.weights:
        return {}
    found, corpora = {}, settings.corpora
    for model in models_of(settings, Path()):
        teacher, trained = model.settings, None
        if not teacher.folder:
            trained = settings.of_teacher(model.name, teacher, settings.tags, model.fold)
        asks = (teacher.folder, teacher.languages, teacher.folds)
        found[model.name] = (*asks, settings.shards, corpora.root, corpora.train, trained)
    return found


def _most(settings: StructuredRunSettings) -> int:
    """The teachers of a sentence at most."""
    teachers = settings.teachers.values()
    of_all = sum(not teacher.languages for teacher in teachers)
    named = [language for teacher in teachers for language in teacher.languages]
    return of_all + max((named.count(language) for language in named), default=0)


def _rows(sentences: Sentences) -> list[data.TaggedSentence]:
    """All sentences, as `data.tokenize_tagged` numbers them."""
    return [row for rows in sentences.values() for row in rows]


def _results_of(workdir: Path) -> dict[str, Any]:
    return json.loads((workdir / "results.json").read_text(encoding="utf-8"))["tagging"]


def _languages(results: dict[str, Any]) -> dict[str, float]:
    """Scores on test by language; on dev, where there is no test."""
    return results.get("test", results.get("dev", {})).get("languages", {})
