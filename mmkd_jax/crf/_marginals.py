"""Log Z and what follows from its derivatives: marginals and expected counts."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from mmkd_jax.crf._chain import LinearChain, as_batch, check, leading_shape
from mmkd_jax.crf._forward_backward import forward_backward


@jax.jit
def log_partition(chain: LinearChain) -> Float[Array, "*batch"]:
    r"""The logarithm of the sum over all tag sequences, :math:`\log Z = \log \sum_y e^{s(y)}`.

    Its gradient are the marginals (`expected_counts` gives it whole); they come from the same
    pass, so a gradient costs nothing more.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> crf.log_partition(crf.LinearChain(jnp.zeros((10, 2)), jnp.zeros((2, 2))))  # 10 log 2
      Array(6.931472, dtype=float32)

    Args:
      chain: the scores.

    Returns:
      ``[...]``, 0 for length 0, -inf (with gradient 0) where no sequence is possible.
    """
    check(chain)
    batch = as_batch(chain)
    posterior = forward_backward(batch.unary, batch.transitions, batch.lengths)
    return (batch.offset + posterior.log_z).reshape(leading_shape(chain))


@jax.jit
def marginals(chain: LinearChain) -> Float[Array, "*batch T N"]:
    r"""The probability :math:`P(y_t = j)` of each tag at each step: a tagger's true confidence.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> stay = jnp.array([[0., -jnp.inf], [-jnp.inf, 0.]])
      >>> emissions = jnp.log(jnp.array([[1., 1.], [1., 1.]]))
      >>> print(crf.marginals(crf.LinearChain(emissions, stay)))
      [[0.5 0.5]
       [0.5 0.5]]

    Args:
      chain: the scores.

    Returns:
      ``[..., T, N]``: each step within the length sums to 1, the padding is 0; all 0 where no
      sequence is possible. Probabilities below 1e-20 (in float32) are given as 0.
    """
    check(chain)
    batch = as_batch(chain)
    posterior = forward_backward(batch.unary, batch.transitions, batch.lengths)
    return posterior.marginals.reshape(chain.emissions.shape)


@jax.jit
def pair_marginals(chain: LinearChain) -> Float[Array, "*batch T1 N N"]:
    r"""The probability :math:`P(y_t = i, y_{t+1} = j)` of each two neighbouring tags.

    This is the one function here that needs memory for N² numbers a step.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> print(crf.pair_marginals(crf.LinearChain(jnp.zeros((2, 2)), jnp.zeros((2, 2)))))
      [[[0.25 0.25]
        [0.25 0.25]]]

    Args:
      chain: the scores.

    Returns:
      ``[..., T-1, N, N]``, 0 in the padding.
    """
    check(chain)
    batch = as_batch(chain)
    transitions = per_step(batch.transitions, batch.unary.shape)
    pairs = forward_backward(batch.unary, transitions, batch.lengths).counts
    return pairs.reshape(*leading_shape(chain), *pairs.shape[1:])


@jax.jit
def expected_counts(chain: LinearChain) -> LinearChain:
    r"""How often each score is used on average: :math:`\partial \log Z / \partial` each field.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> counts = crf.expected_counts(crf.LinearChain(jnp.zeros((5, 2)), jnp.zeros((2, 2))))
      >>> print(counts.transitions)  # four transitions over four kinds
      [[1. 1.]
       [1. 1.]]

    Args:
      chain: the scores.

    Returns:
      A chain of the same fields and shapes (what sequences share is summed over them); a field
      that is None stays None, the lengths stay as they are.
    """

    def total(scores):
        return log_partition(dataclasses.replace(chain, **scores)).sum()

    names = ("emissions", "transitions", "start", "end")
    return dataclasses.replace(
        chain, **jax.grad(total)({name: getattr(chain, name) for name in names})
    )


def per_step(transitions: Array, shape: tuple[int, int, int]) -> Float[Array, "B T1 N N"]:
    """Transitions with one matrix a step, for a batch of unary scores of this shape."""
    count, steps, tags = shape
    if transitions.ndim == 3:
        transitions = transitions[:, None]
    return jnp.broadcast_to(transitions, (count, steps - 1, tags, tags))
