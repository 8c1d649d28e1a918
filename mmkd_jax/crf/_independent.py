"""A softmax tagger as a chain."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Integer

from mmkd_jax.crf._chain import LinearChain, check


@jax.jit
def independent(
    logits: Float[Array, "*batch T N"], lengths: Integer[Array, "*batch"] | None = None
) -> LinearChain:
    r"""The chain of a tagger that decides on each tag alone, by a softmax over its logits.

    Its transitions are 0, and its distribution is the product
    :math:`p(y) = \prod_t \mathrm{softmax}(logits_t)_{y_t}`. So whatever takes chains takes softmax
    (MaxEnt) taggers: `kl_divergence(p, independent(logits))` has a CRF teach a softmax tagger,
    `kl_divergence(independent(logits), q)` the reverse, both exactly.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf
      >>> logits = jnp.array([[2., 2.], [0., -jnp.inf]])
      >>> print(crf.marginals(crf.independent(logits)))
      [[0.5 0.5]
       [1.  0. ]]

    Args:
      logits: ``[..., T, N]``, log probabilities or what a softmax makes probabilities of.
      lengths: ``[...]`` integers, or None where all have length T.

    Returns:
      A chain with these emissions.
    """
    tags = jnp.shape(logits)[-1:]
    transitions = jnp.zeros((*tags, *tags), jnp.result_type(logits))
    chain = LinearChain(logits, transitions, lengths=lengths)
    check(LinearChain(logits, transitions, lengths=lengths), "independent(...)")
    return chain
