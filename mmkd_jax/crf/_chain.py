"""The linear chain: what a user builds, and the checked, flat form the algorithms work on."""

import dataclasses
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Shaped


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LinearChain:
    r"""The scores of a linear-chain CRF over tag sequences.

    A tag sequence :math:`y_1 \dots y_n` has the (unnormalised, log) score

    .. math:: s(y) = start_{y_1} + \sum_t emissions_{t, y_t}
              + \sum_{t > 1} transitions_{y_{t-1}, y_t} + end_{y_n}

    and the probability :math:`p(y) = e^{s(y)} / \sum_{y'} e^{s(y')}`.

    The fields are stored as given and never checked here, so that ``jax.vmap`` and tree maps can
    build one; the functions of this package check them. ``-inf`` is a legal score everywhere and
    forbids what it stands for. What lies behind ``lengths`` is never read.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> emissions, transitions = jnp.zeros((2, 5, 3)), jnp.zeros((3, 3))
      >>> chain = crf.LinearChain(emissions, transitions, lengths=jnp.array([5, 2]))
      >>> print(crf.log_partition(chain))  # 3 ** 5 and 3 ** 2 sequences, all alike
      [5.4930615 2.1972246]

    Attributes:
      emissions: ``[..., T, N]``, the score of each tag at each step.
      transitions: the score of going from one tag (row) to the next (column): shared ``[N, N]``,
        one a sequence ``[..., N, N]``, or one a step ``[..., T-1, N, N]``. Leading axes may be 1.
      start: ``[N]`` or ``[..., N]``, or None: the score of the first tag.
      end: ``[N]`` or ``[..., N]``, or None: the score of the last tag.
      lengths: ``[...]`` integers, clipped to ``[0, T]``, or None where all have length T.
    """

    emissions: Any
    transitions: Any
    start: Any = None
    end: Any = None
    lengths: Any = None


class Batch(NamedTuple):
    """A chain made uniform: one batch axis, start and end folded in, nothing to be wary of.

    A path's score is ``offset`` plus the sum of its ``unary`` and ``transitions`` entries. The
    largest emission of every step is 0 (or -inf), which keeps the digits of scores around +1000.
    The padding is 0.
    """

    unary: Float[Array, "B T N"]
    transitions: Array  # shared [1, N, N] | [B, N, N] | one a step [B, T-1, N, N]
    lengths: Int[Array, "B"]
    offset: Float[Array, "B"]


def tags_count(chain: LinearChain) -> int:
    """N."""
    return chain.emissions.shape[-1]


def leading_shape(chain: LinearChain) -> tuple[int, ...]:
    """The batch axes, ``...`` in every signature of this package."""
    return chain.emissions.shape[:-2]


def check(chain: LinearChain, name: str = "chain") -> None:
    """Raises ValueError, naming field, shape and rule, where a static shape or dtype is wrong."""
    emissions = chain.emissions
    _check_float(emissions, f"{name}.emissions")
    if emissions.ndim < 2 or 0 in emissions.shape[-2:]:
        raise ValueError(
            f"{name}.emissions must be [..., T, N] with T and N at least 1, got {emissions.shape}"
        )
    *leading, steps, tags = emissions.shape
    _check_float(chain.transitions, f"{name}.transitions")
    _check_transitions(chain.transitions.shape, tuple(leading), steps, tags, name)
    for field in ("start", "end"):
        value = getattr(chain, field)
        if value is None:
            continue
        _check_float(value, f"{name}.{field}")
        shape = value.shape
        if shape != (tags,) and not (shape[-1:] == (tags,) and _fits(shape[:-1], leading)):
            raise ValueError(
                f"{name}.{field} must be [N] or [..., N] = {(*leading, tags)}, got {shape}"
            )
    if chain.lengths is not None:
        check_integers(chain.lengths, tuple(leading), f"{name}.lengths", "[...]")


def check_integers(value: Any, shape: tuple[int, ...], name: str, rule: str) -> None:
    """Raises ValueError unless ``value`` holds integers in just this shape."""
    if not jnp.issubdtype(jnp.result_type(value), jnp.integer):
        raise ValueError(f"{name} must hold integers, got dtype {jnp.result_type(value)}")
    if jnp.shape(value) != shape:
        raise ValueError(f"{name} must be {rule} = {shape}, got {jnp.shape(value)}")


def check_same_shape(p: LinearChain, q: LinearChain) -> None:
    """Raises ValueError unless p and q are chains over the same steps, tags and batch."""
    check(p, "p")
    check(q, "q")
    if p.emissions.shape != q.emissions.shape:
        raise ValueError(
            "p.emissions and q.emissions must have the same shape [..., T, N], "
            f"got {p.emissions.shape} and {q.emissions.shape}"
        )


def as_batch(chain: LinearChain) -> Batch:
    """Flattens the leading axes, folds start and end into the emissions, cleans the padding."""
    *leading, steps, tags = chain.emissions.shape
    dtype = _compute_dtype(chain)
    count = math.prod(leading)
    chain = _on_equal_terms(dataclasses.replace(chain, lengths=flat_lengths(chain)))
    lengths = chain.lengths
    inside = is_inside(lengths, steps)[..., None]
    emissions = chain.emissions.reshape(count, steps, tags).astype(dtype)
    largest = largest_finite(emissions, axis=-1)
    unary = jnp.where(inside, emissions - largest, 0.0)
    offset = jnp.where(inside, largest, 0.0).sum(axis=(1, 2))
    if chain.start is not None or chain.end is not None:
        nothing = jnp.zeros((1, tags), dtype)
        start, end = (
            nothing if field is None else _per_sequence(field, leading, dtype)
            for field in (chain.start, chain.end)
        )
        unary = _with_boundary(unary, start, end, lengths)
    transitions = _flat_transitions(chain.transitions, leading, tags).astype(dtype)
    if transitions.ndim == 4:
        transitions = jnp.where(inside[:, 1:, None], transitions, 0.0)
    return Batch(unary, transitions, lengths, offset)


def largest_finite(scores: Array, axis: int | tuple[int, ...]) -> Array:
    """The largest along the axes, which stay, or 0 where all are -inf; it has no gradient.

    What is only taken out of scores to keep their digits, and put back later, needs none.
    """
    largest = lax.stop_gradient(scores).max(axis=axis, keepdims=True)
    return jnp.where(largest > -jnp.inf, largest, 0.0)


def flat_lengths(chain: LinearChain) -> Int[Array, "B"]:
    """The lengths of the flattened batch, clipped to [0, T]; T where none were given."""
    *leading, steps, _ = chain.emissions.shape
    if chain.lengths is None:
        return jnp.full((math.prod(leading),), steps, jnp.int32)
    # Widened before it is compared with T, which a narrow type may not hold.
    lengths = jnp.asarray(chain.lengths)
    lengths = lengths.astype(jnp.promote_types(lengths.dtype, jnp.int32))
    return jnp.clip(lengths, 0, steps).astype(jnp.int32).reshape(-1)


def _on_equal_terms(chain: LinearChain) -> LinearChain:
    """Under `jax.shard_map`, lets what all devices share vary over them like the rest.

    The derivatives written by hand here return what one device has to say of a shared field; this
    is where JAX sums it over the devices.
    """
    axes = [jax.typeof(leaf).manual_axis_type.varying for leaf in jax.tree.leaves(chain)]
    everywhere = frozenset().union(*axes)

    def varying(leaf):
        missing = everywhere - jax.typeof(leaf).manual_axis_type.varying
        return lax.pcast(leaf, tuple(sorted(missing)), to="varying") if missing else leaf

    return jax.tree.map(varying, chain)


def is_inside(lengths: Int[Array, "B"], steps: int) -> Bool[Array, "B T"]:
    """True before each length, false in the padding."""
    return jnp.arange(steps)[None] < lengths[:, None]


def mask_to_lengths(mask: Shaped[Array | np.ndarray, "*batch T"]) -> Int[Array, "*batch"]:
    """The lengths behind a right-padded mask: true for the first ``length`` steps, false after.

    A mask of another form has no lengths and is a ValueError where its values are known; under
    ``jit`` they are not, and the number of true steps is returned.

    Example:
      >>> import numpy as np
      >>> from mmkd_jax import crf
      >>> crf.mask_to_lengths(np.array([[1, 1, 0], [1, 1, 1]]))
      Array([2, 3], dtype=int32)

    Args:
      mask: ``[..., T]``, boolean or 0/1.

    Returns:
      ``[...]`` int32.
    """
    if not isinstance(mask, jax.core.Tracer):
        values = np.asarray(mask)
        if values.size and not np.isin(values, (0, 1)).all():
            raise ValueError("mask must be boolean or 0/1")
        gaps = np.argwhere(np.diff(values.astype(np.int8), axis=-1) > 0)
        if len(gaps):
            raise ValueError(
                "mask must be right-padded: true steps first, then false ones; it turns from "
                f"false to true after index {tuple(gaps[0].tolist())}"
            )
    return jnp.asarray(mask).astype(jnp.int32).sum(axis=-1)


def _check_float(value: Any, name: str) -> None:
    if not jnp.issubdtype(jnp.result_type(value), jnp.floating):
        raise ValueError(f"{name} must hold floats, got dtype {jnp.result_type(value)}")


def _check_transitions(
    shape: tuple[int, ...], leading: tuple[int, ...], steps: int, tags: int, name: str
) -> None:
    rank = len(shape) - len(leading)
    good = (
        shape == (tags, tags)
        or (rank == 2 and _fits(shape[:-2], leading) and shape[-2:] == (tags, tags))
        or (rank == 3 and _fits(shape[:-3], leading) and shape[-3:] == (steps - 1, tags, tags))
    )
    if not good:
        raise ValueError(
            f"{name}.transitions must be [N, N] = {(tags, tags)}, [..., N, N] = "
            f"{(*leading, tags, tags)} or [..., T-1, N, N] = {(*leading, steps - 1, tags, tags)} "
            f"(leading axes may be 1), got {shape}"
        )


def _fits(shape: tuple[int, ...], full: Any) -> bool:
    """Whether the axes are those of ``full``, or 1 in their place."""
    return len(shape) == len(full) and all(a in (1, b) for a, b in zip(shape, full, strict=True))


def _compute_dtype(chain: LinearChain) -> Any:
    """float32, or float64 where a field is: halves are raised, doubles kept."""
    fields = (chain.emissions, chain.transitions, chain.start, chain.end)
    return jnp.result_type(*(field for field in fields if field is not None), jnp.float32)


@jax.custom_vjp
def _with_boundary(
    unary: Float[Array, "B T N"],
    start: Float[Array, "#B N"],
    end: Float[Array, "#B N"],
    lengths: Int[Array, "B"],
) -> Float[Array, "B T N"]:
    """Adds start to the first step and end to the last one.

    Its derivative is written by hand because it needs two rows, where autodiff would sum over two
    masked copies of the whole array.
    """
    step = jnp.arange(unary.shape[1])[None, :, None]
    last_step = lengths[:, None, None] - 1
    unary = unary + jnp.where((step == 0) & (step <= last_step), start[:, None], 0.0)
    return unary + jnp.where(step == last_step, end[:, None], 0.0)


def _with_boundary_forward(unary, start, end, lengths):
    return _with_boundary(unary, start, end, lengths), (start, end, lengths)


def _with_boundary_backward(residuals, cotangent):
    start, end, lengths = residuals
    last_step = jnp.maximum(lengths - 1, 0)[:, None, None]
    rows = cotangent[:, 0], jnp.take_along_axis(cotangent, last_step, axis=1)[:, 0]
    rows = (jnp.where((lengths > 0)[:, None], row, 0.0) for row in rows)
    d_start, d_end = (
        row.sum(axis=0, keepdims=True) if len(field) == 1 else row
        for row, field in zip(rows, (start, end), strict=True)
    )
    return cotangent, d_start, d_end, None


_with_boundary.defvjp(_with_boundary_forward, _with_boundary_backward)


def _per_sequence(value: Array, leading: list[int], dtype: Any) -> Float[Array, "#B N"]:
    """A start or end field as [B, N], or [1, N] where it is shared."""
    tags = value.shape[-1]
    if value.ndim > 1:
        value = jnp.broadcast_to(value, (*leading, tags))
    return value.reshape(-1, tags).astype(dtype)


def _flat_transitions(transitions: Array, leading: list[int], tags: int) -> Array:
    """[1, N, N] where all sequences share them, else [B, N, N] or [B, T-1, N, N]."""
    rank = transitions.ndim - len(leading)
    if transitions.ndim == 2 or (rank == 2 and set(transitions.shape[:-2]) == {1}):
        return transitions.reshape(1, tags, tags)
    tail = transitions.shape[-rank:]
    return jnp.broadcast_to(transitions, (*leading, *tail)).reshape(math.prod(leading), *tail)
