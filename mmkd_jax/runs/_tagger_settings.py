"""The settings of a run of a tagger."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from mmkd_jax.methods import StructuredSettings
from mmkd_jax.models import RecurrentConfig
from mmkd_jax.runs._settings import BatchesSettings, ModelSettings, RunSettings
from mmkd_jax.training import OptimizerSettings

Specs = Mapping[str, Mapping[str, Any]]


def is_raw(spec: Mapping[str, Any]) -> bool:
    """Whether the description of a corpus is one of text without labels."""
    return not spec.get("labels", True) or spec.get("reader") == "text"


@dataclasses.dataclass(frozen=True, kw_only=True)
class CorpusSettings(BatchesSettings):
    """Tagged sentences, and in which order they come.

    Attributes:
      root: The folder that paths are relative to.
      train: From a name to what `mmkd_jax.data.open_tagged` reads: `reader`, `language`, and the
        reader's own arguments. Sentences without labels are for those who have teachers.
      dev: Likewise, what evaluations while training go by; a language may have none.
      test: Likewise, what the result is measured on.
      zero_shot: Likewise, of languages that are not among `train`.
      max_length: Subwords a row at most, special tokens included; words, if no subwords are read.
        What is beyond that is not learned from. (Evaluation and use cut nothing.)
      epoch_size: Sentences an epoch; 0 for as many as there are.
    """

    root: str = ""
    train: Specs = dataclasses.field(default_factory=dict)
    dev: Specs = dataclasses.field(default_factory=dict)
    test: Specs = dataclasses.field(default_factory=dict)
    zero_shot: Specs = dataclasses.field(default_factory=dict)
    max_length: int = 128
    epoch_size: int = 0

    def __post_init__(self):
        super().__post_init__()
        for part in ("dev", "test", "zero_shot"):
            for name, spec in getattr(self, part).items():
                if is_raw(spec):
                    raise ValueError(
                        f"{part}.{name} is raw text, by which nothing can be judged: it belongs to "
                        "train, or needs labels"
                    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecurrentSettings:
    """A BiLSTM over words.

    Attributes:
      words: Whether it reads vectors of words, from a table that is trained.
      characters: Whether it reads vectors of the words' characters, by a CNN.
      word_width: Of a word's vector.
      character_width: Of a character's vector.
      filters: Of the CNN.
      window: How many neighbouring characters a filter sees.
      width: Of the LSTM, each direction.
      layers: Of the LSTM.
      dropout: Locked, before and after each layer.
      word_dropout: Of whole words.
      min_count: Words and characters that come less often in the corpora are unknown.
      lowercase: Whether words are looked up without their capitals; characters keep theirs.
      most_words: The most frequent so many words are known at most.
      most_characters: Likewise.
      longest: So many characters of a word are read at most.
    """

    words: bool = True
    characters: bool = True
    word_width: int = 100
    character_width: int = 25
    filters: int = 50
    window: int = 3
    width: int = 200
    layers: int = 1
    dropout: float = 0.5
    word_dropout: float = 0.05
    min_count: int = 2
    lowercase: bool = False
    most_words: int = 100_000
    most_characters: int = 10_000
    longest: int = 20

    def config(self, words: int, characters: int) -> RecurrentConfig:
        """The config of the encoder, for tables of so many words and characters."""
        names = {field.name for field in dataclasses.fields(RecurrentConfig)} - {
            *("words", "characters", "dtype"),
        }
        return RecurrentConfig(
            words=words if self.words else 0,
            characters=characters if self.characters else 0,
            **{name: getattr(self, name) for name in names},
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggerSettings:
    """What a tagger is made of.

    Attributes:
      encoder: A transformer that reads subwords; None for none.
      freeze_encoder: Whether it stays as it is, and only gives features.
      pooling: The vector of a word is that of its first subword, or their mean.
      recurrent: A BiLSTM, over words, or over the transformer's vectors of them; None for none.
      kind: crf or softmax.
      constrained: Whether what the scheme of the tags forbids gets probability 0.
      dropout: Of the vectors of words, before the tags' scores.
    """

    encoder: ModelSettings | None = None
    freeze_encoder: bool = False
    pooling: Literal["first", "mean"] = "first"
    recurrent: RecurrentSettings | None = RecurrentSettings()
    kind: Literal["crf", "softmax"] = "crf"
    constrained: bool = False
    dropout: float = 0.0

    def __post_init__(self):
        if self.encoder is not None and not self.encoder.source:
            raise ValueError("encoder.source must name a folder or an id of the hub")

    def check(self) -> None:
        """ValueError where there is nothing to read."""
        if self.encoder is None and self.recurrent is None:
            raise ValueError("tagger.encoder and tagger.recurrent must not both be None")
        if self.encoder is None and not self.reads_words:
            raise ValueError(
                "tagger.recurrent.words or .characters must be true: without an encoder there is "
                "nothing else to read"
            )

    @property
    def reads_words(self) -> bool:
        """Whether it needs a vocabulary of words and characters."""
        return self.recurrent is not None and (self.recurrent.words or self.recurrent.characters)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaggerRunSettings(RunSettings):
    """A run of a tagger, of one language or several.

    Attributes:
      batch_size: Slots a step at most, on all devices together: for subwords, or for words where
        no subwords are read. Long sentences come in few rows, but in no fewer than 8.
      task: ner or aspects: spans, judged by their F1. pos: a tag a word, judged by accuracy.
      tags: The types of spans, or the tags; empty for those that the training corpora have.
      scheme: How spans are written as tags.
      model: A folder or an id of the Hugging Face hub: the transformer, in place of the source that
        `tagger.encoder` names. Empty for that.
      tagger: What it is made of.
      corpora: What it learns from and is judged on.
      structured: What it minimises: nll, for a tagger without teachers.
      keep_best: Whether the state with the best score on dev is the result, and not the last.
    """

    may_change: ClassVar[tuple[str, ...]] = ("mesh", "log_every", "keep_checkpoints")
    method: str = "tagger"
    batch_size: int = 2_000
    task: Literal["ner", "pos", "aspects"] = "ner"
    tags: tuple[str, ...] = ()
    scheme: Literal["IO", "BIO", "BIOES"] = "BIO"
    model: str = ""
    tagger: TaggerSettings = TaggerSettings()
    corpora: CorpusSettings = CorpusSettings()
    structured: StructuredSettings = StructuredSettings()
    keep_best: bool = True
    optimizer: OptimizerSettings = OptimizerSettings(
        learning_rate=3e-3,
        reference_batch=0,
        warmup=0.0,
        schedule="linear",
        weight_decay=0.0,
        clip_norm=5.0,
    )

    def __post_init__(self):
        super().__post_init__()
        if self.model:
            encoder = self.tagger.encoder or ModelSettings(source=self.model)
            encoder = dataclasses.replace(encoder, source=self.model)
            tagger = dataclasses.replace(self.tagger, encoder=encoder)
            object.__setattr__(self, "tagger", tagger)
        self.tagger.check()
        if not self.corpora.train:
            raise ValueError("corpora.train is empty: name at least one corpus to learn from")
        if self.optimizer.plateau.is_used and not self.corpora.dev:
            raise ValueError(
                "optimizer.plateau needs corpora.dev, to see whether there is progress"
            )
