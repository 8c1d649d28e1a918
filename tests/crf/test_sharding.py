"""A batch over eight devices gives what one device gives."""

import functools

import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from mmkd_jax import crf
from tests.crf.chains import KINDS, random_chain
from tests.crf.everything import assert_all_close, gradients, scores_of, values, with_scores

B, T, N = 16, 5, 3
LENGTHS = (np.arange(B) % 6).astype(np.int32)
TAGS = np.random.default_rng(0).integers(0, N, (B, T)).astype(np.int32)
CLOSE = {"atol": 2e-6, "rtol": 2e-6}

pytestmark = pytest.mark.skipif(jax.device_count() < 8, reason="needs eight devices")


@functools.cache
def mesh():
    return jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))


def specs(chain):
    """The batch over the devices; what sequences share is on all of them."""
    return jax.tree.map(lambda x: P("data") if np.shape(x)[0] == B else P(), chain)


def placed(tree):
    return jax.tree.map(
        lambda x, spec: jax.device_put(x, NamedSharding(mesh(), spec)), tree, specs(tree)
    )


def chains(kind="shared"):
    make = functools.partial(random_chain, leading=(B,), kind=kind, lengths=LENGTHS)
    return make(0), make(1)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
@pytest.mark.parametrize("function", [values, gradients], ids=["values", "gradients"])
def test_sharded_batch_under_jit(function, kind):
    p, q = chains(kind)
    actual = function(placed(p), placed(q), placed(TAGS))
    if function is values:
        assert len(actual["marginals"].sharding.device_set) == 8
    assert_all_close(actual, function(p, q, TAGS), **CLOSE)


def test_a_batch_stays_where_it_is():
    """Nothing gathers it on the way."""
    p, _ = chains()
    for result in (crf.marginals(placed(p)), crf.viterbi(placed(p))[0]):
        assert result.sharding.is_equivalent_to(NamedSharding(mesh(), P("data")), result.ndim)


def test_sample_of_a_sharded_batch():
    p, _ = chains()
    key = jax.random.key(0)
    np.testing.assert_array_equal(crf.sample(key, placed(p), 5), crf.sample(key, p, 5))


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_values_under_shard_map(kind):
    p, q = chains(kind)

    def local(p, q, tags):
        found = values(p, q, tags)
        return {
            name: value if np.ndim(value) and value.shape[0] == B // 8 else None
            for name, value in found.items()
        }

    mapped = jax.shard_map(
        local, mesh=mesh(), in_specs=(specs(p), specs(q), P("data")), out_specs=P("data")
    )
    actual = {k: v for k, v in jax.jit(mapped)(p, q, TAGS).items() if v is not None}
    assert {"log_partition", "marginals", "k_best_tags", "kl_divergence"} <= set(actual)
    assert_all_close(actual, values(p, q, TAGS), **CLOSE)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_gradients_under_shard_map(kind):
    """Of shared fields too: the gradient of a sum over all devices."""
    p, q = chains(kind)

    def local(p, q, tags):
        by = gradients(p, q, tags)
        return by

    desired = gradients(p, q, TAGS)
    out_specs = {
        name: {field: P("data") if value.shape[:1] == (B,) else P() for field, value in by.items()}
        for name, by in desired.items()
    }
    mapped = jax.shard_map(
        local, mesh=mesh(), in_specs=(specs(p), specs(q), P("data")), out_specs=out_specs
    )
    assert_all_close(jax.jit(mapped)(p, q, TAGS), desired, **CLOSE)


def test_chains_without_ends_and_lengths_under_shard_map():
    """What a function makes up itself, lengths of T, meets what differs from device to device."""
    chain = random_chain(2, leading=(B,), ends=None, lengths=None)
    mapped = jax.shard_map(
        lambda e, t: everything_but_divergences(crf.LinearChain(e, t)),
        mesh=mesh(),
        in_specs=(P("data"), P()),
        out_specs=P("data"),
    )
    actual = jax.jit(mapped)(chain.emissions, chain.transitions)
    desired = everything_but_divergences(chain)
    jax.tree.map(functools.partial(np.testing.assert_allclose, **CLOSE), actual, desired)
    samples = jax.jit(
        jax.shard_map(
            lambda e, t: crf.sample(jax.random.key(0), crf.LinearChain(e, t), 3),
            mesh=mesh(),
            in_specs=(P("data"), P()),
            out_specs=P(None, "data"),
        )
    )(chain.emissions, chain.transitions)
    assert samples.shape == (3, B, T) and (samples >= 0).all()


def everything_but_divergences(chain):
    return crf.log_partition(chain), crf.entropy(chain), crf.viterbi(chain), crf.k_best(chain, 3)


def test_a_loss_over_shard_map():
    p, q = chains()

    def loss(fields):
        def local(chain, q):
            kl = crf.kl_divergence(chain, q) + crf.marginals(chain)[..., 0].sum(-1)
            return jax.lax.psum(kl.sum() - crf.viterbi(chain)[1].sum(), "data")

        chain = with_scores(p, fields)
        mapped = jax.shard_map(local, mesh=mesh(), in_specs=(specs(chain), specs(q)), out_specs=P())
        return mapped(chain, q)

    def alone(fields):
        chain = with_scores(p, fields)
        kl = crf.kl_divergence(chain, q).sum() + crf.marginals(chain)[..., 0].sum()
        return kl - crf.viterbi(chain)[1].sum()

    assert_all_close(
        jax.jit(jax.grad(loss))(scores_of(p)), jax.jit(jax.grad(alone))(scores_of(p)), **CLOSE
    )
