"""MMKD's projector and predictor: small maps between a vector and the loss."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float


class Projection(nn.Module):
    """Dense, BatchNorm, ReLU, dense, and another BatchNorm without scale and shift.

    The *projector* of the paper; without the last BatchNorm its *predictor*. Neither dense map has
    a bias. BatchNorm takes mean and variance over all rows of the batch that ``where`` allows,
    which under ``jit`` are those of the global batch, however it is sharded.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> projector = models.Projection(hidden_width=6, width=4)
      >>> vectors = jax.random.normal(jax.random.key(0), (5, 3))
      >>> variables = projector.init(jax.random.key(1), vectors)
      >>> found, changed = projector.apply(
      ...     variables, vectors, deterministic=False, mutable=["batch_stats"])
      >>> print(found.shape, *changed["batch_stats"])
      (5, 4) norm_in norm_out

    Attributes:
      hidden_width: Between the two dense maps; 768 in the paper.
      width: Of the result; 128 in the paper's projector, and in its predictor.
      last_norm: False for the predictor.
      momentum: How much of the running mean and variance stays at each step.
      epsilon: Added to the variance.
      dtype: Of the matrix products. BatchNorm is computed in float32.

    References:
      Li et al., `Multi-level Distillation of Semantic Knowledge for Pre-training Multilingual
      Language Model <https://arxiv.org/abs/2211.01200>`_, 2022.
    """

    hidden_width: int
    width: int
    last_norm: bool = True
    momentum: float = 0.9
    epsilon: float = 1e-5
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        vectors: Float[Array, "*batch D"],
        where: Bool[Array, "*batch"] | None = None,
        deterministic: bool = True,
    ) -> Float[Array, "*batch P"]:
        """The projected vectors.

        Args:
          vectors: ``[..., D]``.
          where: ``[...]``, rows to be counted; the others are never read, and come out as 0.
          deterministic: False takes mean and variance from the batch, and moves the running ones
            (``mutable=["batch_stats"]``); True takes the running ones.

        Returns:
          ``[..., width]`` in float32.
        """
        if where is None:
            where = jnp.ones(vectors.shape[:-1], bool)
        if where.shape != vectors.shape[:-1]:
            raise ValueError(f"where must be [...] = {vectors.shape[:-1]}, got {where.shape}")
        x = jnp.where(where[..., None], vectors, 0.0)
        x = self._dense("dense_in", x, self.hidden_width)
        x = self._norm("norm_in", x, where, deterministic, affine=True)
        x = self._dense("dense_out", jax.nn.relu(x), self.width)
        if self.last_norm:
            x = self._norm("norm_out", x, where, deterministic, affine=False)
        return jnp.where(where[..., None], x, 0.0)

    def _dense(self, name: str, x: Array, width: int) -> Array:
        kernel = self.param(name, nn.initializers.lecun_normal(), (x.shape[-1], width))
        product = jnp.dot(
            x.astype(self.dtype),
            kernel.astype(self.dtype),
            preferred_element_type=jnp.float32,
        )
        return product.astype(jnp.float32)

    def _norm(self, name: str, x: Array, where: Array, deterministic: bool, affine: bool) -> Array:
        width = x.shape[-1:]
        running = self.variable("batch_stats", name, _fresh_statistics, *width)
        statistics = running.value if deterministic else _statistics(x, where)
        if not deterministic and not self.is_initializing():
            # A batch without any row says nothing.
            share = jnp.where(where.any(), 1 - self.momentum, 0.0)
            running.value = jax.tree.map(
                lambda old, new: old + share * (new - old), running.value, statistics
            )
        axes = (1,) * (x.ndim - 1)
        normal = x - statistics["mean"].reshape(*axes, -1)
        normal *= jax.lax.rsqrt(statistics["variance"] + self.epsilon).reshape(*axes, -1)
        if affine:
            scale = self.param(f"{name}_scale", nn.initializers.ones, width)
            bias = self.param(f"{name}_bias", nn.initializers.zeros, width)
            normal = normal * scale.reshape(*axes, -1) + bias.reshape(*axes, -1)
        return normal


def _fresh_statistics(width: int) -> dict[str, Array]:
    return {"mean": jnp.zeros(width), "variance": jnp.ones(width)}


def _statistics(x: Array, where: Array) -> dict[str, Array]:
    """Mean and variance of the rows that count. A batch without any has mean and variance 0."""
    rows, counted = x.reshape(-1, x.shape[-1]), where.reshape(-1, 1)
    number = jnp.maximum(counted.sum(), 1)
    mean = jnp.where(counted, rows, 0.0).sum(axis=0) / number
    squares = jnp.square(rows - mean.reshape(1, -1))
    return {"mean": mean, "variance": jnp.where(counted, squares, 0.0).sum(axis=0) / number}
