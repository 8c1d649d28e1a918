"""How probable a span is, by all tag sequences that have it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from mmkd_jax import crf
from mmkd_jax.crf import LinearChain
from mmkd_jax.tags import TagSet, split

_EXACT = jax.lax.Precision.HIGHEST


@functools.partial(jax.jit, static_argnames="tags")
def span_probabilities(
    chain: LinearChain, tags: TagSet, spans: Int[Array, "B S 3"]
) -> Float[Array, "B S"]:
    r"""The probability that exactly this span is there: with these borders and this type.

    It is the probability of all tag sequences in which `tags.spans` reads the span: the first of
    its tags does not continue what stands before, each other one continues the one before it, and
    what follows does not continue the last. All of that is about neighbouring tags, and a chain is
    Markov, so with :math:`P(y_t, y_{t+1})` its pair marginals and :math:`C` the pairs of which the
    second continues the first,

    .. math:: \sum_{y_{i-1} \dots y_j} P(y_{i-1}, y_i) \, \bar C(y_{i-1}, y_i)
              \prod_{t=i}^{j-2} P(y_{t+1} | y_t) \, C(y_t, y_{t+1}) \;
              P(y_j | y_{j-1}) \, \bar C(y_{j-1}, y_j)

    for the span ``[i, j)``, over :math:`y_i` of its type, which is a product of matrices. The
    product of the single tags' probabilities is something else: tags depend on each other.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import crf, inference, tags
      >>> chain = crf.LinearChain(jnp.zeros((1, 2, 3)), jnp.zeros((3, 3)))  # all sequences alike
      >>> names = tags.TagSet(["O", "B-X", "I-X"])
      >>> spans = jnp.array([[[0, 2, 0], [0, 1, 0]]])
      >>> found = inference.span_probabilities(chain, names, spans)
      >>> print((9 * found).round())  # B I, I I; B O, I O, B B, I B
      [[2. 4.]]

    Args:
      chain: ``[B, T, N]``.
      tags: The N tags, of a scheme.
      spans: First word, the one after the last, and the number of the type in ``tags.types``; a
        span that begins at -1 is none, and gets 0.
    """
    if tags.scheme is None:
        raise ValueError("tags must be of a scheme such as BIO; these spell no spans")
    continues, of_type = (jnp.asarray(table) for table in _tables(tags))
    continues = continues[None]  # of each sentence
    emissions = chain.emissions
    count, steps = emissions.shape[:2]
    lengths = jnp.full(count, steps) if chain.lengths is None else chain.lengths
    single, pairs = crf.marginals(chain), crf.pair_marginals(chain)
    before = single[:, :-1, :, None]
    following = jnp.where(before > 0, pairs / jnp.where(before > 0, before, 1.0), 0.0)
    begin, end, kind = (spans[..., i] for i in range(3))
    chosen = of_type[kind]  # [B, S, N]
    at_end = end == lengths[:, None]

    def closed(inside: Array, step: Array | int) -> Array:
        """The spans that reach the end of their sentence, at their last word."""
        last = (end == step + 1) & at_end & (begin >= 0)
        return jnp.where(last[..., None], inside, 0.0).sum(axis=-1)

    def advance(carry: tuple[Array, Array], inputs: tuple) -> tuple[tuple[Array, Array], None]:
        inside, found = carry
        step, pair, follow = inputs
        entered = (pair * ~continues).sum(axis=-2)[:, None] * chosen
        stayed = jnp.einsum("bsn,bnm->bsm", inside, follow * continues, precision=_EXACT)
        left = jnp.einsum("bsn,bnm->bs", inside, follow * ~continues, precision=_EXACT)
        found = jnp.where((end == step) & ~at_end, left, found)
        within = ((begin < step) & (step < end))[..., None]
        new = jnp.where((begin == step)[..., None], entered, jnp.where(within, stayed, 0.0))
        return (new, found + closed(new, step)), None

    first = jnp.where((begin == 0)[..., None], single[:, :1] * chosen, 0.0)
    start = first, closed(first, 0)
    along = jnp.arange(1, steps), jnp.moveaxis(pairs, 1, 0), jnp.moveaxis(following, 1, 0)
    (_, found), _ = jax.lax.scan(advance, start, along)
    return found


def _tables(tags: TagSet) -> tuple[np.ndarray, np.ndarray]:
    """Which tag of the column continues that of the row; and which tags are of each type."""
    parts = [split(name) for name in tags.names]
    continues = np.array(
        [[a in "BI" and b in "IE" and kind == other for b, other in parts] for a, kind in parts]
    )
    of_type = np.array([[kind == wanted for _, kind in parts] for wanted in tags.types])
    return continues, of_type
