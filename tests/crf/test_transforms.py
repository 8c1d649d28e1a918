"""jit, vmap and what the compiled programs hold: no branch taken twice, no large array."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend import core

from mmkd_jax import crf
from tests.crf.chains import random_chain
from tests.crf.everything import (
    TOTALS,
    K,
    assert_all_close,
    gradients,
    scores_of,
    values,
    with_scores,
)

B, T, N = 6, 5, 3
TAGS = np.random.default_rng(0).integers(0, N, (B, T)).astype(np.int32)
CLOSE = {"atol": 3e-6, "rtol": 3e-6}

# The functions of one chain, as a user calls them: alone.
ALONE = {
    "log_partition": crf.log_partition,
    "marginals": crf.marginals,
    "pair_marginals": crf.pair_marginals,
    "expected_counts": lambda p: scores_of(crf.expected_counts(p)),
    "viterbi": crf.viterbi,
    "k_best": lambda p: crf.k_best(p, 4),
    "entropy": crf.entropy,
    "cross_entropy": lambda p: crf.cross_entropy(p, dataclasses.replace(p, start=-p.start)),
    "kl_divergence": lambda p: crf.kl_divergence(p, dataclasses.replace(p, start=-p.start)),
    "score": lambda p: crf.score(p, TAGS[: p.emissions.shape[0]]),
    "sample": lambda p: crf.sample(jax.random.key(0), p, 3),
}


@pytest.mark.parametrize("name", ALONE)
def test_alone_as_together_and_under_jit(name):
    chain = random_chain(0)
    alone, jitted = ALONE[name](chain), jax.jit(ALONE[name])(chain)
    jax.tree.map(functools.partial(np.testing.assert_allclose, **CLOSE), alone, jitted)
    together = values(chain, chain, TAGS)
    if name in together and "divergence" not in name and "cross" not in name:
        np.testing.assert_allclose(alone, together[name], **CLOSE)


def axes_of(chain, transitions=None, ends=None):
    """in_axes of a chain: what is not mapped is shared."""
    some = None if chain.start is None else ends
    return crf.LinearChain(0, transitions, some, some, 0)


def one_by_one(function, axes, *arguments):
    """What vmap promises: a loop."""

    def pick(i, argument, axis):
        if isinstance(axis, crf.LinearChain):
            pairs = {
                field.name: (getattr(argument, field.name), getattr(axis, field.name))
                for field in dataclasses.fields(argument)
            }
            return crf.LinearChain(
                **{k: v if a is None or v is None else v[i] for k, (v, a) in pairs.items()}
            )
        return argument[i]

    count = len(arguments[0].emissions)
    results = [
        function(*(pick(i, a, axis) for a, axis in zip(arguments, axes, strict=True)))
        for i in range(count)
    ]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *results)


@pytest.mark.parametrize("function", [values, gradients], ids=["values", "gradients"])
def test_vmap_over_the_batch_is_a_loop(function):
    """Shared transitions and ends are not mapped."""
    p, q = random_chain(1), random_chain(2)
    axes = (axes_of(p), axes_of(q), 0)
    actual = jax.vmap(function, axes)(p, q, TAGS)
    assert_all_close(actual, one_by_one(function, axes, p, q, TAGS), **CLOSE)


def test_vmap_over_all_fields_is_the_batch():
    p, q = (random_chain(s, kind="one a sequence", ends="one a sequence") for s in (3, 4))
    axes = (axes_of(p, 0, 0), axes_of(q, 0, 0), 0)
    assert_all_close(jax.vmap(values, axes)(p, q, TAGS), values(p, q, TAGS), **CLOSE)


def test_vmap_over_transitions_alone():
    """One sequence under many models."""
    chain = random_chain(5, leading=(), lengths=np.int32(4), ends=None)
    transitions = np.random.default_rng(6).normal(size=(B, N, N)).astype(np.float32)
    found = jax.vmap(lambda t: crf.marginals(crf.LinearChain(chain.emissions, t)))(transitions)
    emissions = np.broadcast_to(chain.emissions, (B, T, N))
    np.testing.assert_allclose(
        found, crf.marginals(crf.LinearChain(emissions, transitions)), **CLOSE
    )


def test_nested_vmap():
    emissions = np.random.default_rng(7).normal(size=(2, 3, 4, T, N)).astype(np.float32)
    transitions = random_chain(7).transitions
    lengths = np.arange(24).reshape(2, 3, 4) % 6

    def one(emissions, lengths):
        chain = crf.LinearChain(emissions, transitions, lengths=lengths)
        return crf.log_partition(chain), crf.marginals(chain), crf.viterbi(chain)[0]

    nested = jax.vmap(jax.vmap(one, in_axes=1, out_axes=1))(emissions, lengths)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, **CLOSE), nested, one(emissions, lengths)
    )


def test_vmap_over_another_axis():
    chain = random_chain(8)
    last = np.moveaxis(chain.emissions, 0, -1)
    found = jax.vmap(
        lambda e, n: crf.entropy(dataclasses.replace(chain, emissions=e, lengths=n)), (2, 0)
    )(last, chain.lengths)
    np.testing.assert_allclose(found, crf.entropy(chain), **CLOSE)


def test_vmap_of_a_sequence_that_is_not_certain():
    """One of the mapped chains needs the sure path; all come out right."""
    emissions = np.random.default_rng(9).normal(scale=30, size=(4, 64, 5)).astype(np.float32)
    transitions = random_chain(10, tags=5).transitions
    hard = np.where(np.random.default_rng(9).random((5, 5)) < 0.5, -1e4, transitions)
    chain = crf.LinearChain(emissions, np.stack([transitions, transitions, hard, hard]))
    chain = jax.tree.map(np.float32, chain)

    def both(chain):
        return crf.log_partition(chain), crf.marginals(chain)

    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=5e-6, rtol=1e-6),
        jax.vmap(both)(chain),
        both(chain),
    )


def test_samples_under_vmap():
    chain = random_chain(11)
    keys = jax.random.split(jax.random.key(0), B)
    axes = axes_of(chain)
    found = jax.vmap(lambda key, chain: crf.sample(key, chain, 4), (0, axes))(keys, chain)
    desired = one_by_one(lambda chain, key: crf.sample(key, chain, 4), (axes, 0), chain, keys)
    np.testing.assert_array_equal(found, desired)


def cases(function, *arguments):
    """How many branches the program keeps: a predicate for each element would be a select."""
    return jax.jit(function).lower(*arguments).as_text().count("stablehlo.case")


def gradient_of_log_partition(chain):
    return jax.grad(lambda e: crf.log_partition(dataclasses.replace(chain, emissions=e)).sum())(
        chain.emissions
    )


def gradient_of_entropy(chain):
    return jax.grad(lambda e: crf.entropy(dataclasses.replace(chain, emissions=e)).sum())(
        chain.emissions
    )


@pytest.mark.parametrize(
    "function",
    [gradient_of_log_partition, gradient_of_entropy, lambda c: crf.sample(KEY, c, 2)],
    ids=["log_partition", "entropy", "sample"],
)
def test_vmap_keeps_the_branch(function):
    chain = random_chain(12, kind="one a sequence", ends="one a sequence")
    batched = cases(function, chain)
    assert batched >= 1
    assert cases(jax.vmap(function), chain) == batched
    twice = jax.tree.map(lambda x: x[None], chain)
    assert cases(jax.vmap(jax.vmap(function)), twice) == batched


KEY = jax.random.key(0)


def equations(jaxpr):
    """All equations, those inside others too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(
            list(equation.params.values()),
            is_leaf=lambda x: isinstance(x, core.ClosedJaxpr | core.Jaxpr),
        ):
            if isinstance(inner, core.ClosedJaxpr):
                yield from equations(inner.jaxpr)
            elif isinstance(inner, core.Jaxpr):
                yield from equations(inner)


def test_vmap_of_single_sequences_keeps_shared_transitions_shared():
    """One matrix for all, not a copy each: the products stay one large dot."""
    chain = random_chain(18, tags=40, ends=None)

    def gradient(emissions, transitions):
        def total(*scores):
            return crf.log_partition(crf.LinearChain(*scores)).sum()

        return jax.grad(total, (0, 1))(emissions, transitions)

    def separate_dots(function):
        jaxpr = jax.make_jaxpr(function)(chain.emissions, chain.transitions).jaxpr
        dots = [e for e in equations(jaxpr) if e.primitive.name == "dot_general"]
        return sum(any(e.params["dimension_numbers"][1]) for e in dots), len(dots)

    assert separate_dots(jax.vmap(gradient, (0, None))) == separate_dots(gradient)


def values_and_gradients(p, q, tags):
    return values(p, q, tags), gradients(p, q, tags), crf.sample(KEY, p, 2)


def second_derivatives(p, q, tags):
    def total(fields):
        by = gradients(with_scores(p, fields), with_scores(q, fields), tags)
        return sum(leaf.sum() for leaf in jax.tree.leaves(by))

    return jax.grad(total)(scores_of(p))


@pytest.mark.parametrize(
    "traced,kind,tags",
    [
        *((values_and_gradients, "shared", 3), (values_and_gradients, "one a sequence", 40)),
        *((values_and_gradients, "one a step", 40), (second_derivatives, "shared", 40)),
    ],
)
def test_every_dot_is_of_the_highest_precision(traced, kind, tags):
    """TPUs and GPUs round dots to bfloat16 or TF32 otherwise; no CPU can show that."""
    p, q = (random_chain(seed, kind=kind, tags=tags) for seed in (13, 14))
    jaxpr = jax.make_jaxpr(traced)(p, q, TAGS).jaxpr
    dots = [e for e in equations(jaxpr) if e.primitive.name == "dot_general"]
    assert dots
    highest = (lax.Precision.HIGHEST, lax.Precision.HIGHEST)
    assert {equation.params["precision"] for equation in dots} == {highest}
    assert not any("conv_general" in e.primitive.name for e in equations(jaxpr))


LARGE = {"leading": (4,), "steps": 64, "tags": 32, "lengths": None}


@pytest.mark.parametrize(
    "name", [name for name in TOTALS if not name.startswith(("pair_marginals", "score"))]
)
def test_no_matrix_a_step_is_ever_held(name):
    """O(B·T·N) with shared transitions: neither value nor gradient makes a [B, T, N, N]."""
    p, q = random_chain(15, **LARGE), random_chain(16, **LARGE)
    tags = np.zeros((4, 64), np.int32)

    def total(fields):
        return TOTALS[name](with_scores(p, fields[0]), with_scores(q, fields[1]), tags)

    jaxpr = jax.make_jaxpr(jax.value_and_grad(total))((scores_of(p), scores_of(q))).jaxpr
    largest = max(int(np.prod(v.aval.shape)) for e in equations(jaxpr) for v in e.outvars)
    paths = K if name == "k_best by p" else 1
    assert largest <= paths * 4 * 64 * 32


def test_pair_marginals_are_where_a_matrix_a_step_is_held():
    """The test above could not fail if it did not see them."""
    p = random_chain(15, **LARGE)
    jaxpr = jax.make_jaxpr(crf.pair_marginals)(p).jaxpr
    assert max(np.prod(v.aval.shape) for e in equations(jaxpr) for v in e.outvars) >= (
        4 * 63 * 32 * 32
    )


def test_jit_with_donated_and_static_arguments():
    """k and n are static under a caller's jit; temperature and lengths may be traced."""
    chain = random_chain(17)

    @functools.partial(jax.jit, static_argnums=(1,))
    def run(chain, k, temperature, lengths):
        chain = dataclasses.replace(crf.temper(chain, temperature), lengths=lengths)
        return crf.k_best(chain, k), crf.sample(KEY, chain, k)

    (tags, scores), samples = run(chain, 2, 2.0, chain.lengths)
    assert tags.shape == (B, 2, T) and scores.shape == (B, 2) and samples.shape == (2, B, T)
    assert jnp.isfinite(scores[1:]).all()
