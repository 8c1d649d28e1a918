"""Linear-chain conditional random fields: inference, decoding, divergences.

Everything is a pure function of a `LinearChain`; it works on any leading batch axes, under
``jit``, ``vmap``, ``grad`` and on sharded arrays.
"""

from mmkd_jax.crf._chain import LinearChain, mask_to_lengths
from mmkd_jax.crf._divergences import cross_entropy, entropy, kl_divergence
from mmkd_jax.crf._k_best import k_best
from mmkd_jax.crf._marginals import expected_counts, log_partition, marginals, pair_marginals
from mmkd_jax.crf._sample import sample
from mmkd_jax.crf._score import log_prob, score
from mmkd_jax.crf._temper import temper
from mmkd_jax.crf._viterbi import viterbi

__all__ = [
    "LinearChain",
    "cross_entropy",
    "entropy",
    "expected_counts",
    "k_best",
    "kl_divergence",
    "log_partition",
    "log_prob",
    "marginals",
    "mask_to_lengths",
    "pair_marginals",
    "sample",
    "score",
    "temper",
    "viterbi",
]
