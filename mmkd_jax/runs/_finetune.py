"""A run of fine-tuning: from its settings to state, step and batches, and to scores by language."""

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mmkd_jax import data, evaluation, inference, models, training
from mmkd_jax.methods import FineTune, FineTuneSettings
from mmkd_jax.runs._counts import Counted, write_counts
from mmkd_jax.runs._finetune_settings import FineTuneRunSettings
from mmkd_jax.runs._models import (
    Outline,
    expected_config,
    load_model,
    load_outlines,
    load_tokenizer,
    save_outlines,
)
from mmkd_jax.runs._run import Run, abstract_of, learning_of

_LOG = logging.getLogger("mmkd_jax.train")
_ENCODER, _HEADS = range(2)  # what random numbers are for
_PARTS = ("train", "dev", "test")
_NEXT = """
The report:  {report}
The model:   {student}
Other texts: python -m mmkd_jax.evaluate --task={task} --model={student} --corpora=FILE
"""
Tree = Any
Records = dict[str, list[Any]]  # by language
Read = list[tuple[data.TextSource, list[Any]]]


@dataclasses.dataclass(frozen=True)
class FineTuneRun(Run):
    """A run of fine-tuning in a workdir.

    Attributes:
      settings: All of them.
      folder: The workdir.
    """

    settings: FineTuneRunSettings
    folder: Path

    settings_type = FineTuneRunSettings

    # --- From the settings alone ----------------------------------------------------------------

    @staticmethod
    def abstract(settings: FineTuneRunSettings, mesh: Mesh) -> training.Abstract:
        """Step, state and batch as shapes: no weights, no data, no network."""
        return _abstract(settings, mesh, expected_config(settings.model_settings))

    # --- Making what is missing -----------------------------------------------------------------

    def build(self, mesh: Mesh) -> training.Task:
        """Everything that training needs."""
        # What is missing is said before anything else is done; of the tests too.
        sources = {part: self._open(part) for part in _PARTS}
        read = {part: [(source, source.read()) for source in of] for part, of in sources.items()}
        self._write_counts(read)
        train, dev = _merged(read["train"]), _merged(read["dev"])
        tokenizer = self._tokenizer()
        subwords = data.SubwordTokenizer(tokenizer)
        key = jax.random.key(self.settings.seed)
        config, loaded = load_model(
            self.settings.model_settings, tokenizer, mesh, jax.random.fold_in(key, _ENCODER), ()
        )
        method = _method(self.settings, config)
        model = self._model(method, subwords)
        source, parts = self._batches(mesh, train, subwords)
        settings = self._with_steps(source.plan)
        training.on_first(
            lambda: save_outlines(self.folder / "models.json", {"encoder": Outline(config, ())})
        )
        shapes = _abstract(settings, mesh, config)
        heads = jax.jit(method.new_heads, out_shardings=training.replicated(mesh))(
            jax.random.fold_in(key, _HEADS), loaded.get("pooler")
        )
        encoder = {name: loaded[name] for name in ("embeddings", "layers")}
        return training.Task(
            **learning_of(settings, shapes, {"encoder": encoder, "heads": heads}, {}),
            frozen={},
            source=source,
            parts=parts,
            mesh=mesh,
            ahead=settings.texts.pipeline,
            dtype=settings.encoder.dtype,
            evaluate=self._evaluate(model, dev) if dev else None,
            best="dev/mean" if dev else None,
            ends_with_best=bool(dev) and settings.keep_best,
            total_steps=settings.total_steps,
        )

    # --- What came of it ------------------------------------------------------------------------

    def trained_state(self, mesh: Mesh) -> training.TrainState:
        """The shapes of this run's checkpoints. The run must have begun."""
        return _abstract(self.settings, mesh, self._outline().config).state

    def export(self, state: training.TrainState, out: Path, dtype: str = "float32") -> None:
        """Writes the model as `inference.load_text_model` reads it, and transformers its encoder.

        All processes of a run call this; the first one writes.
        """
        tokenizer = self._tokenizer()
        method = _method(self.settings, self._outline().config)
        model = self._model(method, data.SubwordTokenizer(tokenizer))
        model.params = training.local_copy(state.best_params)
        training.on_first(lambda: inference.save_text_model(out, model, tokenizer, dtype))

    def conclude(self, task: training.Task, outcome: training.Outcome, out: Path) -> dict[str, Any]:
        """Exports the model and judges it by the test texts; returns what is to be in results.json.

        All processes of a run call this; the first one writes.
        """
        self.export(outcome.state, out)
        test = _merged((source, source.read()) for source in self._open("test"))
        model = self._model(task.method, data.SubwordTokenizer(self._tokenizer()))
        model.params = outcome.state.best_params
        found = {}
        if test:
            written = self.folder / "predictions" if jax.process_index() == 0 else None
            count = self.settings.texts.answers
            scores = evaluation.score_texts(self._task, model, test, written, count, _LOG.info)
            found[self._task.name] = evaluation.text_results(self._task, scores)
        if outcome.scores:
            scores = _by_language(outcome.scores)
            found[f"{self._task.name}_dev"] = evaluation.text_results(self._task, scores)
        return found

    @property
    def next_steps(self) -> str:
        """What to do with what came of the run."""
        return _NEXT.replace("{task}", self.settings.task)

    # --- Parts ----------------------------------------------------------------------------------

    @property
    def _task(self) -> evaluation.TextTask:
        return evaluation.TEXT_TASKS[self.settings.task]

    def _open(self, part: str) -> list[data.TextSource]:
        texts = self.settings.texts
        return data.open_texts(getattr(texts, part), self._task.records, texts.root or ".")

    def _write_counts(self, read: Mapping[str, Read]) -> None:
        for part, of in read.items():
            counts = ", ".join(f"{code} {len(rows):,}" for code, rows in _merged(of).items())
            _LOG.info("%s: %s", part, counts or "none")
        unit = "question" if self._task.kind == "spans" else "pair"
        rows = [
            Counted(part, source.name, source.language, len(rows))
            for part, of in read.items()
            for source, rows in of
        ]
        write_counts(self.folder, unit, rows)

    def _outline(self) -> Outline:
        return load_outlines(self.folder / "models.json")["encoder"]

    def _tokenizer(self) -> Any:
        place = self.folder / "tokenizers" / "encoder"
        return load_tokenizer(self.settings.model_settings, place, lambda: ())

    def _model(self, method: FineTune, subwords: data.SubwordTokenizer) -> inference.TextModel:
        texts = self.settings.texts
        names = ("max_length", "stride", "max_question", "longest_answer")
        reading = inference.TextReading(**{name: getattr(texts, name) for name in names})
        return inference.TextModel(
            method, None, subwords, reading, self._task.name, self._task.labels
        )

    def _rows(self, records: Records, subwords: data.SubwordTokenizer) -> data.TextData:
        texts = self.settings.texts
        rows = [row for of in records.values() for row in of]
        languages = np.repeat(np.arange(len(records)), [len(of) for of in records.values()])
        if self._task.kind == "spans":
            asked = data.tokenize_questions(
                rows, languages, subwords, texts.max_length, texts.stride, texts.max_question
            )
            return asked.rows
        first, second, labels = evaluation.texts_and_labels(self._task, rows)
        return data.tokenize_texts(first, second, labels, languages, subwords, texts.max_length)

    def _batches(
        self, mesh: Mesh, records: Records, subwords: data.SubwordTokenizer
    ) -> tuple[data.TextBatches, int]:
        settings, texts = self.settings, self.settings.texts
        rows = self._rows(records, subwords)
        if rows.cut:
            _LOG.info("%s of %s rows are too long and lose some of their text", rows.cut, len(rows))
        sampling = data.Sampling(
            rows.languages, how=texts.sampling, temperature=texts.temperature, seed=settings.seed
        )
        plan = data.plan_texts(
            rows.lengths, sampling, settings.batch_size, texts.shapes, seed=settings.seed
        )
        part, parts = training.rows_of_process(mesh, settings.batch_size)
        return data.TextBatches(rows, plan, subwords, part, parts), parts

    def _with_steps(self, plan: data.Plan) -> FineTuneRunSettings:
        """The settings, with the length of the run."""
        if not self.settings.epochs:
            return self.settings
        steps = max(1, round(self.settings.epochs * plan.steps(0)))
        return dataclasses.replace(self.settings, total_steps=steps)

    def _evaluate(
        self, model: inference.TextModel, dev: Records
    ) -> Callable[[training.TrainState], dict[str, float]]:
        def evaluate(state: training.TrainState) -> dict[str, float]:
            model.params = state.best_params
            scores = evaluation.score_texts(self._task, model, dev)
            model.params = None  # the memory is wanted for training
            found = {
                f"dev/{language}/{metric}": value
                for language, row in scores.items()
                for metric, value in row.items()
            }
            mean = float(np.mean([row[self._task.metric] for row in scores.values()]))
            return found | {"dev/mean": mean}

        return evaluate


def _merged(read: Iterable[tuple[data.TextSource, list[Any]]]) -> Records:
    """The records by language, whatever source they are from."""
    found: Records = {}
    for source, rows in read:
        found.setdefault(source.language, []).extend(rows)
    return found


def _by_language(scores: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """By language, by metric."""
    found: dict[str, dict[str, float]] = {}
    for name, value in scores.items():
        if name.count("/") == 2:
            _, language, metric = name.split("/")
            found.setdefault(language, {})[metric] = value
    return found


def _method(settings: FineTuneRunSettings, config: models.EncoderConfig) -> FineTune:
    task = evaluation.TEXT_TASKS[settings.task]
    learned = FineTuneSettings(
        kind=task.kind, classes=len(task.labels), dropout=settings.encoder.dropout
    )
    return FineTune(learned, config)


def _abstract(
    settings: FineTuneRunSettings, mesh: Mesh, config: models.EncoderConfig
) -> training.Abstract:
    """The step and its shapes, once it is known what the encoder is."""
    method, outline = _method(settings, config), Outline(config, ())
    params = {
        "encoder": outline.shapes,
        "heads": jax.eval_shape(method.new_heads, jax.random.key(0)),
    }
    known = outline.shardings(mesh, "encoder")
    targets = 2 if method.settings.kind == "spans" else 1
    shapes = data.text_batch_shapes(settings.batch_size, settings.texts.max_length, targets)
    where = training.batch_sharding(mesh)
    batch = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where), shapes
    )
    return abstract_of(settings, mesh, method, params, batch, known, {}, {})
