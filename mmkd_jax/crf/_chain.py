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

    Every sequence's score is ``offset`` plus the sum of its ``unary`` and ``transitions`` entries.
    The largest ``unary`` entry of a step is 0 (or -inf where no tag is possible), which keeps the
    digits of scores around +1000; the padding is 0.
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


def as_batch(chain: LinearChain, centred: bool = True) -> Batch:
    """Flattens the leading axes, folds start and end into the emissions, cleans the padding.

    Without ``centred`` the scores are left where they are, for callers who keep the digits of
    large ones themselves, and the offset is 0.
    """
    *leading, steps, tags = chain.emissions.shape
    dtype = _compute_dtype(chain)
    count = math.prod(leading)
    lengths = flat_lengths(chain)
    inside = is_inside(lengths, steps)[..., None]
    emissions = chain.emissions.reshape(count, steps, tags).astype(dtype)
    unary, offset = jnp.where(inside, emissions, 0.0), 0.0
    if centred:
        unary, offset = _centred(unary)
    if chain.start is not None or chain.end is not None:
        unary = unary + _boundary(chain, leading, lengths, dtype)
        if centred:
            # Twice, so that start and end meet scores near 0 and lose no digits to large ones.
            unary, second = _centred(unary)
            offset = offset + second
    transitions = _flat_transitions(chain.transitions, leading, tags).astype(dtype)
    offset = jnp.broadcast_to(offset, (count, steps, 1)).sum(axis=(1, 2)).astype(dtype)
    return Batch(unary, transitions, lengths, offset)


def flat_lengths(chain: LinearChain) -> Int[Array, "B"]:
    """The lengths of the flattened batch, clipped to [0, T]; T where none were given."""
    *leading, steps, _ = chain.emissions.shape
    if chain.lengths is None:
        return jnp.full((math.prod(leading),), steps, jnp.int32)
    # Widened before it is compared with T, which a narrow type may not hold.
    lengths = jnp.asarray(chain.lengths)
    lengths = lengths.astype(jnp.promote_types(lengths.dtype, jnp.int32))
    return jnp.clip(lengths, 0, steps).astype(jnp.int32).reshape(-1)


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


def _boundary(
    chain: LinearChain, leading: list[int], lengths: Int[Array, "B"], dtype: Any
) -> Float[Array, "B T N"]:
    """What start and end add to the first and the last step's scores."""
    step = jnp.arange(chain.emissions.shape[-2])[None, :, None]
    last_step = lengths[:, None, None] - 1
    total = jnp.zeros((), dtype)
    if chain.start is not None:
        start = _per_sequence(chain.start, leading, dtype)
        total = total + jnp.where((step == 0) & (step <= last_step), start, 0.0)
    if chain.end is not None:
        end = _per_sequence(chain.end, leading, dtype)
        total = total + jnp.where(step == last_step, end, 0.0)
    return total


def _centred(
    scores: Float[Array, "B T N"],
) -> tuple[Float[Array, "B T N"], Float[Array, "B T 1"]]:
    """Scores with each step's largest at 0, and what was taken out.

    The distribution does not change, so nothing is differentiated through the offset.
    """
    largest = lax.stop_gradient(scores.max(axis=-1, keepdims=True))
    largest = jnp.where(largest > -jnp.inf, largest, 0.0)
    return scores - largest, largest


def _per_sequence(value: Array, leading: list[int], dtype: Any) -> Float[Array, "#B 1 N"]:
    """A start or end field as [B, 1, N], or [1, 1, N] where it is shared."""
    tags = value.shape[-1]
    if value.ndim > 1:
        value = jnp.broadcast_to(value, (*leading, tags))
    return value.reshape(-1, 1, tags).astype(dtype)


def _flat_transitions(transitions: Array, leading: list[int], tags: int) -> Array:
    """[1, N, N] where all sequences share them, else [B, N, N] or [B, T-1, N, N]."""
    rank = transitions.ndim - len(leading)
    if transitions.ndim == 2 or (rank == 2 and set(transitions.shape[:-2]) == {1}):
        return transitions.reshape(1, tags, tags)
    tail = transitions.shape[-rank:]
    return jnp.broadcast_to(transitions, (*leading, *tail)).reshape(math.prod(leading), *tail)
