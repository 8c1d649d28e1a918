"""A run of a tagger: from its settings to state, step and batches."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from jax import Array
from jax.sharding import Mesh

from mmkd_jax import data, evaluation, inference, models, training
from mmkd_jax._json import described_by, read_json
from mmkd_jax.methods import Structured
from mmkd_jax.runs._counts import Counted, counted, write_counts
from mmkd_jax.runs._models import load_model, load_tokenizer, write_json
from mmkd_jax.runs._run import Run, learning_of
from mmkd_jax.runs._tagger_details import save_tagging_details
from mmkd_jax.runs._tagger_settings import Specs, TaggerRunSettings
from mmkd_jax.runs._tagger_shapes import (
    abstract,
    drawn,
    rows_multiple,
    tag_set,
    tagger_config,
)
from mmkd_jax.tags import TagSet, convert

_LOG = logging.getLogger("mmkd_jax.train")
Tree = Any
Sentences = dict[str, list[data.TaggedSentence]]
Tags = tuple[str, ...]
_PARTS = ("train", "dev", "test", "zero_shot")
_ENCODER, _REST = range(2)  # what random numbers are for
_NEXT = """
The report:          {report}
The tagger:          {student}, for

    python -m mmkd_jax.predict --model={student} < text.txt
    python -m mmkd_jax.evaluate --model={student} --task=tagging --config=CONFIG

    python -c 'from mmkd_jax import inference
    print(inference.load_tagger("{student}")(["Marie Curie was born in Warsaw."]))'
"""


class Lesson(NamedTuple):
    """What a tagger learns from.

    Attributes:
      method: The loss.
      frozen: What it needs and does not change.
      source: The batches.
    """

    method: Structured
    frozen: Tree
    source: data.BatchSource


@dataclasses.dataclass(frozen=True)
class TaggerRun(Run):
    """A run of a tagger in a workdir.

    Attributes:
      settings: All of them.
      folder: The workdir.
    """

    settings: TaggerRunSettings
    folder: Path

    settings_type = TaggerRunSettings
    next_steps = _NEXT

    # --- From the settings alone ----------------------------------------------------------------

    @staticmethod
    def abstract(settings: TaggerRunSettings, mesh: Mesh) -> training.Abstract:
        """Step, state and batch as shapes: no weights, no data, no network.

        Tables of words and characters are as large as they may become.
        """
        if not settings.tags:
            raise ValueError("tags must name the tags: without the corpora they are not known")
        config = tagger_config(settings, tag_set(settings, ()), None)
        return abstract(settings, mesh, Structured(settings.structured, config))

    # --- Making what is missing -----------------------------------------------------------------

    def check(self) -> None:
        """Says what is missing or cannot be read, of the tests too, before anything is trained."""
        corpora = self.settings.corpora

        def count() -> list[Counted]:
            root = corpora.root or "."
            return counted({n: data.open_tagged(getattr(corpora, n), root) for n in _PARTS})

        write_counts(self.folder, "sentence", training.all_or_none(count))

    def build(self, mesh: Mesh) -> training.Task:
        """Everything that training needs."""
        settings = self.settings
        train = self._train()
        tags = tag_set(settings, train.values())
        vocabulary, tokenizer = self._vocabulary(train), self._tokenizer()
        key = jax.random.key(settings.seed)
        config, params = self._model(tags, vocabulary, tokenizer, mesh, key)
        training.on_first(lambda: self._write_outline(config, vocabulary, tuple(train)))
        batches, parts = self._batches(train, config, vocabulary, tokenizer, mesh)
        method, frozen, source = self._lesson(train, config, batches, mesh)
        shapes = abstract(settings, mesh, method)
        corpora = settings.corpora
        return training.Task(
            **learning_of(settings, shapes, params, {}),
            frozen=frozen,
            source=source,
            parts=parts,
            mesh=mesh,
            ahead=corpora.pipeline,
            dtype="float32" if config.encoder is None else config.encoder.dtype,
            evaluate=self._evaluate() if corpora.dev else None,
            best="dev/macro" if corpora.dev else None,
            ends_with_best=bool(corpora.dev) and settings.keep_best,
            plateau=settings.optimizer.plateau,
        )

    # --- What came of it ------------------------------------------------------------------------

    def trained_state(self, mesh: Mesh) -> training.TrainState:
        """The shapes of this run's checkpoints. The run must have begun."""
        method = Structured(self.settings.structured, self._outline()[0])
        return abstract(self.settings, mesh, method).state

    def export(self, state: training.TrainState, out: Path, dtype: str = "float32") -> None:
        """Writes the tagger, as `inference.load_tagger` reads it.

        All processes of a run call this; the first one writes.
        """
        tagger = self._tagger()
        tagger.params = training.local_copy(state.best_params)
        training.on_first(lambda: inference.save_tagger(out, tagger, dtype))

    def conclude(
        self, task: training.Task, outcome: training.Outcome, student: Path
    ) -> dict[str, Any]:
        """Writes what a finished run leaves; returns its results.json, in percent.

        All processes of a run call this; the first one writes.
        """
        del task
        self.export(outcome.state, student)
        tagger = self._tagger()
        tagger.params = training.local_copy(outcome.state.best_params)
        corpora, found = self.settings.corpora, {}
        if outcome.scores:
            dev = {name.removeprefix("dev/"): score for name, score in outcome.scores.items()}
            found["dev"] = _by_language(dev)
        judged: Sentences = {}
        for name in ("test", "zero_shot"):
            if specs := getattr(corpora, name):
                sentences = self._sentences(specs)
                found[name] = _by_language(self._score(tagger.tag, sentences))
                judged |= sentences
        judged = judged or self._sentences(corpora.dev)
        training.on_first(lambda: save_tagging_details(self.folder, tagger, judged))
        main = found.get("test", found.get("dev", {}))
        named = {"student": main["macro"], "languages": main["languages"]} if main else {}
        return {"tagging": {"metric": "f1" if self._of_spans else "accuracy"} | named | found}

    # --- Parts ----------------------------------------------------------------------------------

    def _lesson(
        self,
        train: Sentences,
        config: models.TaggerConfig,
        batches: data.TaggedBatches,
        mesh: Mesh,
    ) -> Lesson:
        del train, mesh
        return Lesson(Structured(self.settings.structured, config), {}, batches)

    @property
    def _of_spans(self) -> bool:
        return self.settings.task != "pos"

    def _sentences(self, specs: Specs) -> Sentences:
        """Sentences by language, their tags in this run's scheme."""
        found: Sentences = {}
        for source in data.open_tagged(specs, self.settings.corpora.root or "."):
            rows = found.setdefault(source.language, [])
            for sentence in source.sentences():
                tags = sentence.tags
                if self._of_spans:
                    tags = tuple(convert(tags, self.settings.scheme))
                rows.append(sentence._replace(tags=tags))
        return dict(sorted(found.items()))

    def _train(self) -> Sentences:
        """What is learned from: sentences with labels, as there is nobody to teach the others."""
        found = {
            language: labelled
            for language, rows in self._sentences(self.settings.corpora.train).items()
            if (labelled := [row for row in rows if row.tags])
        }
        if not found:
            raise ValueError(
                "corpora.train must have sentences with labels, as nobody teaches the others: name "
                "a labelled corpus, or an objective that learns from teachers"
            )
        return found

    def _vocabulary(self, train: Sentences) -> data.WordVocabulary | None:
        """The one that this run has begun with, or a new one."""
        if not self.settings.tagger.reads_words:
            return None
        if (self.folder / "tagger.json").exists():
            return data.WordVocabulary.load(self.folder)
        recurrent = self.settings.tagger.recurrent
        return data.WordVocabulary.of_words(
            (word for rows in train.values() for row in rows for word in row.words),
            recurrent.min_count,
            recurrent.lowercase,
            recurrent.most_words,
            recurrent.most_characters,
            recurrent.longest,
        )

    def _tokenizer(self) -> Any:
        encoder = self.settings.tagger.encoder
        if encoder is None:
            return None

        def texts() -> Iterator[str]:
            return (" ".join(row.words) for rows in self._train().values() for row in rows)

        return load_tokenizer(encoder, self.folder / "tokenizers" / "tagger", texts)

    def _model(
        self,
        tags: TagSet,
        vocabulary: data.WordVocabulary | None,
        tokenizer: Any,
        mesh: Mesh,
        key: Array,
    ) -> tuple[models.TaggerConfig, Tree]:
        """What the tagger is, and its first parameters."""
        encoder, loaded = None, {}
        if tokenizer is not None:
            found, params = load_model(
                self.settings.tagger.encoder, tokenizer, mesh, jax.random.fold_in(key, _ENCODER), ()
            )
            encoder = found
            loaded = {"encoder": {name: params[name] for name in ("embeddings", "layers")}}
        config = tagger_config(self.settings, tags, vocabulary, encoder)
        draw = jax.jit(
            lambda key: {
                name: tree for name, tree in drawn(config, key).items() if name not in loaded
            },
            out_shardings=training.replicated(mesh),
        )
        return config, draw(jax.random.fold_in(key, _REST)) | loaded

    def _batches(
        self,
        train: Sentences,
        config: models.TaggerConfig,
        vocabulary: data.WordVocabulary | None,
        tokenizer: Any,
        mesh: Mesh,
    ) -> tuple[data.TaggedBatches, int]:
        settings, corpora = self.settings, self.settings.corpora
        if config.encoder is not None and corpora.max_length > config.encoder.longest:
            raise ValueError(
                f"corpora.max_length must be at most {config.encoder.longest}, the positions that "
                f"the encoder has, got {corpora.max_length}"
            )
        subwords = None if tokenizer is None else data.SubwordTokenizer(tokenizer)
        numbered = data.tokenize_tagged(
            train, config.tags, subwords, corpora.max_length, vocabulary
        )
        if numbered.cut:
            _LOG.info(
                "%d of %d words are beyond corpora.max_length, and are not learned from",
                numbered.cut,
                numbered.cut + numbered.lengths[:, 0].sum(),
            )
        sampling = data.Sampling(
            numbered.languages,
            how=corpora.sampling,
            temperature=corpora.temperature,
            size=corpora.epoch_size or None,
            seed=settings.seed,
        )
        plan = data.plan_tagged(
            numbered.lengths,
            sampling,
            settings.batch_size,
            corpora.shapes,
            rows_multiple=rows_multiple(settings, mesh),
            seed=settings.seed,
        )
        part, parts = training.rows_of_process(mesh, int(plan.rows[-1]))
        return data.TaggedBatches(numbered, plan, subwords, part, parts), parts

    def _evaluate(self) -> Callable[[training.TrainState], dict[str, float]]:
        dev, tagger = self._sentences(self.settings.corpora.dev), self._tagger()

        def evaluate(state: training.TrainState) -> dict[str, float]:
            tagger.params = training.local_copy(state.best_params)
            found = self._score(tagger.tag, dev)
            tagger.params = None  # the memory is wanted for training
            return {f"dev/{name}": score for name, score in found.items()}

        return evaluate

    def _score(
        self, tag: Callable[[list[Sequence[str]]], list[Tags]], corpora: Sentences
    ) -> dict[str, float]:
        """In percent."""
        found = evaluation.tagging_scores(tag, corpora, self._of_spans)
        return {name: 100 * score for name, score in found.items()}

    def _tagger(self) -> inference.SentenceTagger:
        """The tagger of this run; its parameters are still to be set."""
        config, vocabulary, languages = self._outline()
        longest = self.settings.corpora.max_length
        tokenizer = self._tokenizer()
        # Texts are to be split as those that it has learned from.
        readers = {spec.get("reader") for spec in self.settings.corpora.train.values()}
        split = "aspects" if "aspects" in readers else "text"
        return inference.SentenceTagger(
            config, None, tokenizer, vocabulary, longest, languages, split
        )

    def _write_outline(
        self,
        config: models.TaggerConfig,
        vocabulary: data.WordVocabulary | None,
        languages: tuple[str, ...],
    ) -> None:
        if vocabulary is not None:
            vocabulary.save(self.folder)
        write_json(
            self.folder / "tagger.json", {"config": config.to_dict(), "languages": languages}
        )

    def _outline(
        self,
    ) -> tuple[models.TaggerConfig, data.WordVocabulary | None, tuple[str, ...]]:
        """What the tagger has turned out to be: config, vocabulary and languages."""
        path = self.folder / "tagger.json"
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there: has this run begun?")
        found = read_json(path)
        reads = self.settings.tagger.reads_words
        vocabulary = data.WordVocabulary.load(self.folder) if reads else None
        with described_by(path):
            config = models.TaggerConfig.from_dict(found["config"])
            return config, vocabulary, tuple(found["languages"])


def _by_language(scores: Mapping[str, float]) -> dict[str, Any]:
    languages = {name: score for name, score in scores.items() if name != "macro"}
    return {"macro": scores["macro"], "languages": languages}
