"""Moments, and what becomes of them in other tag sets, against sums over all sequences."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from mmkd_jax import crf
from mmkd_jax.tags import BioesRewrite, TagMap, TagSet
from tests.crf.chains import KINDS, forbid, random_chain
from tests.crf.enumerate import enumerate_all
from tests.crf.everything import assert_finite
from tests.crf.test_transforms import equations
from tests.losses.checks import unchecked_signatures

CLOSE = {"atol": 3e-6, "rtol": 1e-5}
B, T = 8, 4
LENGTHS = np.array([4, 3, 0, 1, 2, 4, 3, 2], np.int32)
BIO, BIOES = (TagSet.of_types(["X", "Y"], scheme) for scheme in ("BIO", "BIOES"))
REWRITE = BioesRewrite(BIO, BIOES)
COARSER = TagMap.of_types(BIOES, BIO)


def chain(seed=0, tags=5, **options):
    options = {"leading": (B,), "steps": T, "lengths": LENGTHS} | options
    return random_chain(seed, tags=tags, **options)


def counted(of, rewritten, tags):
    """Marginals and pairs of the rewritten sequences, summed over all sequences."""
    marginals, pairs = np.zeros((B, T, tags)), np.zeros((B, T - 1, tags, tags))
    for b, one in enumerate(enumerate_all(of)):
        paths = rewritten(one.paths)
        for t in range(one.length):
            np.add.at(marginals[b, t], paths[:, t], one.probs)
        for t in range(one.length - 1):
            np.add.at(pairs[b, t], (paths[:, t], paths[:, t + 1]), one.probs)
    return marginals, pairs


def assert_moments(found, marginals, pairs, **close):
    close = close or CLOSE
    np.testing.assert_allclose(found.marginals, marginals, **close)
    np.testing.assert_allclose(found.pairs, pairs, **close)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_marginals_and_pairs(kind):
    of = chain(kind=kind)
    found = crf.moments(of)
    assert_moments(found, *counted(of, lambda paths: paths, 5))
    np.testing.assert_array_equal(found.lengths, LENGTHS)
    np.testing.assert_allclose(found.marginals, crf.marginals(of), **CLOSE)
    np.testing.assert_allclose(found.pairs, crf.pair_marginals(of), **CLOSE)


def test_independent_is_a_product():
    logits = chain(1).emissions
    of = crf.independent(logits, LENGTHS)
    assert not np.any(of.transitions)
    p = np.exp(np.float64(logits))
    p /= p.sum(-1, keepdims=True)
    inside = np.arange(T) < LENGTHS[:, None]
    p = np.where(inside[..., None], p, 0.0)
    assert_moments(crf.moments(of), p, p[:, :-1, :, None] * p[:, 1:, None, :])
    tags = jnp.zeros((B, T), jnp.int32)
    expected = np.where(inside, np.log(np.where(inside, p[..., 0], 1.0)), 0.0).sum(1)
    np.testing.assert_allclose(crf.log_prob(of, tags), expected, **CLOSE)
    assert crf.independent(jnp.zeros((3, 2), jnp.bfloat16)).transitions.dtype == jnp.bfloat16
    with unchecked_signatures(), pytest.raises(ValueError, match=r"\)\.lengths must be"):
        crf.independent(logits, LENGTHS[1:])


@pytest.mark.parametrize("kind", KINDS)
def test_log_marginals_are_logarithms_of_marginals(kind):
    of = chain(kind=kind)
    expected = np.stack([one.marginals for one in enumerate_all(of)])
    found = crf.log_marginals(of)
    np.testing.assert_allclose(np.exp(found), expected, **CLOSE)
    inside = np.arange(T) < LENGTHS[:, None]
    np.testing.assert_allclose(found[inside], np.log(expected[inside]), **CLOSE)
    assert (found[~inside] == -np.inf).all()


@pytest.mark.parametrize("spread", [1.0, 0.05], ids=["transitions-far", "transitions-near"])
def test_log_marginals_of_what_is_all_but_impossible(spread):
    """Exact where a probability underflows, and so is the gradient, by either kind of sums."""

    def scaled(dtype):
        of = random_chain(2, (), steps=4, tags=3, scale=80.0, lengths=None, dtype=dtype)
        return dataclasses.replace(of, transitions=(of.transitions * spread).astype(dtype))

    scores, wide = scaled(np.float32), scaled(np.float64)
    assert (np.ptp(scores.transitions) < 40) == (spread < 1)

    def total(emissions, of):
        found = crf.log_marginals(dataclasses.replace(of, emissions=emissions))
        return (found * jnp.cos(jnp.arange(12.0, dtype=found.dtype)).reshape(4, 3)).sum()

    with jax.enable_x64(True):
        expected = crf.log_marginals(wide)
        gradient = jax.grad(total)(jnp.asarray(wide.emissions), wide)
    expected, gradient = np.asarray(expected), np.asarray(gradient)
    assert expected.min() < -120
    np.testing.assert_allclose(crf.log_marginals(scores), expected, atol=1e-3, rtol=2e-6)
    found = jax.grad(total)(jnp.asarray(scores.emissions), scores)
    np.testing.assert_allclose(found, gradient, atol=1e-4)


def test_log_marginals_of_what_is_impossible():
    of = forbid(chain(3), 3, share=0.4)

    def total(emissions, transitions):
        moved = dataclasses.replace(of, emissions=emissions, transitions=transitions)
        found = crf.log_marginals(moved)
        return jnp.where(found > -jnp.inf, found, 0.0).sum()

    expected = np.stack([one.marginals for one in enumerate_all(of)])
    np.testing.assert_allclose(np.exp(crf.log_marginals(of)), expected, **CLOSE)
    assert_finite(jax.grad(total, (0, 1))(*map(jnp.asarray, (of.emissions, of.transitions))))


def test_log_marginals_keep_no_matrix_a_step():
    """The gradient included, though every step has N² terms."""
    of = random_chain(0, (4,), steps=64, tags=32, lengths=None)

    def total(emissions):
        return crf.log_marginals(dataclasses.replace(of, emissions=emissions)).sum()

    jaxpr = jax.make_jaxpr(jax.grad(total))(of.emissions).jaxpr
    assert max(np.prod(v.aval.shape) for e in equations(jaxpr) for v in e.outvars) < 64 * 4 * 32 * 4


def test_bio_rewritten_as_bioes():
    """All BIO sequences, the illegal ones too."""
    for of in (chain(4), forbid(chain(4), 4), chain(4, kind="one a step")):
        found = crf.bio_to_bioes(crf.moments(of), REWRITE)
        assert_moments(found, *counted(of, REWRITE, len(BIOES)))


def test_bio_to_bioes_and_back():
    before = crf.moments(chain(5))
    after = crf.map_tags(crf.bio_to_bioes(before, REWRITE), COARSER)
    assert_moments(after, before.marginals, before.pairs)


def test_bioes_read_as_bio():
    of = chain(6, tags=len(BIOES), steps=T)
    assert_moments(crf.map_tags(crf.moments(of), COARSER), *counted(of, COARSER, len(BIO)))


def test_one_step():
    of = random_chain(7, (B,), steps=1, tags=5, lengths=np.minimum(LENGTHS, 1))
    found = crf.bio_to_bioes(crf.moments(of), REWRITE)
    expected = np.where(REWRITE.may_end, crf.marginals(of)[..., REWRITE.bio_of], 0.0)
    np.testing.assert_allclose(found.marginals, expected, **CLOSE)
    assert found.pairs.shape == (B, 0, 9, 9)


INDEX = np.array([0, 1, 1, 2, 0], np.int32)


def test_a_many_to_one_map():
    of = chain(8)
    expected = counted(of, lambda paths: INDEX[paths], 3)
    matrix = np.eye(3, dtype=np.float32)[INDEX]
    tag_map = TagMap(TagSet(list("abcde")), TagSet(list("xyz")), INDEX.tolist())
    for found in (
        crf.map_tags(crf.moments(of), INDEX, size=3),
        crf.map_tags(crf.moments(of), matrix),
        crf.map_tags(crf.moments(of), tag_map),
        jax.jit(lambda m, i: crf.map_tags(m, i, size=3))(crf.moments(of), INDEX),
    ):
        assert_moments(found, *expected)
    mapped = crf.map_marginals(crf.marginals(of), tag_map)
    np.testing.assert_allclose(mapped, expected[0], **CLOSE)


def test_mixture_is_the_average():
    ones = [crf.moments(chain(seed)) for seed in (9, 10, 11)]
    weights = np.random.default_rng(0).random((3, B)).astype(np.float32)
    share = weights / weights.sum(0)

    def average(share):
        of = [counted(chain(seed), lambda paths: paths, 5) for seed in (9, 10, 11)]
        return [
            sum(np.reshape(w, (-1,) + (1,) * (part.ndim - 1)) * part
                for w, part in zip(share, parts, strict=True))
            for parts in zip(*of, strict=True)
        ]  # fmt: skip

    assert_moments(crf.mixture(ones, weights), *average(share))
    assert_moments(crf.mixture(ones, [2.0, 1.0, 1.0]), *average([0.5, 0.25, 0.25]))
    assert_moments(crf.mixture(ones), *average([1 / 3] * 3))


def test_mixture_never_reads_who_has_no_weight():
    one, two = (crf.moments(chain(seed)) for seed in (9, 10))
    broken = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan), two)
    broken = dataclasses.replace(broken, lengths=LENGTHS)
    weights = jnp.ones(B), jnp.zeros(B)
    assert_moments(crf.mixture([one, broken], weights), one.marginals, one.pairs)

    def total(w):
        return crf.mixture([one, broken], [weights[0], w * 0.0 * weights[1]]).marginals.sum()

    assert np.isfinite(jax.grad(total)(1.0))
    nobody = crf.mixture([one, broken], [0.0, 0.0])
    assert_moments(nobody, 0.0 * one.marginals, 0.0 * one.pairs)


def test_mixture_leaves_out_who_allows_nothing():
    one = crf.moments(chain(9))
    nothing = crf.Moments(0.0 * one.marginals, 0.0 * one.pairs, one.lengths)
    assert_moments(crf.mixture([nothing, one]), one.marginals, one.pairs)


def everything(moments):
    """All that makes moments of moments."""
    rewritten = crf.bio_to_bioes(moments, REWRITE)
    mixed = crf.mixture([moments, crf.map_tags(rewritten, COARSER)], [1.0, 2.0])
    return [moments, rewritten, mixed, crf.map_marginals(moments.marginals, INDEX, size=3)]


def of_scores(emissions, transitions, lengths):
    chain = crf.LinearChain(emissions, transitions, lengths=lengths)
    return [*everything(crf.moments(chain)), jnp.exp(crf.log_marginals(chain))]


def scores():
    of = chain(12)
    return jnp.asarray(of.emissions), jnp.asarray(of.transitions), jnp.asarray(LENGTHS)


def close(found, expected, **options):
    options = options or CLOSE
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **options), found, expected)


def test_padding_is_never_read():
    moments = crf.moments(chain(12))
    inside = (np.arange(T) < LENGTHS[:, None])[..., None]
    spoiled = crf.Moments(
        jnp.where(inside, moments.marginals, jnp.nan),
        jnp.where(inside[:, 1:, :, None], moments.pairs, jnp.nan),
        moments.lengths,
    )
    found, expected = everything(spoiled)[1:3], everything(moments)[1:3]
    jax.tree.map(np.testing.assert_array_equal, found, expected)

    def total(moments):
        return sum(
            leaf.sum() for one in everything(moments)[1:3] for leaf in (one.marginals, one.pairs)
        )

    gradient = jax.grad(total, allow_int=True)
    found, expected = gradient(spoiled), gradient(moments)
    np.testing.assert_array_equal(found.marginals, expected.marginals)
    np.testing.assert_array_equal(found.pairs, expected.pairs)


def test_jit_vmap_and_more_axes():
    arguments = scores()
    expected = of_scores(*arguments)
    close(jax.jit(of_scores)(*arguments), expected)
    close(jax.jit(jax.vmap(of_scores, (0, None, 0)))(*arguments), expected)
    emissions, transitions, lengths = arguments
    split = of_scores(emissions.reshape(2, 4, T, 5), transitions, lengths.reshape(2, 4))
    close(jax.tree.map(lambda x: x.reshape(B, *x.shape[2:]), split), expected)
    alone = of_scores(emissions[0], transitions, lengths[0])
    close(alone, jax.tree.map(lambda x: x[0], expected))


def total(emissions, transitions, lengths):
    leaves = jax.tree.leaves(of_scores(emissions, transitions, lengths))
    floats = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return sum(jnp.square(leaf).sum() for leaf in floats)


def test_gradients_are_finite_differences():
    with jax.enable_x64(True):
        emissions, transitions, lengths = scores()
        arguments = jnp.float64(emissions), jnp.float64(transitions)
        random = np.random.default_rng(0)
        direction = [random.normal(size=a.shape) for a in arguments]
        gradient = jax.grad(total, (0, 1))(*arguments, lengths)
        moved = [
            jax.jit(total)(*(a + h * d for a, d in zip(arguments, direction, strict=True)), lengths)
            for h in (1e-5, -1e-5)
        ]
        along = sum(float((g * d).sum()) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose((float(moved[0]) - float(moved[1])) / 2e-5, along, rtol=1e-6)


@pytest.mark.skipif(jax.device_count() < 8, reason="needs eight devices")
def test_sharded_and_under_shard_map():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    specs = P("data"), P(), P("data")
    arguments = scores()
    placed = [
        jax.device_put(a, NamedSharding(mesh, spec))
        for a, spec in zip(arguments, specs, strict=True)
    ]
    expected = of_scores(*arguments)
    close(jax.jit(of_scores)(*placed), expected, atol=1e-6)
    mapped = jax.shard_map(of_scores, mesh=mesh, in_specs=specs, out_specs=P("data"))
    close(jax.jit(mapped)(*arguments), expected, atol=1e-6)

    def sharded_total(*arguments):
        local = jax.shard_map(
            lambda *a: lax.psum(total(*a), "data"), mesh=mesh, in_specs=specs, out_specs=P()
        )
        return local(*arguments)

    found = jax.jit(jax.grad(sharded_total, (0, 1)))(*arguments)
    close(found, jax.grad(total, (0, 1))(*arguments), atol=5e-6, rtol=1e-5)


def test_every_dot_is_of_the_highest_precision():
    jaxpr = jax.make_jaxpr(jax.value_and_grad(total, (0, 1)))(*scores()).jaxpr
    dots = [e for e in equations(jaxpr) if e.primitive.name == "dot_general"]
    highest = (lax.Precision.HIGHEST, lax.Precision.HIGHEST)
    assert {equation.params["precision"] for equation in dots} == {highest}


def test_narrow_floats_are_raised():
    narrow = crf.Moments(
        jnp.full((2, 5), 0.2, jnp.bfloat16), jnp.full((1, 5, 5), 0.04, jnp.float16)
    )
    for one in (
        crf.bio_to_bioes(narrow, REWRITE),
        crf.map_tags(narrow, INDEX, size=3),
        crf.mixture([narrow]),
    ):
        assert one.marginals.dtype == one.pairs.dtype == jnp.float32
    assert crf.map_marginals(narrow.marginals, INDEX, size=3).dtype == jnp.float32


def test_wrong_arguments_are_named():
    moments = crf.moments(chain(0))
    half = dataclasses.replace(moments, pairs=moments.pairs[:, 1:])
    for function in (
        lambda m: crf.map_tags(m, INDEX, size=3),
        lambda m: crf.bio_to_bioes(m, REWRITE),
        lambda m: crf.mixture([m]),
    ):
        with pytest.raises(
            ValueError, match=r"\.pairs must be \[\.\.\., T-1, N, N\] = \(8, 3, 5, 5"
        ):
            function(half)
        with pytest.raises(ValueError, match=r"\.lengths must be \[\.\.\.\] = \(8,\)"):
            function(dataclasses.replace(moments, lengths=LENGTHS[1:]))
        with pytest.raises(ValueError, match=r"\.marginals must hold floats, got dtype int32"):
            function(dataclasses.replace(moments, marginals=np.zeros((8, 4, 5), np.int32)))
    with pytest.raises(ValueError, match="size, .* is needed"):
        crf.map_tags(moments, INDEX)
    with pytest.raises(ValueError, match=r"mapping must hold integers in 0\.\.1"):
        crf.map_tags(moments, INDEX, size=2)
    with pytest.raises(ValueError, match="mapping must have rows that sum to 1"):
        crf.map_tags(moments, np.zeros((5, 2)))
    with pytest.raises(ValueError, match=r"mapping must be of the N = 5 tags"):
        crf.map_marginals(moments.marginals, np.eye(4))
    with pytest.raises(ValueError, match="size must be the mapping's 5, or None, got 4"):
        crf.map_tags(moments, np.eye(5), size=4)
    with pytest.raises(ValueError, match=r"5 tags of rewrite\.bio, got 3 tags"):
        crf.bio_to_bioes(crf.moments(chain(0, tags=3)), REWRITE)
    with pytest.raises(ValueError, match="one teacher at least"):
        crf.mixture([])
    with pytest.raises(ValueError, match="must all have the same shape"):
        crf.mixture([moments, crf.moments(chain(0, tags=3))])
    with pytest.raises(ValueError, match="got 1 for 2 teachers"):
        crf.mixture([moments, moments], [1.0])
    with pytest.raises(ValueError, match=r"weights\[1\] must be a scalar or \[\.\.\.\] = \(8,\)"):
        crf.mixture([moments, moments], [1.0, np.ones(7)])
