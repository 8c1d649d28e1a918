"""How much of the teacher, how much of the gold labels, as training goes on."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float, Real

_KINDS = ("linear", "cosine", "constant")

Schedule = Callable[[int | float | Real[Array, "*n"]], Float[Array, "*n"]]


def annealing(
    kind: str = "linear",
    steps: int | float | None = None,
    *,
    start: int | float = 1.0,
    floor: int | float = 0.0,
    every: int = 1,
) -> Schedule:
    r"""A schedule of :math:`\lambda`, the weight of distillation in the loss.

    .. math:: L = \lambda \, L_{distil} + (1 - \lambda) \, L_{gold}

    with, at :math:`x = step / steps`, never below the floor:

    ======== ============================================
    linear   :math:`start \cdot (1 - x)`
    cosine   :math:`start \cdot (1 + \cos \pi x) / 2`
    constant :math:`start`
    ======== ============================================

    The linear kind is the papers' *teacher annealing*
    :math:`\lambda = \max(0, 1 - e \tau / 100)` after :math:`e` epochs: it takes
    :math:`100 / \tau` epochs to fall to 0. Counted in whole epochs, as in the first paper's
    training from scratch, λ holds still for an epoch (``every``); counted in fractions of an
    epoch, as in its fine-tuning, λ moves with every step.

    Example:
      >>> from mmkd_jax import losses
      >>> tau, epoch = 10, 200  # an epoch has 200 steps
      >>> by_epoch = losses.annealing("linear", 100 / tau * epoch, every=epoch)
      >>> print(by_epoch(0), by_epoch(199), by_epoch(200), by_epoch(5000))
      1.0 1.0 0.9 0.0
      >>> by_step = losses.annealing("linear", 100 / tau * epoch)
      >>> print(by_step(0), by_step(100), by_step(5000))
      1.0 0.95 0.0
      >>> print(losses.annealing("constant", start=0.5)(7))
      0.5

    Args:
      kind: ``"linear"``, ``"cosine"`` or ``"constant"``.
      steps: in how many steps λ falls to 0 (or would, without a floor). The constant kind has no
        use for it.
      start: λ at step 0.
      floor: λ never falls below this, so that the teacher is never lost from sight.
      every: λ changes only every so many steps.

    Returns:
      A function of the step, which may be traced and of any shape, as optax's schedules are.

    References:
      Clark et al., `BAM! <https://arxiv.org/abs/1907.04829>`_, 2019 (teacher annealing); Wang et
      al., `Structure-Level Knowledge Distillation for Multilingual Sequence Labeling
      <https://arxiv.org/abs/2004.03846>`_, 2020. The released code calls τ ``anneal_factor``, as
      it does two other things, and has the linear and the constant kind, without a floor.
    """
    if kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}, got {kind!r}")
    if kind != "constant" and (steps is None or not steps > 0):
        raise ValueError(f"steps must be a positive number for the {kind} kind, got {steps}")
    if every != int(every) or every < 1:
        raise ValueError(f"every must be a positive whole number of steps, got {every}")
    if not 0 <= floor <= start:
        raise ValueError(f"floor must lie between 0 and start = {start}, got {floor}")

    def schedule(step: int | float | Real[Array, "*n"]) -> Float[Array, "*n"]:
        # Whole numbers until here: float32 would miscount the steps beyond 2 ** 24.
        counted = jnp.asarray(step) // every * every
        if kind == "constant":
            return jnp.full(counted.shape, start, jnp.float32)
        x = jnp.clip(counted.astype(jnp.float32) / steps, 0.0, 1.0)
        share = 1.0 - x if kind == "linear" else (1.0 + jnp.cos(jnp.pi * x)) / 2
        return jnp.maximum(start * share, floor)

    return schedule
