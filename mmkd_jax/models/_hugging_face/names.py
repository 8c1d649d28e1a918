"""What transformers calls each parameter, and how its tensor is laid out.

Names are without the prefix that a model with heads puts before its encoder's tensors.
"""

import dataclasses
from collections.abc import Iterable

import jax

from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._parameters import HEADS, Parameter, parameters


@dataclasses.dataclass(frozen=True)
class Family:
    """The names of one architecture; a dense map or LayerNorm stands for its weight and bias.

    Attributes:
      prefix: Before the encoder's tensors in a model with heads.
      embeddings: Our name in ``params["embeddings"]`` -> theirs.
      layer: Our path in a layer -> theirs, after ``layers`` and the layer's number.
      layers: Before a layer's number.
      heads: Head -> our path in it -> theirs.
      derived: Tensors that follow from others, and are neither read nor written: the constant
        numbers of positions, and the output embeddings, which are the input's.
      copies: Tensors that stand for one that is missing.
    """

    prefix: str
    embeddings: dict[str, str]
    layer: dict[str, str]
    layers: str
    heads: dict[str, dict[str, str]]
    derived: tuple[str, ...]
    copies: dict[str, str]


_TABLES = {
    "words": "embeddings.word_embeddings.weight",
    "positions": "embeddings.position_embeddings.weight",
    "norm": "embeddings.LayerNorm",
}
_SEGMENTS = {"token_types": "embeddings.token_type_embeddings.weight"}
_POSITION_IDS = "embeddings.position_ids"
_BERT_LAYER = {
    "attention.query": "attention.self.query",
    "attention.key": "attention.self.key",
    "attention.value": "attention.self.value",
    "attention.output": "attention.output.dense",
    "attention.norm": "attention.output.LayerNorm",
    "mlp.up": "intermediate.dense",
    "mlp.down": "output.dense",
    "mlp.norm": "output.LayerNorm",
}
_POOLER = {"": "pooler.dense"}

BERT = Family(
    prefix="bert.",
    embeddings=_TABLES | _SEGMENTS,
    layer=_BERT_LAYER,
    layers="encoder.layer.",
    heads={
        "masked_lm": {
            "dense": "cls.predictions.transform.dense",
            "norm": "cls.predictions.transform.LayerNorm",
            "bias": "cls.predictions.bias",
        },
        "next_sentence": {"": "cls.seq_relationship"},
        "pooler": _POOLER,
    },
    derived=(_POSITION_IDS, "cls.predictions.decoder.weight", "cls.predictions.decoder.bias"),
    copies={"cls.predictions.bias": "cls.predictions.decoder.bias"},
)
ROBERTA = Family(
    prefix="roberta.",
    embeddings=_TABLES | _SEGMENTS,
    layer=_BERT_LAYER,
    layers="encoder.layer.",
    heads={
        "masked_lm": {
            "dense": "lm_head.dense",
            "norm": "lm_head.layer_norm",
            "bias": "lm_head.bias",
        },
        "pooler": _POOLER,
    },
    derived=(_POSITION_IDS, "lm_head.decoder.weight", "lm_head.decoder.bias"),
    copies={"lm_head.bias": "lm_head.decoder.bias"},
)
DISTILBERT = Family(
    prefix="distilbert.",
    embeddings=_TABLES,
    layer={
        "attention.query": "attention.q_lin",
        "attention.key": "attention.k_lin",
        "attention.value": "attention.v_lin",
        "attention.output": "attention.out_lin",
        "attention.norm": "sa_layer_norm",
        "mlp.up": "ffn.lin1",
        "mlp.down": "ffn.lin2",
        "mlp.norm": "output_layer_norm",
    },
    layers="transformer.layer.",
    heads={
        "masked_lm": {
            "dense": "vocab_transform",
            "norm": "vocab_layer_norm",
            "bias": "vocab_projector.bias",
        },
    },
    derived=(_POSITION_IDS, "vocab_projector.weight"),
    copies={},
)
FAMILIES = {"bert": BERT, "roberta": ROBERTA, "xlm-roberta": ROBERTA, "distilbert": DISTILBERT}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A parameter in a checkpoint.

    Attributes:
      path: Its keys in ``params``.
      name: What transformers calls it.
      parameter: Its shape here.
      groups: For each axis of the file's tensor, the axes here that it runs over.
    """

    path: tuple[str, ...]
    name: str
    parameter: Parameter
    groups: tuple[tuple[int, ...], ...]

    @property
    def order(self) -> tuple[int, ...]:
        """Our axes in the file's order."""
        return sum(self.groups, ())

    def file_shape(self, config: EncoderConfig) -> tuple[int, ...]:
        """The shape of the file's tensor: without the padding of the vocabulary."""
        sizes = [
            config.vocabulary_size if axis == "vocabulary" else size
            for size, axis in zip(self.parameter.shape, self.parameter.axes, strict=True)
        ]
        shape = []
        for group in self.groups:
            size = 1
            for axis in group:
                size *= sizes[axis]
            shape.append(size)
        return tuple(shape)


def tensors(config: EncoderConfig, heads: Iterable[str]) -> list[Tensor]:
    """All tensors of an encoder and of these heads, in the order of ``params``."""
    leaves = jax.tree_util.tree_leaves_with_path(parameters(config, tuple(heads)))
    return [_tensor(config, tuple(key.key for key in keys), p) for keys, p in leaves]


def heads_of(model_type: str, names: Iterable[str]) -> list[str]:
    """The heads of which these tensors hold anything."""
    names = set(names)
    heads = FAMILIES[model_type].heads
    return [head for head in HEADS if head in heads and names & set(_head_names(heads[head]))]


def without_prefix(model_type: str, name: str) -> str:
    """A tensor's name as in the tables above, whatever wrapped the model or spells LayerNorm."""
    for prefix in ("module.", "model.", FAMILIES[model_type].prefix):
        name = name.removeprefix(prefix)
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return name


def is_heads(model_type: str, name: str) -> bool:
    """Whether a tensor stands beside the encoder, where the prefix is not put before it."""
    heads = FAMILIES[model_type].heads
    return any(name in _head_names(heads[head]) for head in heads if head != "pooler")


def _head_names(head: dict[str, str]) -> list[str]:
    """All tensors of a head."""
    return [
        name if ours == "bias" else f"{name}.{part}"
        for ours, name in head.items()
        for part in ("weight", "bias")
    ]


def _tensor(config: EncoderConfig, path: tuple[str, ...], parameter: Parameter) -> Tensor:
    axes = tuple(range(len(parameter.shape)))
    if path[-1] == "kernel":
        # transformers: [all outputs, all inputs]. Only the sum over heads has two axes of inputs.
        inputs = 2 if parameter.axes[0] == "heads" else 1
        groups = (axes[inputs:], axes[:inputs])
    elif path[0] == "embeddings" and path[1] != "norm":
        groups = ((0,), (1,))
    else:
        groups = (axes,)
    return Tensor(path, _name(FAMILIES[config.model_type], path), parameter, groups)


def _name(family: Family, path: tuple[str, ...]) -> str:
    where, *rest = path
    if where == "embeddings":
        table, before = family.embeddings, ""
    elif where == "layers":
        number, *rest = rest
        table, before = family.layer, f"{family.layers}{number}."
    else:
        table, before = family.heads[where], ""
    whole = ".".join(rest)
    if whole in table:
        return before + table[whole]
    *module, last = rest
    part = {"kernel": "weight", "scale": "weight", "bias": "bias"}[last]
    return f"{before}{table['.'.join(module)]}.{part}"
