"""The laws that every loss obeys, each stated once.

A test file describes its loss by a `Case` and is parametrized over `LAWS`.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jax.test_util import check_grads

BATCH = 8  # one example a device


@dataclasses.dataclass(frozen=True)
class Case:
    """A loss with arguments to try it on.

    Attributes:
      loss: takes the arrays and returns one value an example.
      arrays: its arguments, floats as float64.
      reference: the same as a plain formula in numpy: takes one example (the whole batch if the
        loss compares examples), returns its value.
      shared: the positions of arguments that have no batch axis.
      compares: whether the loss compares the examples of a batch, so that it has no meaning for
        one alone.
    """

    loss: Callable[..., jax.Array]
    arrays: tuple[np.ndarray, ...]
    reference: Callable[..., float | np.ndarray]
    shared: tuple[int, ...] = ()
    compares: bool = False

    @property
    def floats(self) -> tuple[int, ...]:
        return tuple(i for i, a in enumerate(self.arrays) if a.dtype.kind == "f")

    def single(self) -> tuple[jax.Array, ...]:
        """The arguments as JAX sees them by default, in float32."""
        return tuple(
            jnp.asarray(a, jnp.float32 if a.dtype.kind == "f" else None) for a in self.arrays
        )

    def examples(self, arrays=None) -> Iterator[tuple]:
        arrays = self.arrays if arrays is None else arrays
        for b in range(BATCH):
            yield tuple(a if i in self.shared else a[b] for i, a in enumerate(arrays))

    def specs(self, names: PartitionSpec) -> tuple[PartitionSpec, ...]:
        return tuple(
            PartitionSpec() if i in self.shared else names for i in range(len(self.arrays))
        )


def total_and_gradients(loss: Callable, floats: tuple[int, ...]) -> Callable:
    """Of the mean of squares, so that every example weighs differently."""
    return jax.value_and_grad(lambda *arrays: jnp.square(loss(*arrays)).mean(), floats)


def values_are_those_of_the_formula(case: Case):
    if case.compares:
        expected = case.reference(*case.arrays)
    else:
        expected = [case.reference(*example) for example in case.examples()]
    with jax.enable_x64(True):
        found = case.loss(*map(jnp.asarray, case.arrays))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert np.any(np.abs(expected) > 1e-3), "a case of zeros shows nothing"


def a_batch_is_its_examples(case: Case):
    if case.compares:
        return
    arrays = case.single()
    alone = jnp.stack([case.loss(*example) for example in case.examples(arrays)])
    assert alone.shape == (BATCH,)
    np.testing.assert_allclose(case.loss(*arrays), alone, rtol=1e-5, atol=1e-6)


def more_leading_axes_are_more_examples(case: Case):
    if case.compares:
        return
    arrays = case.single()
    split = [
        a if i in case.shared else a.reshape(2, BATCH // 2, *a.shape[1:])
        for i, a in enumerate(arrays)
    ]
    found = case.loss(*split)
    assert found.shape == (2, BATCH // 2)
    np.testing.assert_allclose(found.ravel(), case.loss(*arrays), rtol=1e-5, atol=1e-6)


def vmap_is_a_loop(case: Case):
    arrays = case.single()
    axes = [None if i in case.shared else 0 for i in range(len(arrays))]
    if case.compares:
        batches = [jnp.stack([a, jnp.flip(a, axis=0)]) for a in arrays]
        expected = jnp.stack([case.loss(*arrays), jnp.flip(case.loss(*arrays))])
    else:
        batches, expected = arrays, case.loss(*arrays)
    mapped = jax.jit(jax.vmap(case.loss, axes))(*batches)
    np.testing.assert_allclose(mapped, expected, rtol=1e-5, atol=1e-6)


def gradients_are_finite_differences(case: Case):
    with jax.enable_x64(True):
        arrays = [jnp.asarray(a) for a in case.arrays]

        def of_floats(*floats):
            given = list(arrays)
            for i, value in zip(case.floats, floats, strict=True):
                given[i] = jnp.asarray(value)
            return case.loss(*given)

        check_grads(of_floats, [arrays[i] for i in case.floats], order=1, modes=["rev"])


def narrow_floats_are_raised(case: Case):
    for dtype in (jnp.bfloat16, jnp.float16):
        narrow = [a.astype(dtype) if i in case.floats else a for i, a in enumerate(case.single())]
        wide = [a.astype(jnp.float32) if i in case.floats else a for i, a in enumerate(narrow)]
        found = case.loss(*narrow)
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, case.loss(*wide), rtol=1e-5, atol=1e-6)
    gradients = jax.grad(lambda *a: case.loss(*a).sum(), case.floats)(*narrow)
    assert {g.dtype for g in gradients} == {jnp.dtype(jnp.float16)}


def numpy_arrays_are_arrays(case: Case):
    arrays = case.single()
    with unchecked_signatures():
        found = case.loss(*map(np.asarray, arrays))
    np.testing.assert_array_equal(found, case.loss(*arrays))


def products_have_the_highest_precision(case: Case):
    function = total_and_gradients(case.loss, case.floats)
    for dot in _dots(jax.make_jaxpr(function)(*case.single()).jaxpr):
        assert set(np.atleast_1d(dot.params["precision"])) == {lax.Precision.HIGHEST}, dot


def shards_make_no_difference(case: Case):
    """Global view: the same function on arrays that lie on eight devices."""
    mesh, arrays = _mesh(), case.single()
    function = jax.jit(lambda *a: (case.loss(*a), total_and_gradients(case.loss, case.floats)(*a)))
    sharded = [
        jax.device_put(a, NamedSharding(mesh, spec))
        for a, spec in zip(arrays, case.specs(PartitionSpec("data")), strict=True)
    ]
    jax.tree.map(_assert_equal, function(*sharded), function(*arrays))


def under_shard_map_a_shard_is_a_batch(case: Case):
    if case.compares:
        return
    mesh, arrays = _mesh(), case.single()
    specs = case.specs(PartitionSpec("data"))
    run = partial(jax.shard_map, mesh=mesh, in_specs=specs)
    _assert_equal(
        jax.jit(run(case.loss, out_specs=PartitionSpec("data")))(*arrays), case.loss(*arrays)
    )

    def inside(*shard):
        def mean(*shard):
            return lax.pmean(jnp.square(case.loss(*shard)).mean(), "data")

        return jax.grad(mean, case.floats)(*shard)

    gradients = jax.jit(run(inside, out_specs=tuple(specs[i] for i in case.floats)))(*arrays)
    expected = total_and_gradients(case.loss, case.floats)(*arrays)[1]
    jax.tree.map(_assert_equal, gradients, expected)


LAWS = [
    values_are_those_of_the_formula,
    a_batch_is_its_examples,
    more_leading_axes_are_more_examples,
    vmap_is_a_loop,
    gradients_are_finite_differences,
    narrow_floats_are_raised,
    numpy_arrays_are_arrays,
    products_have_the_highest_precision,
    shards_make_no_difference,
    under_shard_map_a_shard_is_a_batch,
]

every_law = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)


def never_reads(loss: Callable, clean: tuple, spoiled: tuple) -> None:
    """Neither values nor gradients change when what a mask hides is spoiled."""
    clean, spoiled = map(jnp.asarray, clean), map(jnp.asarray, spoiled)
    clean, spoiled = tuple(clean), tuple(spoiled)
    floats = tuple(i for i, a in enumerate(clean) if jnp.issubdtype(a.dtype, jnp.floating))
    assert any(not np.array_equal(a, b) for a, b in zip(clean, spoiled, strict=True))
    both = jax.jit(lambda *a: (loss(*a), total_and_gradients(loss, floats)(*a)[1]))
    expected, found = both(*clean), both(*spoiled)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(expected))
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def finite(loss: Callable, *arrays) -> jax.Array:
    """The values, which are finite, as are all gradients."""
    arrays = tuple(map(jnp.asarray, arrays))
    floats = tuple(i for i, a in enumerate(arrays) if jnp.issubdtype(a.dtype, jnp.floating))
    values = loss(*arrays)
    gradients = jax.grad(lambda *a: loss(*a).sum(), floats)(*arrays)
    for leaf in (values, *gradients):
        assert np.isfinite(leaf).all(), leaf
    return values


@contextlib.contextmanager
def unchecked_signatures() -> Iterator[None]:
    """As users run it, who do not check the types in signatures as the tests do."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


@contextlib.contextmanager
def rejected(match: str) -> Iterator[None]:
    with unchecked_signatures(), pytest.raises(ValueError, match=match):
        yield


def _mesh() -> jax.sharding.Mesh:
    return jax.make_mesh((BATCH,), ("data",), axis_types=(AxisType.Auto,))


def _assert_equal(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def _dots(jaxpr) -> Iterator:
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            yield equation
        for parameter in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")
        ):
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                yield from _dots(inner)
