"""Agreement with other libraries, where they are installed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf
from tests.crf.chains import random_chain

B, T, N, K = 4, 12, 5, 4
LENGTHS = np.array(
    [12, 7, 5, 12], np.int32
)  # pytorch-crf has no length 0, torch-struct wants one T
CLOSE = {"atol": 2e-5, "rtol": 2e-5}


def peer(name):
    """A library, or a skip that says which is missing. Their warnings are theirs."""
    return pytest.importorskip(name, reason=f"{name} is not installed")


pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def torch():
    return peer("torch")


def test_pytorch_crf(torch):
    chain = random_chain(0, leading=(B,), steps=T, tags=N, lengths=LENGTHS)
    layer = peer("torchcrf").CRF(N, batch_first=True)
    layer.transitions.data = torch.tensor(chain.transitions)
    layer.start_transitions.data = torch.tensor(chain.start)
    layer.end_transitions.data = torch.tensor(chain.end)
    emissions = torch.tensor(chain.emissions, requires_grad=True)
    mask = torch.tensor(np.arange(T) < LENGTHS[:, None])
    tags = np.random.default_rng(1).integers(0, N, (B, T)).astype(np.int32)

    log_probs = layer(emissions, torch.tensor(tags, dtype=torch.long), mask, reduction="none")
    log_probs.sum().backward()
    np.testing.assert_allclose(crf.log_prob(chain, tags), log_probs.detach(), **CLOSE)
    by = jax.grad(lambda c: crf.log_prob(c, tags).sum(), allow_int=True)(chain)
    np.testing.assert_allclose(by.emissions, emissions.grad, **CLOSE)
    np.testing.assert_allclose(by.transitions, layer.transitions.grad, **CLOSE)
    np.testing.assert_allclose(by.start, layer.start_transitions.grad, **CLOSE)
    np.testing.assert_allclose(by.end, layer.end_transitions.grad, **CLOSE)
    best, _ = crf.viterbi(chain)
    for path, right in zip(best.tolist(), layer.decode(emissions, mask), strict=True):
        assert path == right + [-1] * (T - len(right))


def potentials(torch, chain):
    """torch-struct's [B, T-1, next, before], with all scores in them."""
    edges = np.swapaxes(chain.transitions, -1, -2)[:, None] + chain.emissions[:, 1:, :, None]
    edges[:, 0] += chain.emissions[:, :1]
    edges[:, 0] += chain.start[:, None]
    edges[np.arange(B), LENGTHS - 2] += chain.end[:, :, None]
    return torch.tensor(edges.astype(np.float32), requires_grad=True)


def test_torch_struct(torch):
    struct = peer("torch_struct")
    shape = {"leading": (B,), "steps": T, "tags": N, "lengths": LENGTHS}
    every = {"kind": "one a sequence", "ends": "one a sequence"}
    p, q = (random_chain(seed, **shape, **every) for seed in (2, 3))
    lengths = torch.tensor(LENGTHS, dtype=torch.long)
    their_p, their_q = (
        struct.LinearChainCRF(potentials(torch, chain), lengths=lengths) for chain in (p, q)
    )
    np.testing.assert_allclose(crf.log_partition(p), their_p.partition.detach(), **CLOSE)
    pairs = np.swapaxes(their_p.marginals.detach().numpy(), -1, -2)
    np.testing.assert_allclose(crf.pair_marginals(p), pairs, **CLOSE)
    np.testing.assert_allclose(crf.entropy(p), their_p.entropy.detach(), atol=1e-4)
    cross = their_p.cross_entropy(their_q).detach()
    np.testing.assert_allclose(crf.cross_entropy(p, q), cross, rtol=1e-5, atol=1e-4)
    kl = their_p.kl(their_q).detach()
    np.testing.assert_allclose(crf.kl_divergence(p, q), kl, rtol=1e-5, atol=1e-4)

    tags, scores = crf.k_best(p, K)
    edges = their_p.topk(K).detach().numpy()  # [K, B, T-1, next, before]
    for k, b in np.ndindex(K, B):
        n = LENGTHS[b]
        following, before = np.divmod(edges[k, b, : n - 1].reshape(n - 1, -1).argmax(-1), N)
        assert tags[b, k, :n].tolist() == [before[0], *following]
    assert (jnp.diff(scores, axis=1) <= 0).all()


def test_dynamax():
    """A hidden Markov model is a chain of normalised scores. Full lengths: it knows no others."""
    hmm = peer("dynamax.hidden_markov_model")
    chain = random_chain(4, leading=(B,), steps=T, tags=N, ends="shared", lengths=None)
    start, transitions = map(jax.nn.log_softmax, (chain.start, chain.transitions))
    chain = crf.LinearChain(jnp.asarray(chain.emissions), transitions, start)
    for b in range(B):
        scores = jnp.exp(start), jnp.exp(transitions), chain.emissions[b]
        smoothed = hmm.hmm_smoother(*scores)
        np.testing.assert_allclose(crf.log_partition(chain)[b], smoothed.marginal_loglik, **CLOSE)
        np.testing.assert_allclose(crf.marginals(chain)[b], smoothed.smoothed_probs, **CLOSE)
        pairs = hmm.hmm_two_filter_smoother(*scores)
        np.testing.assert_allclose(crf.marginals(chain)[b], pairs.smoothed_probs, **CLOSE)
        with jax.numpy_rank_promotion("allow"):
            mode = hmm.hmm_posterior_mode(*scores)
        np.testing.assert_array_equal(crf.viterbi(chain)[0][b], mode)
