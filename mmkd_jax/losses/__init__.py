"""The objectives of both papers as pure functions.

Student first, teacher second; masks are boolean; a loss is one value an example and reduces
nothing over the batch, which is left to `weighted_mean`. No loss stops a gradient: wrap a teacher
that is not to be trained in ``jax.lax.stop_gradient``. What lies behind a false mask is never
read. Everything is computed in float32 at least, and works under ``jit``, ``vmap``, ``grad`` and
on sharded arrays.
"""

from mmkd_jax.losses._annealing import annealing
from mmkd_jax.losses._crf_cross_entropy import crf_cross_entropy
from mmkd_jax.losses._crf_kl import crf_kl
from mmkd_jax.losses._crf_nll import crf_nll
from mmkd_jax.losses._crf_posterior import crf_posterior
from mmkd_jax.losses._crf_top_k import crf_top_k
from mmkd_jax.losses._emission import emission_kl
from mmkd_jax.losses._marginal_kl import marginal_kl
from mmkd_jax.losses._mean import weighted_mean
from mmkd_jax.losses._sentence import sentence_alignment
from mmkd_jax.losses._structure import structure_alignment
from mmkd_jax.losses._token import token_alignment, token_alignment_from_hidden
from mmkd_jax.losses._word import word_alignment

__all__ = [
    "annealing",
    "crf_cross_entropy",
    "crf_kl",
    "crf_nll",
    "crf_posterior",
    "crf_top_k",
    "emission_kl",
    "marginal_kl",
    "sentence_alignment",
    "structure_alignment",
    "token_alignment",
    "token_alignment_from_hidden",
    "weighted_mean",
    "word_alignment",
]
