"""MMKD's token level: cross-entropy against the vocabulary at chosen positions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from mmkd_jax.losses._checks import check_integers, check_mask, check_vectors, compute_dtype
from mmkd_jax.losses._masking import cleared, mean_where
from mmkd_jax.losses._vocabulary import cross_entropies


def token_alignment(
    logits: Float[Array, "*batch P V"],
    targets: Int[Array, "*batch P"],
    where: Bool[Array, "*batch P"],
) -> Float[Array, "*batch"]:
    r"""Masked or translation language modelling: predicts the tokens at the chosen positions.

    .. math:: \ell = \frac{1}{|C|} \sum_{i \in C} -\log \mathrm{softmax}(z_i)_{x_i}

    for the chosen positions :math:`C` of an example, with logits :math:`z_i` and the original
    token :math:`x_i`. The *token-level* loss of the paper, over an English sentence and its
    translation (TLM).

    Where most positions are not chosen, or the vocabulary is large, take
    `token_alignment_from_hidden`: it computes the same from less.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import losses
      >>> logits = jnp.log(jnp.array([[[0.5, 0.5], [0.1, 0.9], [0.2, 0.8]]]))
      >>> targets = jnp.array([[0, -100, 1]])
      >>> where = jnp.array([[True, False, True]])
      >>> loss = losses.token_alignment(logits, targets, where)
      >>> print(-2 * loss, jnp.log(0.4))  # the log probability of both tokens
      [-0.9162...] -0.9162...

    Args:
      logits: ``[..., P, V]``. -inf is legal, for what is no token.
      targets: ``[..., P]`` integers. A chosen one outside the vocabulary has probability 0, and
        makes the loss inf.
      where: ``[..., P]`` booleans, the chosen positions. What lies at the others is never read.

    Returns:
      ``[...]``, the mean over the example's chosen positions, 0 if there are none.

    References:
      Li et al., `Multi-level Distillation of Semantic Knowledge for Pre-training Multilingual
      Language Model <https://arxiv.org/abs/2211.01200>`_, 2022. The released code takes the mean
      over all positions, the padding and the tokens that were not masked included.
    """
    check_vectors(logits, "logits", "[..., P, V]", axes=2)
    _check_positions(targets, where, jnp.shape(logits)[:-1])
    return _token_alignment(logits, targets, where)


def token_alignment_from_hidden(
    hidden: Float[Array, "*batch P D"],
    table: Float[Array, "V D"],
    bias: Float[Array, "V"],
    targets: Int[Array, "*batch P"],
    where: Bool[Array, "*batch P"],
    chunk_size: int = 2048,
) -> Float[Array, "*batch"]:
    r"""`token_alignment` of the logits ``hidden @ table.T + bias``, which are never all there.

    .. math:: \ell = \frac{1}{|C|} \sum_{i \in C} -\log \mathrm{softmax}(E h_i + b)_{x_i}

    One pass over the table with a running log-sum-exp gives the loss, and a second one, which
    computes the logits anew, the gradient: the memory for them is that of ``chunk_size`` tokens
    of the vocabulary, not of all. Each pass reads the table once.

    Gather the chosen positions first; all others cost as much as they do. Reverse mode once is
    promised (``jax.grad`` of ``jax.grad`` is not). A table that is sharded over its rows is
    gathered. Examples go in the leading axes, not through ``vmap``, under which each would hold
    a gradient of the whole table.

    Example:
      >>> import jax.numpy as jnp
      >>> from mmkd_jax import losses
      >>> hidden, table, bias = jnp.ones((1, 2, 3)), jnp.eye(5, 3), jnp.zeros(5)
      >>> targets, where = jnp.array([[4, 0]]), jnp.array([[True, True]])
      >>> print(losses.token_alignment_from_hidden(hidden, table, bias, targets, where))
      [1.8179...]
      >>> print(losses.token_alignment(hidden @ table.T + bias[None, None], targets, where))
      [1.8179...]

    Args:
      hidden: ``[..., P, D]``, what the masked-LM head has made of the chosen positions.
      table: ``[V, D]``, the output embeddings.
      bias: ``[V]``. -inf is legal, for rows of the table that are no tokens.
      targets: ``[..., P]`` integers, as `token_alignment` takes them.
      where: ``[..., P]`` booleans, false in the padding, which is never read.
      chunk_size: how many tokens of the vocabulary at a time. It need not divide their number.

    Returns:
      ``[...]``, the mean over the example's chosen positions, 0 if there are none.

    References:
      The paper and its released code as in `token_alignment`; the running log-sum-exp is that of
      Milakov and Gimelshein, `Online normalizer calculation for softmax
      <https://arxiv.org/abs/1805.02867>`_, 2018.
    """
    check_vectors(hidden, "hidden", "[..., P, D]", axes=2)
    check_vectors(table, "table", "[V, D]", axes=2)
    check_vectors(bias, "bias", "[V]", axes=1)
    *positions, width = jnp.shape(hidden)
    tokens = len(bias)
    if jnp.shape(table) != (tokens, width) or jnp.ndim(bias) != 1:
        raise ValueError(
            f"table must be [V, D] and bias [V], with hidden's D = {width}, "
            f"got {jnp.shape(table)} and {jnp.shape(bias)}"
        )
    _check_positions(targets, where, tuple(positions))
    if chunk_size != int(chunk_size) or chunk_size < 1:
        raise ValueError(f"chunk_size must be a positive whole number, got {chunk_size}")
    where = jnp.asarray(where)
    rows = cleared(hidden, where).reshape(-1, width)
    flat = jnp.where(where, targets, 0).reshape(-1)
    losses = cross_entropies(rows, table, bias, flat, min(int(chunk_size), tokens))
    return mean_where(losses.reshape(where.shape), where)


def _check_positions(targets: Array, where: Array, shape: tuple[int, ...]) -> None:
    check_integers(targets, "targets", "[..., P]", shape)
    check_mask(where, "where", "[..., P]", shape)


@jax.jit
def _token_alignment(logits: Array, targets: Array, where: Array) -> Array:
    logits = cleared(logits.astype(compute_dtype(logits)), where)
    # Comparing fuses into one pass over the logits, forward and backward; indexing scatters.
    tokens = jnp.arange(logits.shape[-1]).reshape((1,) * (logits.ndim - 1) + (-1,))
    at_target = tokens == targets[..., None]
    known = jnp.where(at_target, logits, 0.0).sum(axis=-1)
    chosen = jnp.where(at_target.any(axis=-1), known, -jnp.inf)
    return mean_where(jax.nn.logsumexp(logits, axis=-1) - chosen, where)
