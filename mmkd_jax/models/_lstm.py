"""A bidirectional LSTM over ragged sentences."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Bool, Float

GATES = 4  # in this order: input, forget, cell, output


class BiLSTM(nn.Module):
    """LSTMs that read a sentence from both sides, in as many layers as wanted.

    Padding is never read and touches no state: the reader from the right begins at each sentence's
    own last word. The inputs' share of the gates is one product of matrices for all steps and both
    directions; both directions take their steps together, so that there are T of them and not 2T.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from mmkd_jax import models
      >>> x, mask = jnp.ones((2, 5, 3)), jnp.array([[True] * 5, [True] * 2 + [False] * 3])
      >>> (hidden, layers), params = models.BiLSTM(width=4).init_with_output(
      ...     jax.random.key(0), x, mask)
      >>> print(hidden.shape, layers.shape, hidden[1, 2:].any())
      (2, 5, 8) (1, 2, 5, 8) False

    Attributes:
      width: Of each direction.
      layers: How many.
      dropout: Locked (one mask a sentence, the same at every step) on what goes into each layer
        but the first, in training.
      dtype: Of the matrix products; states and gates are float32.

    References:
      Hochreiter and Schmidhuber, Long Short-Term Memory, 1997; Gal and Ghahramani, `A Theoretically
      Grounded Application of Dropout in Recurrent Neural Networks
      <https://arxiv.org/abs/1512.05287>`_, 2016.
    """

    width: int
    layers: int = 1
    dropout: float = 0.0
    dtype: str = "float32"

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "*batch T D"],
        mask: Bool[Array, "*batch T"],
        deterministic: bool = True,
    ) -> tuple[Float[Array, "*batch T H2"], Float[Array, "L *batch T H2"]]:
        """Hidden states from both sides.

        Args:
          x: ``[..., T, D]``.
          mask: ``[..., T]``, the words that are there.
          deterministic: False for dropout, which takes ``rngs={"dropout": key}``.

        Returns:
          The last layer's states ``[..., T, 2 width]``, from the left and from the right, 0 where
          there is no word; and those of all layers.
        """
        if mask.shape != x.shape[:-1]:
            raise ValueError(f"mask must be [..., T] = {x.shape[:-1]}, got {mask.shape}")
        shape = x.shape[:-1]
        x, mask = x.reshape(-1, *x.shape[-2:]), mask.reshape(-1, shape[-1])
        x = jnp.where(mask[..., None], x, 0.0)
        outputs = []
        for number in range(self.layers):
            if number and not deterministic:
                x = locked_dropout(x, self.dropout, self.make_rng("dropout"))
            params = {
                name: self.param(f"layer_{number}_{name}", initialiser, shape)
                for name, (initialiser, shape) in _parameters(x.shape[-1], self.width).items()
            }
            x = both_directions(params, x, mask, jnp.dtype(self.dtype))
            outputs.append(x.reshape(*shape, 2 * self.width))
        return outputs[-1], jnp.stack(outputs)


def both_directions(
    params: dict[str, Array],
    x: Float[Array, "B T D"],
    mask: Bool[Array, "B T"],
    dtype: Any = jnp.float32,
) -> Float[Array, "B T H2"]:
    """One layer. Parameters: input [D, 2, 4 H], recurrent [2, H, 4 H], bias [2, 4 H]."""
    batch, steps, _ = x.shape
    width = params["recurrent"].shape[1]
    kernel = params["input"].astype(dtype).reshape(x.shape[-1], -1)
    gates = _product("btd,dg->tbg", x.astype(dtype), kernel) + params["bias"].reshape(1, 1, -1)
    gates = gates.reshape(steps, batch, 2, GATES * width)
    there = mask.T[..., None]
    # What is read from the right is turned round in time.
    gates, there = _turned(gates[:, :, 0], gates[:, :, 1]), _turned(there, there)
    # Under shard_map the derivative by weights that all devices share is summed over them; it is
    # so if the weights are first placed as the sentences are, of which this 0 knows.
    recurrent = params["recurrent"].astype(dtype) + (0 * there.sum()).astype(dtype)
    states = _states(gates, recurrent, there)
    states = jnp.concatenate([states[:, 0], states[::-1, 1]], axis=-1)
    return jnp.where(mask[..., None], jnp.swapaxes(states, 0, 1), 0.0)


@jax.custom_vjp
def _states(
    gates: Float[Array, "T 2 B G"], recurrent: Float[Array, "2 H G"], there: Bool[Array, "T 2 B 1"]
) -> Float[Array, "T 2 B H"]:
    """The hidden state after each step, from the inputs' share of the gates.

    Its derivative by the recurrent weights is one product of matrices after the loop, where that
    of the loop would add one up at every step, all of it in memory and out again.
    """
    return _forward(gates, recurrent, there)[0]


def _forward(gates: Array, recurrent: Array, there: Array) -> tuple[Array, tuple]:
    def step(state, inputs):
        hidden, cell = state
        gates, there = inputs
        gates = gates + _product("xbh,xhg->xbg", hidden.astype(recurrent.dtype), recurrent)
        new_hidden, new_cell = _cell(gates, cell)
        hidden = jnp.where(there, new_hidden, hidden)
        cell = jnp.where(there, new_cell, cell)
        return (hidden, cell), (hidden, cell, gates)

    # Zeros that are placed as the gates are: under shard_map a carry must keep its own place.
    nothing = jnp.zeros_like(gates[0, ..., : recurrent.shape[1]])
    _, (hidden, cells, gates) = lax.scan(step, (nothing, nothing), (gates, there))
    return hidden, (hidden, cells, gates, recurrent, there)


def _backward(residuals: tuple, gradient: Array) -> tuple[Array, Array, None]:
    hidden, cells, gates, recurrent, there = residuals

    def step(carry, inputs):
        of_hidden, of_cell = carry
        gradient, gates, cell_before, there = inputs
        of_hidden = of_hidden + gradient
        _, pull = jax.vjp(_cell, gates, cell_before)
        of_gates, of_cell_before = pull(
            (jnp.where(there, of_hidden, 0.0), jnp.where(there, of_cell, 0.0))
        )
        of_hidden = jnp.where(there, 0.0, of_hidden)
        of_hidden += _product("xbg,xhg->xbh", of_gates.astype(recurrent.dtype), recurrent)
        of_cell = jnp.where(there, 0.0, of_cell) + of_cell_before
        return (of_hidden, of_cell), of_gates

    nothing = jnp.zeros_like(hidden[0])
    inputs = gradient, gates, _before(cells), there
    _, of_gates = lax.scan(step, (nothing, nothing), inputs, reverse=True)
    narrow = (x.astype(recurrent.dtype) for x in (_before(hidden), of_gates))
    of_recurrent = _product("txbh,txbg->xhg", *narrow)
    return of_gates, of_recurrent.astype(recurrent.dtype), None


_states.defvjp(_forward, _backward)


def _before(states: Array) -> Array:
    """Those of the step before; 0 at the first."""
    return jnp.concatenate([jnp.zeros_like(states[:1]), states[:-1]])


def locked_dropout(x: Float[Array, "*batch T D"], rate: float, key: Array) -> Array:
    """Zeroes features at random, the same ones at all steps of a sentence."""
    if rate == 0:
        return x
    keep = jax.random.bernoulli(key, 1 - rate, (*x.shape[:-2], 1, x.shape[-1]))
    return jnp.where(keep, x / (1 - rate), 0.0).astype(x.dtype)


def word_dropout(x: Float[Array, "*batch T D"], rate: float, key: Array) -> Array:
    """Zeroes whole words at random; the others stay as they are."""
    if rate == 0:
        return x
    keep = jax.random.bernoulli(key, 1 - rate, (*x.shape[:-1], 1))
    return jnp.where(keep, x, 0.0).astype(x.dtype)


def _cell(gates: Array, cell: Array) -> tuple[Array, Array]:
    take, keep, new, show = jnp.split(gates, GATES, axis=-1)
    cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(take) * jnp.tanh(new)
    return jax.nn.sigmoid(show) * jnp.tanh(cell), cell


def _turned(left: Array, right: Array) -> Array:
    return jnp.stack([left, right[::-1]], axis=1)


def _product(subscripts: str, left: Array, right: Array) -> Array:
    return jnp.einsum(subscripts, left, right).astype(jnp.float32)


def _parameters(inputs: int, width: int) -> dict:
    def forgets_little(key, shape):
        # A forget gate that begins open lets the first gradients through.
        return jnp.zeros(shape).at[:, width : 2 * width].set(1.0)

    def orthogonal(key, shape):
        square = nn.initializers.orthogonal()
        keys = jax.random.split(key, 2 * GATES)
        blocks = jnp.stack([square(key, (width, width)) for key in keys])
        blocks = blocks.reshape(2, GATES, width, width)
        return jnp.moveaxis(blocks, 1, 2).reshape(shape)

    return {
        "input": (
            nn.initializers.variance_scaling(1.0, "fan_in", "truncated_normal", (0,), (1, 2)),
            (inputs, 2, GATES * width),
        ),
        "recurrent": (orthogonal, (2, width, GATES * width)),
        "bias": (forgets_little, (2, GATES * width)),
    }
