"""The settings of a run, as frozen dataclasses. What a config file holds are their fields."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from mmkd_jax.methods import MMKDSettings
from mmkd_jax.training import AccumulationSettings, MeshSettings, OptimizerSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Sizes of an encoder that starts from new weights, of BERT's kind."""

    width: int = 768
    layers: int = 12
    heads: int = 12
    hidden_width: int = 3072
    positions: int = 512


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComputingSettings:
    """How an encoder is computed, which no weights depend on.

    Attributes:
      dropout: In training.
      attention_dropout: In training, of attention weights.
      dtype: Of activations and products; parameters stay float32.
      attention: "xla", or "cudnn" on a GPU.
      remat: What a backward pass computes anew: none, dots, full.
      scan_layers: Compiles one layer instead of all.
      dropout_key: hash, or threefry2x32 for JAX's own random bits.
    """

    dropout: float = 0.1
    attention_dropout: float = 0.1
    dtype: str = "float32"
    attention: str = "xla"
    remat: str = "none"
    scan_layers: bool = False
    dropout_key: str = "hash"

    @property
    def computing(self) -> dict[str, Any]:
        """These fields alone."""
        fields = dataclasses.fields(ComputingSettings)
        return {field.name: getattr(self, field.name) for field in fields}


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings(ComputingSettings):
    """An encoder: where it comes from, and how it is computed.

    Attributes:
      source: A folder or an id of the Hugging Face hub; empty for new weights.
      sizes: Of new weights.
      vocabulary_size: Above 0: a vocabulary of its own, of about so many pieces, is trained on the
        texts that this model reads. Pieces that the source's vocabulary has keep their vectors.
      lowercase: Whether that vocabulary knows no capitals.
      keep_layers: Numbers of the source's layers to keep, from 0; empty for all.
      ignore: Patterns of tensors in the source to leave out, such as "classifier.*".
    """

    source: str = ""
    sizes: Sizes = Sizes()
    vocabulary_size: int = 0
    lowercase: bool = False
    keep_layers: tuple[int, ...] = ()
    ignore: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.source and self.vocabulary_size < 1:
            raise ValueError(
                "source is empty, so that weights are new: vocabulary_size must be above 0 then"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchesSettings:
    """How rows of several languages are drawn, and made into batches.

    Attributes:
      shapes: Different row lengths of batches at most; the step is compiled for each.
      sampling: How languages are drawn: proportional, round_robin or temperature.
      temperature: For sampling by temperature.
      threads: That make batches ahead.
      ahead: Batches that wait at most.
      workers: Processes that make batches, instead of threads.
    """

    shapes: int = 6
    sampling: Literal["proportional", "round_robin", "temperature"] = "proportional"
    temperature: float = 1.0
    threads: int = 2
    ahead: int = 8
    workers: int = 0

    def __post_init__(self):
        if self.sampling not in ("proportional", "round_robin", "temperature"):
            raise ValueError(
                "sampling must be one of proportional, round_robin, temperature, "
                f"got {self.sampling!r}"
            )
        if self.sampling != "temperature" and self.temperature != 1.0:
            raise ValueError(
                f'temperature is for sampling "temperature", got {self.temperature} with '
                f'sampling "{self.sampling}"'
            )

    @property
    def pipeline(self) -> tuple[int, int, int]:
        """As `training.Task.ahead`."""
        return self.threads, self.ahead, self.workers


@dataclasses.dataclass(frozen=True, kw_only=True)
class PairSettings(BatchesSettings):
    """Pairs of sentences, and in which order they come.

    Attributes:
      root: The folder that paths in `sources` and `held_out` are relative to.
      sources: From a name to what `mmkd_jax.data.open_sources` reads: `reader`, `language`, and
        the reader's own arguments.
      held_out: Likewise, of pairs for retrieval; none of them should be among the sources'.
      folder: Prepared pairs (`python -m mmkd_jax.prepare`); empty for a folder in the workdir,
        which is prepared if it is not there.
      shards: Files to prepare.
      max_length: Subwords a row at most, special tokens included.
      english_fraction: Of what is drawn, so much is English with itself.
      epoch_size: Pairs an epoch; 0 for as many as there are.
    """

    root: str = ""
    sources: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    held_out: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    folder: str = ""
    shards: int = 16
    max_length: int = 128
    english_fraction: float = 0.0
    epoch_size: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What every run has, whatever its method.

    Attributes:
      method: The method's name.
      seed: Of everything that is random.
      seeds: How many runs to make, one after the other, of this seed and those that follow it, each
        in a folder of its own in the workdir. What comes of them is the mean, and the deviation.
      total_steps: The length of the run.
      batch_size: Examples a step, on all devices together.
      log_every: Steps between lines of metrics.
      checkpoint_every: Steps between checkpoints.
      keep_checkpoints: So many of the newest are kept, and the best one.
      eval_every: Steps between evaluations; 0 for one at the end.
      skipped_in_a_row: So many steps in a row may be skipped because of a loss that is not
        finite; then the run stops.
      mesh: The devices.
      accumulation: Whether batches are taken in pieces.
      optimizer: How parameters move.
      may_change: What may differ between two starts of a run: how it is computed or watched, not
        what comes of it.
    """

    may_change: ClassVar[tuple[str, ...]] = (
        *("mesh", "log_every", "checkpoint_every", "eval_every", "keep_checkpoints"),
    )
    method: str = "mmkd"
    seed: int = 0
    seeds: int = 1
    total_steps: int = 10_000
    batch_size: int = 256
    log_every: int = 50
    checkpoint_every: int = 1_000
    keep_checkpoints: int = 3
    eval_every: int = 0
    skipped_in_a_row: int = 10
    mesh: MeshSettings = MeshSettings()
    accumulation: AccumulationSettings = AccumulationSettings()
    optimizer: OptimizerSettings = OptimizerSettings()

    def __post_init__(self):
        for name in (
            *("total_steps", "batch_size", "log_every", "checkpoint_every", "keep_checkpoints"),
            *("skipped_in_a_row", "seeds"),
        ):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0 or self.eval_every < 0:
            raise ValueError(
                f"seed and eval_every must be at least 0, got {self.seed} and {self.eval_every}"
            )
        if self.batch_size % self.accumulation.pieces:
            raise ValueError(
                f"accumulation.pieces must divide batch_size = {self.batch_size}, "
                f"got {self.accumulation.pieces}"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MMKDRunSettings(RunSettings):
    """A run of MMKD.

    Attributes:
      teacher: The English encoder.
      student: The multilingual one.
      pairs: English with its translations.
      mmkd: The choices of the method.
    """

    teacher: ModelSettings = ModelSettings(source="bert-base-cased")
    student: ModelSettings = ModelSettings(source="bert-base-multilingual-cased")
    pairs: PairSettings = PairSettings()
    mmkd: MMKDSettings = MMKDSettings()

    def __post_init__(self):
        super().__post_init__()
        if not self.pairs.sources and not self.pairs.folder:
            raise ValueError("pairs.sources is empty: name at least one corpus to learn from")
        if self.batch_size < 2 and self.mmkd.weights.structure:
            raise ValueError("batch_size must be at least 2 for the structure level")
