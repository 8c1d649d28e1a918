"""Random chains of a few fixed shapes: every new shape costs a compilation."""

import numpy as np

from mmkd_jax.crf import LinearChain

RAGGED = np.arange(6, dtype=np.int32)  # lengths 0 to 5
KINDS = ("shared", "one a sequence", "one a step")


def transitions_shape(kind: str, leading: tuple[int, ...], steps: int, tags: int) -> tuple:
    """The shape of each kind of transitions."""
    return {
        "shared": (tags, tags),
        "one a sequence": (*leading, tags, tags),
        "one a step": (*leading, steps - 1, tags, tags),
    }[kind]


def random_chain(
    seed: int = 0,
    leading: tuple[int, ...] = (6,),
    steps: int = 5,
    tags: int = 3,
    kind: str = "shared",
    ends: str | None = "shared",
    lengths: np.ndarray | None = RAGGED,
    scale: float = 1.5,
    dtype=np.float32,
) -> LinearChain:
    """Normally distributed scores; ``ends`` is None, "shared" or "one a sequence"."""
    random = np.random.default_rng(seed)

    def draw(*shape):
        return random.normal(scale=scale, size=shape).astype(dtype)

    end_shape = (*(leading if ends == "one a sequence" else ()), tags)
    return LinearChain(
        draw(*leading, steps, tags),
        draw(*transitions_shape(kind, leading, steps, tags)),
        None if ends is None else draw(*end_shape),
        None if ends is None else draw(*end_shape),
        lengths,
    )


def forbid(chain: LinearChain, seed: int, share: float = 0.25, keep=()) -> LinearChain:
    """The chain with a random share of all its scores at -inf."""
    random = np.random.default_rng(seed)

    def some(name):
        value = getattr(chain, name)
        if value is None or name in keep:
            return value
        return np.where(random.random(value.shape) < share, -np.inf, value).astype(value.dtype)

    names = ("emissions", "transitions", "start", "end")
    return LinearChain(*(some(name) for name in names), chain.lengths)
