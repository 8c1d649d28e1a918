"""The devices as a grid, and what lies where on it."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mmkd_jax import models

AXES = ("data", "fsdp", "model")
_BATCH = PartitionSpec(("data", "fsdp"))


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeshSettings:
    """How many devices each axis has; -1 for one of them: all that are left.

    Attributes:
      data: Batches are split over it, parameters repeated.
      fsdp: Batches are split over it, and parameters too: each device keeps a part, and gets the
        others when it needs them.
      model: Each layer's heads and hidden units are split over it, and the vocabulary.
    """

    data: int = -1
    fsdp: int = 1
    model: int = 1

    def __post_init__(self):
        sizes = dataclasses.astuple(self)
        if sum(size == -1 for size in sizes) > 1 or any(size < 1 and size != -1 for size in sizes):
            raise ValueError(
                f"mesh must have sizes above 0, and -1 at most once, got {dataclasses.asdict(self)}"
            )

    def shape(self, devices: int) -> tuple[int, int, int]:
        """The sizes for so many devices; ValueError where they do not fit."""
        known = int(np.prod([size for size in dataclasses.astuple(self) if size > 0]))
        sizes = tuple(devices // known if n == -1 else n for n in dataclasses.astuple(self))
        if int(np.prod(sizes)) != devices:
            raise ValueError(
                f"mesh must hold the {devices} devices there are, got {dataclasses.asdict(self)}"
            )
        return sizes


def make_mesh(settings: MeshSettings, devices: Sequence[Any] | None = None) -> Mesh:
    """The grid. Its axes are "data", "fsdp" and "model".

    Of several slices of TPUs each holds a part of the axis "data": what it sends, once a step, is
    all that goes through the network between them.
    """
    devices = jax.devices() if devices is None else list(devices)
    shape = settings.shape(len(devices))
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    if shape[0] % slices:
        raise ValueError(
            f"mesh.data must be a multiple of the {slices} slices that the devices lie in, "
            f"got {shape[0]}"
        )
    if slices > 1:
        within = (shape[0] // slices, *shape[1:])
        grid = mesh_utils.create_hybrid_device_mesh(
            within, (slices, 1, 1), devices, allow_split_physical_axes=True
        )
    else:
        grid = mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    auto = (jax.sharding.AxisType.Auto,) * len(AXES)
    return Mesh(grid, AXES, axis_types=auto)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Examples are split over "data" and "fsdp"."""
    return NamedSharding(mesh, _BATCH)


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def rows_of_process(mesh: Mesh, batch_size: int) -> tuple[int, int]:
    """Which part of a batch this process feeds, and of how many equal ones.

    Usually one part a process. Processes that share all their examples, because the mesh splits
    layers over them, feed the same part.
    """
    places = batch_sharding(mesh).addressable_devices_indices_map((batch_size,))
    bounds = sorted({place[0].indices(batch_size)[:2] for place in places.values()})
    begin, end = bounds[0][0], bounds[-1][1]
    size = end - begin
    if sum(stop - start for start, stop in bounds) != size or begin % size or batch_size % size:
        raise ValueError(
            f"the mesh gives this process rows {bounds} of {batch_size}, which are not one block; "
            'make "data" * "fsdp" a multiple of the number of processes, or the other way round'
        )
    return begin // size, batch_size // size


def put_batch(batch: Any, mesh: Mesh, parts: int) -> Any:
    """This process's rows as parts of the global batch, one of so many equal ones."""
    sharding = batch_sharding(mesh)

    def put(rows: np.ndarray) -> jax.Array:
        shape = (len(rows) * parts, *rows.shape[1:])
        return jax.make_array_from_process_local_data(sharding, rows, shape)

    return jax.tree.map(put, batch)


def local_copy(tree: Any) -> Any:
    """Whole arrays on this process's first device, of arrays that are split over a mesh."""
    shardings = jax.tree.map(lambda array: replicated(array.sharding.mesh), tree)
    whole = jax.jit(lambda tree: tree, out_shardings=shardings)(tree)
    return jax.tree.map(lambda array: array.addressable_data(0), whole)


def shardings_of(tree: Any, known: Mapping[tuple[str, ...], NamedSharding], mesh: Mesh) -> Any:
    """A sharding for each leaf: that of the parameter at the end of its path, or replicated.

    An optimiser's state holds trees that look like the parameters', somewhere deep inside.

    Args:
      tree: Arrays or their shapes.
      known: Shardings by the path of the parameter.
      mesh: The devices.
    """
    longest = max(map(len, known), default=0)

    def find(path: tuple, leaf: Any) -> NamedSharding:
        names = tuple(_name(entry) for entry in path)
        for length in range(min(longest, len(names)), 0, -1):
            found = known.get(names[-length:])
            if found is not None and len(found.spec) <= len(leaf.shape):
                return found
        return replicated(mesh)

    return jax.tree_util.tree_map_with_path(find, tree)


def encoder_shardings(
    config: models.EncoderConfig, mesh: Mesh, heads: Sequence[str], prefix: tuple[str, ...]
) -> dict[tuple[str, ...], NamedSharding]:
    """The shardings of an encoder's parameters, by path."""
    tree = models.param_shardings(config, mesh, heads=heads)
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {(*prefix, *(_name(entry) for entry in path)): sharding for path, sharding in flat}


def gatherer(known: Mapping[tuple[str, ...], NamedSharding], mesh: Mesh) -> Callable[[Any], Any]:
    """Puts together, before they are used, the parameters that "fsdp" has split.

    Without it XLA may split what the layers compute instead, by width, and repeat the batch.
    """
    if mesh.shape["fsdp"] == 1:
        return lambda params: params

    def gather(params: Any) -> Any:
        where = shardings_of(params, known, mesh)
        whole = jax.tree.map(_without_fsdp, where)
        return jax.lax.with_sharding_constraint(params, whole)

    return gather


def _without_fsdp(sharding: NamedSharding) -> NamedSharding:
    spec = [None if axis == "fsdp" else axis for axis in sharding.spec]
    return NamedSharding(sharding.mesh, PartitionSpec(*spec))


def _name(entry: Any) -> str:
    return str(getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", entry))))
