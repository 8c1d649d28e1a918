"""From the names of axes to where the parameters live."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mmkd_jax.models._config import EncoderConfig
from mmkd_jax.models._parameters import Parameter, parameters

# Tables by their rows, attention by heads, dense maps by hidden units; what is left over by width.
RULES: Mapping[str, str | tuple[str, ...] | None] = MappingProxyType(
    {"vocabulary": "model", "heads": "model", "hidden": "model", "width": "fsdp"}
)
VOCABULARY_MULTIPLE = 128


def param_shardings(
    config: EncoderConfig, mesh: Mesh, rules: Mapping = RULES, heads: Sequence[str] = ()
) -> dict:
    """A sharding for every parameter.

    An axis stays whole where the mesh has no such axis, where it is not divided by it, or where
    an earlier axis of the same parameter has taken it.

    Example:
      >>> import jax
      >>> from mmkd_jax import models
      >>> config = models.EncoderConfig(
      ...     vocabulary_size=30, width=8, layers=2, heads=2, hidden_width=16, positions=12
      ... )
      >>> auto = (jax.sharding.AxisType.Auto,) * 2
      >>> devices = jax.devices()[:1]
      >>> mesh = jax.make_mesh((1, 1), ("fsdp", "model"), axis_types=auto, devices=devices)
      >>> shardings = models.param_shardings(config, mesh)
      >>> print(*shardings["layers"]["0"]["mlp"]["up"]["kernel"].spec)
      fsdp model

    Args:
      config: The encoder.
      mesh: The devices.
      rules: From the names of `logical_axes` to axes of the mesh, one, several or None.
      heads: Those of masked_lm, next_sentence and pooler that are wanted too.

    Returns:
      Nested dicts as of `abstract_params`, of ``NamedSharding``.
    """
    return jax.tree.map(
        lambda p: NamedSharding(mesh, partition(p, mesh, rules)), parameters(config, heads)
    )


def partition(parameter: Parameter, mesh: Mesh, rules: Mapping) -> PartitionSpec:
    taken: set[str] = set()
    spec: list[str | tuple[str, ...] | None] = []
    for size, name in zip(parameter.shape, parameter.axes, strict=True):
        axes = mesh_axes(name, mesh, rules)
        parts = math.prod(mesh.shape[axis] for axis in axes)
        if not axes or size % parts or taken & set(axes):
            spec.append(None)
            continue
        taken |= set(axes)
        spec.append(axes[0] if len(axes) == 1 else axes)
    return PartitionSpec(*spec)


def mesh_axes(name: str | None, mesh: Mesh, rules: Mapping) -> tuple[str, ...]:
    """The axes of the mesh that a rule names and the mesh has."""
    rule = rules.get(name) or ()
    axes = (rule,) if isinstance(rule, str) else tuple(rule)
    return tuple(axis for axis in axes if axis in mesh.shape)


def vocabulary_multiple(mesh: Mesh, rules: Mapping) -> int:
    """What the rows of a word table must be a multiple of, to be split over this mesh."""
    parts = math.prod(mesh.shape[axis] for axis in mesh_axes("vocabulary", mesh, rules))
    return 1 if parts == 1 else math.lcm(VOCABULARY_MULTIPLE, parts)
