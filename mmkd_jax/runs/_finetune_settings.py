"""The settings of fine-tuning."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from mmkd_jax.evaluation import TEXT_TASKS
from mmkd_jax.runs._settings import (
    BatchesSettings,
    ComputingSettings,
    ModelSettings,
    RunSettings,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextSettings(BatchesSettings):
    """Texts to learn from and to be judged on, and how they become rows.

    Attributes:
      root: The folder that paths in `train`, `dev` and `test` are relative to.
      train: From a name to what `mmkd_jax.data.open_texts` reads: `reader`, `language`, and the
        reader's own arguments. Several languages, or translations, are several entries.
      dev: Likewise, to choose by while training.
      test: Likewise, for the end.
      max_length: Subwords of a row at most, special tokens included.
      stride: Of questions: how many subwords later than the one before a window of their context
        begins.
      max_question: Subwords of a question at most.
      longest_answer: Subwords of an answer at most.
      answers: So many of the best ones are written down.
    """

    root: str = ""
    train: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    dev: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    test: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    max_length: int = 128
    stride: int = 128
    max_question: int = 64
    longest_answer: int = 30
    answers: int = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuneRunSettings(RunSettings):
    """A run of fine-tuning.

    Attributes:
      task: xnli, paws_x or xquad.
      model: A folder or an id of the Hugging Face hub.
      encoder: How it is computed.
      texts: What is learned from.
      keep_best: Whether the state with the best score on the development texts is the result, and
        not the last.
      epochs: How often each row of the training texts comes; 0 for as long as `total_steps` says.
    """

    method: str = "finetune"
    task: str = "xnli"
    model: str = "bert-base-multilingual-cased"
    encoder: ComputingSettings = ComputingSettings()
    texts: TextSettings = TextSettings()
    keep_best: bool = True
    epochs: float = 3.0

    def __post_init__(self):
        super().__post_init__()
        if self.task not in TEXT_TASKS:
            raise ValueError(f"task must be one of {', '.join(TEXT_TASKS)}, got {self.task!r}")
        if not self.model:
            raise ValueError("model must be a folder or an id of the hub, got none")
        if not self.texts.train:
            raise ValueError("texts.train is empty: name at least one file to learn from")
        if self.epochs < 0:
            raise ValueError(f"epochs must be at least 0, got {self.epochs}")

    @property
    def model_settings(self) -> ModelSettings:
        """The encoder as other runs have it."""
        return ModelSettings(source=self.model, **self.encoder.computing)
