"""Linear-chain conditional random fields: inference, decoding, divergences.

Everything is a pure function of a `LinearChain`; it works on any leading batch axes, under
``jit``, ``vmap``, ``grad`` and on sharded arrays.
"""

from mmkd_jax.crf._chain import LinearChain, mask_to_lengths
from mmkd_jax.crf._divergences import cross_entropy, entropy, kl_divergence
from mmkd_jax.crf._independent import independent
from mmkd_jax.crf._k_best import k_best
from mmkd_jax.crf._log_marginals import log_marginals
from mmkd_jax.crf._maps import bio_to_bioes, map_marginals, map_tags
from mmkd_jax.crf._marginals import expected_counts, log_partition, marginals, pair_marginals
from mmkd_jax.crf._mixture import mixture
from mmkd_jax.crf._moments import Moments, moments
from mmkd_jax.crf._sample import sample
from mmkd_jax.crf._score import log_prob, score
from mmkd_jax.crf._temper import temper
from mmkd_jax.crf._viterbi import viterbi

__all__ = [
    "LinearChain",
    "Moments",
    "bio_to_bioes",
    "cross_entropy",
    "entropy",
    "expected_counts",
    "independent",
    "k_best",
    "kl_divergence",
    "log_marginals",
    "log_partition",
    "log_prob",
    "map_marginals",
    "map_tags",
    "marginals",
    "mask_to_lengths",
    "mixture",
    "moments",
    "pair_marginals",
    "sample",
    "score",
    "temper",
    "viterbi",
]
