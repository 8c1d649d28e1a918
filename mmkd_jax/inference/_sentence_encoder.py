"""Vectors of sentences, by an encoder in memory."""

import dataclasses
import functools
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Float

from mmkd_jax import data, models
from mmkd_jax._json import described_by
from mmkd_jax.models._sentence_layout import PROJECTOR, VECTORS

_LOG = logging.getLogger(__name__)
_SHORTEST, _SHAPES = 16, 6
_TEXTS = 4096  # that go through the tokenizer at once


@dataclasses.dataclass(eq=False)
class SentenceEncoder:
    """Vectors of sentences, by an encoder in memory.

    ``params`` may be set anew, to those of a later training step say. What is compiled belongs to
    the sizes alone: with other parameters of the same shapes, here or in another `SentenceEncoder`,
    nothing is compiled. Parameters that are spread over a mesh stay where they are, and the rows go
    over all its axes but "model".

    Example:
      >>> import jax
      >>> from tokenizers import Tokenizer
      >>> from tokenizers.models import WordLevel
      >>> from tokenizers.pre_tokenizers import Whitespace
      >>> from mmkd_jax import inference, models
      >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "small", "cat"]
      >>> tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
      >>> tokenizer.pre_tokenizer = Whitespace()
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=7, width=8, layers=2, heads=2, hidden_width=16, positions=16
      ... )
      >>> params = models.initial_params(config, jax.random.key(0))
      >>> encoder = inference.SentenceEncoder(config, params, tokenizer, "cls", max_length=16)
      >>> encoder.encode(["a small cat", "a cat", ""]).shape
      (3, 8)

    Attributes:
      config: The encoder's.
      params: Its parameters. Heads are passed over. None if they are to be set later.
      tokenizer: A fast one of transformers, one of `tokenizers`, or a `data.SubwordTokenizer`. If
        it adds no special tokens by itself, each text gets one at its beginning and its end. It
        is copied when `encode` is first called.
      vectors: What the vector of a sentence is. "cls": the last hidden state of the first token.
        "mean": the mean of the last hidden states of all tokens, the special ones included.
        "projected": the projection of one of these, as in MMKD's sentence level.
      projection: For "projected": a `models.Projection` and its variables ("params" and
        "batch_stats").
      max_length: Tokens, the special ones included, beyond which texts are cut. At most
        ``config.longest``.
      normalise: Whether `encode` scales vectors to length 1 when it is not told.
      projected_from: For "projected": what is projected, "cls" or "mean".
    """

    config: models.EncoderConfig
    params: Mapping | None
    tokenizer: Any
    vectors: str = "mean"
    projection: tuple[models.Projection, Mapping] | None = None
    max_length: int = 128
    normalise: bool = False
    projected_from: str = "cls"

    def __post_init__(self):
        if self.vectors not in VECTORS:
            raise ValueError(f"vectors must be one of {', '.join(VECTORS)}, got {self.vectors!r}")
        if self.vectors == "projected" and self.projection is None:
            raise ValueError("projection must be given for vectors='projected'")
        if self.projected_from not in ("cls", "mean"):
            raise ValueError(f"projected_from must be cls or mean, got {self.projected_from!r}")
        # Room for a special token at both ends, and one between them.
        if not 3 <= self.max_length <= self.config.longest:
            raise ValueError(
                f"max_length must lie in 3..{self.config.longest}, which is how many positions "
                f"there are, got {self.max_length}"
            )

    @property
    def width(self) -> int:
        """Size of a vector."""
        return self.projection[0].width if self.vectors == "projected" else self.config.width

    def encode(
        self,
        sentences: Sequence[str],
        batch_size: int = 64,
        normalise: bool | None = None,
        progress: bool = False,
    ) -> Float[np.ndarray, "n D"]:
        """The vectors of sentences, in their order.

        Sentences of similar length go together, so that few rows are padding, and rows have one of
        at most six lengths (16, 32, 64, ..., ``max_length``), so that at most six programs are
        compiled, when they are first needed. Longer texts lose their end, as the tokenizer has it;
        an empty text is its special tokens.

        Args:
          sentences: Any number of them. Spaces at their ends stay.
          batch_size: Rows of every call, the last one too: 1 for a service that answers one by
            one. Best left alone between calls, for another size compiles anew.
          normalise: Whether vectors are scaled to length 1 (a zero vector stays); the encoder's
            ``normalise`` if not given.
          progress: Whether to show a bar.

        Returns:
          ``[n, D]`` in float32.
        """
        if isinstance(sentences, str):
            raise ValueError("sentences must be a list of texts, got a text: put it into a list")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        found = np.empty((len(sentences), self.width), np.float32)
        batches = self.batches(sentences, batch_size)
        compute, variables = self._program()
        with _bar(len(sentences), progress) as bar:
            for numbers, vectors in _one_behind(
                (numbers, compute(variables, ids, mask)) for numbers, ids, mask in batches
            ):
                found[numbers] = np.asarray(vectors)[: len(numbers)]
                bar.update(len(numbers))
        normalise = self.normalise if normalise is None else normalise
        return _scaled(found) if normalise else found

    def batches(
        self, sentences: Sequence[str], batch_size: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Numbers of sentences, their tokens ``[batch_size, T]`` and mask, longest first.

        The last batch may have rows that stay empty.
        """
        rows = self._rows(list(sentences))
        return _batches(rows, batch_size, _lengths(self.max_length), self.config.pad_id)

    @functools.cached_property
    def _read(self) -> Callable[[list[str]], list[Sequence[int]]]:
        return _reader(self.tokenizer, self.max_length)

    def _rows(self, texts: list[str]) -> list[np.ndarray]:
        parts = (texts[start : start + _TEXTS] for start in range(0, len(texts), _TEXTS))
        return [np.array(ids, np.int32) for part in parts for ids in self._read(part)]

    def _program(self) -> tuple[Callable, dict]:
        """A compiled function of variables, ids and mask, and the variables."""
        if self.params is None:
            raise ValueError("params must be set before the first sentence is encoded")
        variables = {"encoder": {name: self.params[name] for name in ("embeddings", "layers")}}
        pooling, projection = self.vectors, None
        if self.vectors == "projected":
            pooling = self.projected_from
            projection, variables["projection"] = self.projection
        mesh = mesh_of(variables)
        fixed = functools.partial(_vectors, self.config, pooling, projection, mesh)
        if mesh is None:
            return fixed, variables

        def spread(variables: dict, ids: np.ndarray, mask: np.ndarray) -> Array:
            rows = _over_rows(mesh, len(ids))
            # No transfer of one process's rows to others: each has them all.
            ids, mask = (
                jax.make_array_from_callback(array.shape, rows, array.__getitem__)
                for array in (ids, mask)
            )
            return fixed(variables, ids, mask)

        return spread, variables


def load_encoder(
    source: str | os.PathLike,
    vectors: str | None = None,
    max_length: int | None = None,
    **overrides: Any,
) -> SentenceEncoder:
    """Loads an encoder of sentences from a folder, or from the Hugging Face hub.

    What the vector of a sentence is, where texts are cut, and whether vectors are normalised is
    read from ``sentence_encoder.json``, which `models.save_sentence_layout` writes; if there is
    none, from the files of sentence-transformers, with the same vectors as it gives. A folder
    with neither gives means, and is as long as its positions.

    Example:
      >>> import tempfile
      >>> import jax
      >>> import transformers
      >>> from mmkd_jax import inference, models
      >>> words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "small", "cat"]
      >>> tokenizer = transformers.BertTokenizer(vocab={w: i for i, w in enumerate(words)})
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=8, width=8, layers=2, heads=2, hidden_width=16, positions=16
      ... )
      >>> params = models.initial_params(config, jax.random.key(0))
      >>> folder = tempfile.mkdtemp()
      >>> models.save_pretrained(folder, config, params, tokenizer)
      >>> models.save_sentence_layout(folder, "cls", max_length=16)
      >>> encoder = inference.load_encoder(folder)
      >>> print(encoder.vectors, encoder.encode(["a small cat"]).shape)
      cls (1, 8)

    Args:
      source: A directory, or an id of the hub.
      vectors: "cls", "mean" or "projected" (see `SentenceEncoder`), whatever the folder says.
        "projected" takes the head "sentence_projector" that lies in the folder, on top of what
        the folder's vectors are, or else of "cls".
      max_length: Tokens beyond which texts are cut, whatever the folder says.
      overrides: What else `models.load_pretrained` takes, such as ``dtype="bfloat16"`` or a mesh.

    Returns:
      The encoder; its ``vectors`` says which they are.

    Raises:
      ValueError: If the folder asks for vectors that are not known here, and ``vectors`` is not
        given.
    """
    folder = models.checkpoint_folder(source)
    config, params = models.load_pretrained(folder, **overrides)
    tokenizer = data.load_tokenizer(folder)
    layout = models.read_sentence_layout(folder, vectors)
    if layout.vectors is None:
        _LOG.info("%s does not say what the vector of a sentence is: taking the mean", folder)
    projection = None
    if layout.vectors == "projected":
        settings, variables = models.load_head(folder, PROJECTOR)
        with described_by(f"{folder}/{PROJECTOR}.json"):
            projection = models.Projection(**settings), variables
    longest = max_length or layout.max_length or tokenizer.model_max_length
    return SentenceEncoder(
        config,
        {name: params[name] for name in ("embeddings", "layers")},
        tokenizer,
        layout.vectors or "mean",
        projection,
        min(longest, config.longest),
        layout.normalise,
        layout.projected_from,
    )


# --- Tokens -------------------------------------------------------------------------------------


def _reader(tokenizer: Any, max_length: int) -> Callable[[list[str]], list[Sequence[int]]]:
    """From texts to the tokens of their rows, special ones included."""
    if isinstance(tokenizer, data.SubwordTokenizer):
        return functools.partial(_read_subwords, tokenizer, max_length)
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not isinstance(backend, Tokenizer):
        raise ValueError(
            "tokenizer must be a fast one, from tokenizers or transformers, or a "
            f"data.SubwordTokenizer, got {tokenizer!r}"
        )
    if not backend.num_special_tokens_to_add(False):
        subwords = data.SubwordTokenizer(tokenizer)
        return functools.partial(_read_subwords, subwords, max_length)
    backend = Tokenizer.from_str(backend.to_str())
    backend.no_padding()
    side = getattr(tokenizer, "truncation_side", None)
    backend.enable_truncation(max_length, direction=side or "right")
    return lambda texts: [code.ids for code in backend.encode_batch_fast(texts)]


def _read_subwords(
    tokenizer: data.SubwordTokenizer, max_length: int, texts: list[str]
) -> list[Sequence[int]]:
    found, specials = tokenizer.encode(texts), tokenizer.specials
    most = max_length - 2
    return [
        [specials.cls, *found.ids[start : min(end, start + most)].tolist(), specials.sep]
        for start, end in zip(found.token_offsets[:-1], found.token_offsets[1:], strict=True)
    ]


# --- Batches ------------------------------------------------------------------------------------


def _lengths(max_length: int) -> list[int]:
    """The lengths of rows, longest last: 16, 32, 64, ..., so that no row has more than twice."""
    lengths = [max_length]
    length = _SHORTEST
    while length < max_length:
        lengths.append(length)
        length *= 2
    return sorted(lengths)[-_SHAPES:]


def _batches(
    rows: list[np.ndarray], size: int, lengths: list[int], pad: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Numbers of rows, their tokens [size, T] and mask, longest first.

    What does not fill a batch are the shortest, so that it costs little, and memory that suffices
    for the first batch suffices for all.
    """
    counts = np.array([len(row) for row in rows], np.int64)
    order = np.argsort(-counts, kind="stable")
    for start in range(0, len(rows), size):
        numbers = order[start : start + size]
        length = next(length for length in lengths if length >= counts[numbers[0]])
        mask = np.zeros((size, length), bool)
        mask[: len(numbers)] = np.arange(length) < counts[numbers][:, None]
        ids = np.full((size, length), pad, np.int32)
        ids[mask] = np.concatenate([rows[number] for number in numbers])
        yield numbers, ids, mask


def _one_behind(results: Iterator[tuple]) -> Iterator[tuple]:
    """The same, each after the next one has been started, so that the device need not wait."""
    last = next(results, None)
    for result in results:
        yield last
        last = result
    if last is not None:
        yield last


def _bar(total: int, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, unit=" sentences", disable=not progress)


# --- Vectors ------------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _vectors(
    config: models.EncoderConfig,
    pooling: str,
    projection: models.Projection | None,
    mesh: Mesh | None,
    variables: dict,
    ids: Array,
    mask: Array,
) -> Array:
    hidden, _ = models.Encoder(config).apply({"params": variables["encoder"]}, ids, mask)
    hidden = hidden.astype(jnp.float32)
    if pooling == "mean":
        # What lies behind the mask means nothing; a row without any token has a mean of 0.
        total = jnp.where(mask[..., None], hidden, 0.0).sum(axis=-2)
        found = total / jnp.maximum(mask.sum(axis=-1, keepdims=True), 1)
    else:
        found = hidden[..., 0, :]
    if projection is not None:
        found = projection.apply(dict(variables["projection"]), found)
    if mesh is not None:
        # Every process gets all of them.
        found = jax.lax.with_sharding_constraint(found, NamedSharding(mesh, PartitionSpec()))
    return found


def mesh_of(variables: Any) -> Mesh | None:
    """The mesh over which the parameters are spread, if they are."""
    for leaf in jax.tree.leaves(variables):
        sharding = getattr(leaf, "sharding", None)
        if isinstance(sharding, NamedSharding) and sharding.mesh.size > 1:
            return sharding.mesh
    return None


def _over_rows(mesh: Mesh, rows: int) -> NamedSharding:
    """Rows over all axes but "model", or over none where they are not divided by them."""
    axes = tuple(name for name in mesh.axis_names if name != "model")
    parts = int(np.prod([mesh.shape[name] for name in axes], dtype=int))
    return NamedSharding(mesh, PartitionSpec(axes if rows % parts == 0 else None))


def _scaled(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
