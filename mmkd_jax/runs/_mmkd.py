"""A run of MMKD: from its settings to state, step and batches."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from mmkd_jax import data, evaluation, inference, models, training
from mmkd_jax.methods import MMKD
from mmkd_jax.runs._counts import Counted, counted, write_counts
from mmkd_jax.runs._models import (
    Outline,
    expected_config,
    heads_of,
    load_model,
    load_outlines,
    load_tokenizer,
    save_outlines,
)
from mmkd_jax.runs._run import Run, abstract_of, learning_of
from mmkd_jax.runs._settings import MMKDRunSettings
from mmkd_jax.runs._similarity import save_similarity

Tree = Any
_TEACHER, _STUDENT, _HEADS = range(3)  # what random numbers are for
_NEXT = """
The report:          {report}
The student:         {student}, for transformers and sentence-transformers, or

    python -c 'from mmkd_jax import inference
    print(inference.load_encoder("{student}").encode(["Guten Morgen!", "Good morning!"]).shape)'

A language of yours: ./launch/local.sh --config=configs/own.py:is,corpus.en,corpus.is
The paper's run:     configs/mmkd.py, which says where its corpora are to be had
On a GPU:            the same commands; --config.student.dtype=bfloat16 makes use of it
"""


@dataclasses.dataclass(frozen=True)
class MMKDRun(Run):
    """A run of MMKD in a workdir.

    Attributes:
      settings: All of them.
      folder: The workdir.
    """

    settings: MMKDRunSettings
    folder: Path

    settings_type = MMKDRunSettings
    next_steps = _NEXT
    prepared_field = "pairs.folder"

    # --- From the settings alone ----------------------------------------------------------------

    @staticmethod
    def abstract(settings: MMKDRunSettings, mesh: Mesh) -> training.Abstract:
        """Step, state and batch as shapes: no weights, no data, no network."""
        heads = ("masked_lm",) if settings.mmkd.weights.token else ()
        teacher = Outline(expected_config(settings.teacher), ())
        student = Outline(expected_config(settings.student), heads)
        return _abstract(settings, mesh, teacher, student)

    # --- Making what is missing -----------------------------------------------------------------

    @classmethod
    def of_prepared(cls, settings: MMKDRunSettings, folder: Path) -> "MMKDRun":
        """The run that prepares into a folder, for others to read."""
        pairs = dataclasses.replace(settings.pairs, folder=str(folder))
        return cls(dataclasses.replace(settings, pairs=pairs), folder)

    @property
    def prepared(self) -> Path:
        """The folder of prepared pairs."""
        return Path(self.settings.pairs.folder or self.folder / "prepared")

    def prepare(self, part: int = 0, parts: int = 1, beam: Sequence[str] = ()) -> Path | str | None:
        """Tokenises the pairs, or one of several processes' part of them.

        Args:
          part: Which part.
          parts: Of how many.
          beam: Options of Apache Beam, to let it do the work.

        Returns:
          The manifest, or None as long as other parts are missing.
        """
        pairs = self.settings.pairs
        if parts > pairs.shards:
            raise ValueError(
                f"--shard={part}/{parts} needs as many files as there are parts: set "
                f"--config.pairs.shards={parts}, in all parts alike, got {pairs.shards}"
            )
        teacher, student = self._subwords("teacher"), self._subwords("student")
        made = (self._sources(), teacher, student, pairs.max_length, pairs.shards)
        if beam:
            return data.prepare_pairs_with_beam(self.prepared, *made, options=beam)
        manifest = None
        for shard in range(part, pairs.shards, parts):
            manifest = data.prepare_pairs(self.prepared, *made, shard=shard)
        return manifest

    def check(self) -> None:
        """Says what is missing, of held-out pairs too, before the others are prepared for hours."""

        def count() -> list[Counted]:
            if not self.settings.pairs.folder:
                self._sources()
            return counted({"held_out": self._held_out_sources()})

        write_counts(self.folder, "pair", training.all_or_none(count))

    def build(self, mesh: Mesh) -> training.Task:
        """Everything that training needs."""
        settings = self.settings
        source, parts = self._batches(mesh)
        key = jax.random.key(settings.seed)
        teacher_config, teacher = load_model(
            settings.teacher,
            self._tokenizer("teacher"),
            mesh,
            jax.random.fold_in(key, _TEACHER),
            (),
        )
        student_config, student = self._new_student(mesh)
        self._check_positions(teacher_config, student_config)
        outlines = {
            "teacher": Outline(teacher_config, ()),
            "student": Outline(student_config, heads_of(student)),
        }
        training.on_first(lambda: save_outlines(self.folder / "models.json", outlines))
        shapes = _abstract(settings, mesh, **outlines)
        method = MMKD(settings.mmkd, teacher_config, student_config)
        heads, stats, fixed = jax.jit(method.new_heads, out_shardings=training.replicated(mesh))(
            jax.random.fold_in(key, _HEADS)
        )
        frozen = {
            "teacher": {name: teacher[name] for name in ("embeddings", "layers")},
            "heads": fixed,
        }
        return training.Task(
            **learning_of(settings, shapes, {"encoder": student, "heads": heads}, stats),
            frozen=frozen,
            source=source,
            parts=parts,
            mesh=mesh,
            ahead=settings.pairs.pipeline,
            dtype=settings.student.dtype,
            evaluate=self._evaluate(student_config) if settings.pairs.held_out else None,
            best="retrieval/mean" if settings.pairs.held_out else None,
        )

    # --- What came of it ------------------------------------------------------------------------

    def trained_state(self, mesh: Mesh) -> training.TrainState:
        """The shapes of this run's checkpoints. The run must have begun."""
        outlines = load_outlines(self.folder / "models.json")
        return _abstract(self.settings, mesh, **outlines).state

    def export(self, state: training.TrainState, out: Path, dtype: str = "float32") -> None:
        """Writes the student as transformers and sentence-transformers read it.

        All processes of a run call this; the first one writes.
        """
        params, stats = training.local_copy((state.best_params, state.stats))
        tokenizer = self._tokenizer("student")
        training.on_first(lambda: self._write_student(params, stats, tokenizer, out, dtype))

    def _write_student(
        self, params: Tree, stats: Tree, tokenizer: Any, out: Path, dtype: str
    ) -> None:
        config = load_outlines(self.folder / "models.json")["student"].config
        models.save_pretrained(out, config, params["encoder"], tokenizer, dtype=dtype)
        mmkd = self.settings.mmkd
        for level in sorted(set(params["heads"]) & set(stats)):
            settings = {"hidden_width": mmkd.projection_hidden, "width": mmkd.projection_width}
            variables = {
                "params": params["heads"][level]["projector"],
                "batch_stats": stats[level]["projector"],
            }
            models.save_head(out, f"{level}_projector", settings, variables)
        models.save_sentence_layout(out, mmkd.sentence_vector, self.settings.pairs.max_length)

    def conclude(
        self, task: training.Task, outcome: training.Outcome, student: Path
    ) -> dict[str, Any]:
        """Writes what a finished run leaves; returns its results.json, in percent.

        All processes of a run call this; the first one writes.
        """
        self.export(outcome.state, student)
        self._save_details(task, outcome.state)
        return _results(outcome.before, outcome.scores)

    def _save_details(self, task: training.Task, state: training.TrainState) -> None:
        """What the report shows of held-out sentences, beyond their scores."""
        if not self.settings.pairs.held_out:
            return
        configs = task.method.teacher, task.method.student
        _, new = self._new_student(task.mesh)  # the loop has given the first state's memory away
        teacher = self._encoder("teacher", configs[0], task.frozen["teacher"])
        before = self._encoder("student", configs[1], new)
        after = self._encoder("student", configs[1], state.best_params["encoder"])

        def save() -> None:
            pairs = self._held_out()
            save_similarity(self.folder / "similarity.npz", teacher.encode, after.encode, pairs)
            evaluation.write_retrieval_details(self.folder, before.encode, after.encode, pairs)

        training.on_first(save)

    # --- Parts ----------------------------------------------------------------------------------

    def _sources(self) -> list[data.Source]:
        return data.open_sources(self.settings.pairs.sources, self.settings.pairs.root or ".")

    def _held_out_sources(self) -> list[data.Source]:
        return data.open_sources(self.settings.pairs.held_out, self.settings.pairs.root or ".")

    def _tokenizer(self, name: str) -> Any:
        def texts() -> Iterator[str]:
            for source in self._sources():
                for english, translation, *_ in _pairs_of(source):
                    yield english
                    if name == "student":
                        yield translation

        model = getattr(self.settings, name)
        # A vocabulary that was trained belongs to the pairs that were prepared with it. A ready one
        # belongs to the config, so that pairs that were prepared with another one are noticed.
        place = self.prepared if model.vocabulary_size else self.folder
        return load_tokenizer(model, place / "tokenizers" / name, texts)

    def _new_student(self, mesh: Mesh) -> tuple[models.EncoderConfig, Tree]:
        """The student before its first step."""
        settings = self.settings
        key = jax.random.fold_in(jax.random.key(settings.seed), _STUDENT)
        wanted = ("masked_lm",) if settings.mmkd.weights.token else ()
        return load_model(settings.student, self._tokenizer("student"), mesh, key, wanted)

    def _subwords(self, name: str) -> data.SubwordTokenizer:
        return data.SubwordTokenizer(self._tokenizer(name))

    def _batches(self, mesh: Mesh) -> tuple[data.PairBatches, int]:
        settings, pairs = self.settings, self.settings.pairs
        teacher, student = self._subwords("teacher"), self._subwords("student")
        if not pairs.folder:
            # Processes beyond the last shard have none to write.
            mine = jax.process_index(), min(jax.process_count(), pairs.shards)
            training.all_or_none(lambda: self.prepare(*mine))
        prepared = data.load_pairs(self.prepared, teacher, student)
        sampling = data.Sampling(
            prepared.languages,
            how=pairs.sampling,
            temperature=pairs.temperature,
            english_fraction=pairs.english_fraction,
            size=pairs.epoch_size or None,
            seed=settings.seed,
        )
        plan = data.plan_pairs(
            prepared.lengths[:, :3],
            sampling,
            settings.batch_size,
            pairs.max_length,
            student.specials.separators,
            pairs.shapes,
            seed=settings.seed,
        )
        part, parts = training.rows_of_process(mesh, settings.batch_size)
        source = data.PairBatches(
            prepared, plan, teacher, student, pairs.max_length, settings.seed, part, parts
        )
        return source, parts

    def _check_positions(self, *configs: models.EncoderConfig) -> None:
        longest = min(config.longest for config in configs)
        if self.settings.pairs.max_length > longest:
            raise ValueError(
                f"pairs.max_length must be at most {longest}, the positions that the models have, "
                f"got {self.settings.pairs.max_length}"
            )

    def _held_out(self) -> dict[str, list[tuple[str, str]]]:
        """Pairs to judge by: by language, or by source where a language has several."""
        sources = self._held_out_sources()
        several = len({source.language for source in sources}) < len(sources)
        return {
            source.name if several else source.language: [row[:2] for row in _pairs_of(source)]
            for source in sources
        }

    def _encoder(
        self, name: str, config: models.EncoderConfig, params: Tree = None
    ) -> inference.SentenceEncoder:
        """Encodes sentences as the teacher or the student does."""
        return inference.SentenceEncoder(
            config,
            None if params is None else training.local_copy(params),
            self._tokenizer(name),
            vectors=self.settings.mmkd.sentence_vector,
            max_length=self.settings.pairs.max_length,
        )

    def _evaluate(self, config: models.EncoderConfig) -> Any:
        held_out, encoder = self._held_out(), self._encoder("student", config)

        def evaluate(state: training.TrainState) -> dict[str, float]:
            encoder.params = training.local_copy(state.best_params["encoder"])
            found = evaluation.retrieval_by_language(encoder.encode, held_out)
            encoder.params = {}  # the memory is wanted for training
            to_english = found["to_english"].items()
            return {f"retrieval/{name}": 100 * score for name, score in to_english}

        return evaluate


def _results(before: dict[str, float], after: dict[str, float]) -> dict[str, Any]:
    if not after:
        return {}
    one, other = (
        {name.removeprefix("retrieval/"): value for name, value in scores.items()}
        for scores in (before, after)
    )
    return {
        "retrieval": {
            "before": one.pop("mean"),
            "after": other.pop("mean"),
            "languages_before": one,
            "languages": other,
        }
    }


def _pairs_of(source: data.Source) -> Iterable[tuple]:
    return source.pairs() if callable(source.pairs) else source.pairs


def _abstract(
    settings: MMKDRunSettings, mesh: Mesh, teacher: Outline, student: Outline
) -> training.Abstract:
    """The step and its shapes, once it is known what the models are."""
    method = MMKD(settings.mmkd, teacher.config, student.config)
    heads, stats, fixed = jax.eval_shape(method.new_heads, jax.random.key(0))
    known = student.shardings(mesh, "encoder")
    params = {"encoder": student.shapes, "heads": heads}
    frozen = {"teacher": teacher.shapes, "heads": fixed}
    places = training.shardings_of(frozen, teacher.shardings(mesh, "teacher"), mesh)
    frozen = training.with_shardings(frozen, places)
    batch = _batch_shapes(settings, student.config, mesh)
    return abstract_of(settings, mesh, method, params, batch, known, stats, frozen)


def _batch_shapes(
    settings: MMKDRunSettings, student: models.EncoderConfig, mesh: Mesh
) -> data.PairBatch:
    """A batch of the longest rows there may be."""
    length = settings.pairs.max_length
    separators = 2 if student.position_offset else 1
    shapes = data.pair_batch_shapes(
        settings.batch_size, data.PairShape(length, length, length), separators
    )
    where = training.batch_sharding(mesh)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=where),
        shapes,
        is_leaf=lambda leaf: isinstance(leaf, (np.ndarray, jax.ShapeDtypeStruct)),
    )
