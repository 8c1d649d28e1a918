"""Fine-tuned encoders as functions of texts: classes of pairs, and answers to questions."""

import dataclasses
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from mmkd_jax import data, models
from mmkd_jax._json import described_by
from mmkd_jax.inference._sentence_encoder import mesh_of
from mmkd_jax.methods import FineTune, FineTuneSettings

_SHORTEST = 32
_ROWS = 64
_HEADS = ("classifier", "reader")
Tree = Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextReading:
    """How texts become rows.

    Attributes:
      max_length: Subwords of a row at most, special tokens included.
      stride: Of questions: how many subwords later than the one before a window begins.
      max_question: Subwords of a question at most.
      longest_answer: Subwords of an answer at most.
    """

    max_length: int = 128
    stride: int = 128
    max_question: int = 64
    longest_answer: int = 30


@dataclasses.dataclass(eq=False)
class TextModel:
    """A fine-tuned encoder in memory.

    ``params`` may be set anew, to those of a later training step say. Parameters that are spread
    over a mesh stay where they are, and rows go over all its axes but "model"; every process gets
    all results.

    Attributes:
      method: What was learned, and the encoder.
      params: "encoder" and "heads"; None if they are to be set later.
      tokenizer: The encoder's.
      reading: How texts become rows.
      task: What it was trained for, such as xnli.
      labels: Names of the classes; none for answers to questions.
    """

    method: FineTune
    params: Mapping | None
    tokenizer: data.SubwordTokenizer
    reading: TextReading = TextReading()
    task: str = ""
    labels: tuple[str, ...] = ()

    def __post_init__(self):
        if self.reading.max_length > self.method.encoder.longest:
            raise ValueError(
                f"max_length must be at most {self.method.encoder.longest}, the positions that the "
                f"encoder has, got {self.reading.max_length}"
            )

    def classify(
        self, first: Sequence[str], second: Sequence[str] | None = None, batch_size: int = _ROWS
    ) -> Float[np.ndarray, "n C"]:
        """Scores of the classes of texts, or of pairs of them, as logits.

        Args:
          first: Texts.
          second: As many, or None for a model of single texts.
          batch_size: Rows of every call.
        """
        count = len(first)
        nothing = np.zeros((count, 1), np.int32)
        rows = data.tokenize_texts(
            first, second, nothing, nothing[:, 0], self.tokenizer, self.reading.max_length
        )
        found = np.zeros((count, self.method.settings.classes), np.float32)
        for numbers, (logits,) in self._outputs(rows, batch_size):
            found[numbers] = logits
        return found

    def answer(
        self,
        questions: Sequence[data.Question],
        count: int = 20,
        batch_size: int = _ROWS,
    ) -> list[list[data.Answer]]:
        """The best answers to questions, best first.

        Args:
          questions: Of which question and context are looked at.
          count: Answers a question at most.
          batch_size: Rows of every call.
        """
        reading = self.reading
        found = data.tokenize_questions(
            questions,
            np.zeros(len(questions), np.int64),
            self.tokenizer,
            reading.max_length,
            reading.stride,
            reading.max_question,
        )
        begins = found.rows.second_begins
        lengths = np.diff(found.rows.second_at)[:, 0]
        nothing = np.zeros(0, np.float32)
        starts, ends = ([nothing] * len(found.rows) for _ in range(2))
        for numbers, scores in self._outputs(found.rows, batch_size):
            for row, number in enumerate(numbers.tolist()):
                inside = slice(begins[number], begins[number] + lengths[number])
                starts[number], ends[number] = (of[row, inside] for of in scores)
        return data.best_answers(found, starts, ends, count, reading.longest_answer)

    def _outputs(
        self, rows: data.TextData, batch_size: int
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Numbers of rows and the method's outputs, longest rows first.

        What does not fill a batch are the shortest, and memory that suffices for the first batch
        suffices for all.
        """
        if self.params is None:
            raise ValueError("params must be set before the first text is read")
        params = {name: self.params[name] for name in ("encoder", "heads")}
        mesh = mesh_of(params)
        batch_size += -batch_size % _parts(mesh)
        lengths = rows.lengths[:, 0]
        order = np.argsort(-lengths, kind="stable")
        last = None
        for start in range(0, len(order), batch_size):
            numbers = order[start : start + batch_size]
            width = _width(int(lengths[numbers[0]]), self.reading.max_length)
            padded = np.pad(numbers, (0, batch_size - len(numbers)), constant_values=-1)
            batch = data.text_batch(rows, padded, width, self.tokenizer)
            found = _compute(self.method, mesh, params, _placed(batch, mesh))
            if last is not None:  # while the device is at work on the next batch
                yield _taken(*last)
            last = numbers, found
        if last is not None:
            yield _taken(*last)


def save_text_model(
    folder: str | os.PathLike, model: TextModel, tokenizer: Any, dtype: str = "float32"
) -> None:
    """Writes a folder that `load_text_model` reads. Its encoder is read by transformers too.

    Args:
      folder: Made if it is not there.
      model: With parameters on this process.
      tokenizer: Of transformers, which is saved beside.
      dtype: Of the encoder's file.
    """
    config, params = model.method.encoder, model.params
    models.save_pretrained(folder, config, params["encoder"], tokenizer, dtype=dtype)
    settings = {
        "settings": dataclasses.asdict(model.method.settings),
        "reading": dataclasses.asdict(model.reading),
        "task": model.task,
        "labels": list(model.labels),
    }
    name = model.method.head_name
    models.save_head(folder, name, settings, params["heads"][name])


def load_text_model(source: str | os.PathLike, **overrides: Any) -> TextModel:
    """Loads what fine-tuning on XNLI, PAWS-X or questions has written.

    Args:
      source: A folder, such as ``student`` in a run's workdir.
      overrides: What else `models.load_pretrained` takes, such as ``dtype="bfloat16"`` or a mesh.

    Raises:
      FileNotFoundError: There is no head in the folder.
    """
    folder = Path(models.checkpoint_folder(source))
    there = [name for name in _HEADS if (folder / f"{name}.json").is_file()]
    if not there:
        raise FileNotFoundError(
            f"{folder} has neither {' nor '.join(f'{name}.json' for name in _HEADS)}: it is no "
            "model that was fine-tuned here (configs/finetune.py)"
        )
    config, params = models.load_pretrained(folder, **overrides)
    settings, head = models.load_head(folder, there[0])
    mesh = overrides.get("mesh")
    if mesh is not None:
        head = jax.device_put(head, NamedSharding(mesh, PartitionSpec()))
    encoder = {name: params[name] for name in ("embeddings", "layers")}
    tokenizer = data.SubwordTokenizer(data.load_tokenizer(folder))
    with described_by(folder / f"{there[0]}.json"):
        return TextModel(
            FineTune(FineTuneSettings(**settings["settings"]), config),
            {"encoder": encoder, "heads": {there[0]: head}},
            tokenizer,
            TextReading(**settings["reading"]),
            settings["task"],
            tuple(settings["labels"]),
        )


# --- Parts --------------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=(0, 1))
def _compute(
    method: FineTune, mesh: Mesh | None, params: Tree, batch: data.TextBatch
) -> tuple[Array, ...]:
    found = method.outputs(params, batch)
    if mesh is None:
        return found
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.lax.with_sharding_constraint(found, (everywhere,) * len(found))


def _taken(numbers: np.ndarray, found: tuple[Array, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    return numbers, [np.asarray(scores)[: len(numbers)] for scores in found]


def _width(longest: int, most: int) -> int:
    """Powers of two, so that few programs are compiled, and no row has more than twice."""
    return min(most, max(_SHORTEST, 1 << (longest - 1).bit_length()))


def _axes(mesh: Mesh) -> tuple[str, ...]:
    return tuple(name for name in mesh.axis_names if name != "model")


def _parts(mesh: Mesh | None) -> int:
    return 1 if mesh is None else int(np.prod([mesh.shape[name] for name in _axes(mesh)]))


def _placed(batch: data.TextBatch, mesh: Mesh | None) -> data.TextBatch:
    """The rows on their devices. Each process has all of them, and none is sent to others."""
    if mesh is None:
        return batch
    where = NamedSharding(mesh, PartitionSpec(_axes(mesh)))
    return jax.tree.map(
        lambda rows: jax.make_array_from_callback(rows.shape, where, rows.__getitem__), batch
    )
