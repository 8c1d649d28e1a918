"""A wrong shape or type is a ValueError that names argument, shape and rule."""

import dataclasses

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from mmkd_jax import crf
from tests.crf.chains import random_chain

B, T, N = 6, 5, 3


@pytest.fixture(autouse=True)
def as_users_run_it():
    """Without the shape checks of signatures, which only tests have."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


TAGS = zeros(B, T, dtype=np.int32)
FUNCTIONS = {
    "score": lambda chain: crf.score(chain, TAGS),
    "log_prob": lambda chain: crf.log_prob(chain, TAGS),
    "log_partition": crf.log_partition,
    "marginals": crf.marginals,
    "pair_marginals": crf.pair_marginals,
    "expected_counts": crf.expected_counts,
    "viterbi": crf.viterbi,
    "k_best": lambda chain: crf.k_best(chain, 2),
    "sample": lambda chain: crf.sample(jax.random.key(0), chain, 2),
    "temper": lambda chain: crf.temper(chain, 2.0),
}
DIVERGENCES = {
    "entropy": lambda p, q: crf.entropy(p),
    "cross_entropy": crf.cross_entropy,
    "kl_divergence": crf.kl_divergence,
}

WRONG_SHAPES = {
    "emissions": [(N,), (), (B, T, 0), (B, 0, N)],
    "transitions": [
        *((N,), (N, N + 1), (N + 1, N + 1), (B + 1, N, N), (T - 1, N, N), (B, N, N + 1)),
        *((B, T, N, N), (T - 1, 1, N, N), (B, 1, N, N), (1, B, T - 1, N, N)),
    ],
    "start": [(), (N + 1,), (1,), (B,), (B, 1), (B + 1, N), (B, T, N)],
    "end": [(), (N + 1,), (1,), (B,), (B, 1), (B + 1, N), (B, T, N)],
    "lengths": [(), (1,), (B + 1,), (B, 1), (B, T)],
}
SHAPES = [(field, shape) for field, shapes in WRONG_SHAPES.items() for shape in shapes]


@pytest.mark.parametrize("field,shape", SHAPES)
def test_wrong_shape_of_a_field(field, shape):
    dtype = np.int32 if field == "lengths" else np.float32
    chain = dataclasses.replace(random_chain(0), **{field: zeros(*shape, dtype=dtype)})
    with pytest.raises(ValueError) as error:
        crf.log_partition(chain)
    message = str(error.value)
    assert message.startswith(f"chain.{field} must be [")
    assert message.endswith(f"got {shape}")


@pytest.mark.parametrize("field", WRONG_SHAPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_checks_every_field(name, field):
    dtype = np.int32 if field == "lengths" else np.float32
    chain = dataclasses.replace(random_chain(0), **{field: zeros(7, dtype=dtype)})
    with pytest.raises(ValueError, match=rf"chain\.{field} must be .*got \(7,\)"):
        FUNCTIONS[name](chain)


@pytest.mark.parametrize("field", WRONG_SHAPES)
@pytest.mark.parametrize("name", DIVERGENCES)
def test_divergences_name_the_chain(name, field):
    good = random_chain(0)
    dtype = np.int32 if field == "lengths" else np.float32
    bad = dataclasses.replace(good, **{field: zeros(7, dtype=dtype)})
    with pytest.raises(ValueError, match=rf"p\.{field} must be .*got \(7,\)"):
        DIVERGENCES[name](bad, good)
    if name != "entropy":
        with pytest.raises(ValueError, match=rf"q\.{field} must be .*got \(7,\)"):
            DIVERGENCES[name](good, bad)


@pytest.mark.parametrize("dtype", [np.int32, bool, np.complex64])
@pytest.mark.parametrize("field", ["emissions", "transitions", "start", "end"])
def test_scores_are_floats(field, dtype):
    chain = random_chain(0)
    chain = dataclasses.replace(chain, **{field: getattr(chain, field).astype(dtype)})
    name = np.dtype(dtype).name
    with pytest.raises(ValueError, match=rf"chain\.{field} must hold floats, got dtype {name}"):
        crf.log_partition(chain)


@pytest.mark.parametrize("dtype", [np.float32, bool])
def test_lengths_and_tags_are_integers(dtype):
    chain = dataclasses.replace(random_chain(0), lengths=zeros(B, dtype=dtype))
    with pytest.raises(ValueError, match=r"chain\.lengths must hold integers"):
        crf.viterbi(chain)
    for function in (crf.score, crf.log_prob):
        with pytest.raises(ValueError, match=r"tags must hold integers"):
            function(random_chain(0), zeros(B, T, dtype=dtype))


@pytest.mark.parametrize("shape", [(T,), (B,), (B, T + 1), (1, T), (B, T, N)])
@pytest.mark.parametrize("name", ["score", "log_prob"])
def test_tags_are_one_a_step(name, shape):
    with pytest.raises(ValueError) as error:
        getattr(crf, name)(random_chain(0), zeros(*shape, dtype=np.int32))
    assert str(error.value) == f"tags must be [..., T] = {(B, T)}, got {shape}"


def test_the_field_at_fault_is_named_also_where_another_could_be_meant():
    """Three tags and three sequences: the message says what each rank would have been."""
    chain = dataclasses.replace(random_chain(0), transitions=zeros(4, N, N))
    with pytest.raises(ValueError) as error:
        crf.log_partition(chain)
    for part in ("(3, 3)", "(6, 3, 3)", "(6, 4, 3, 3)", "(4, 3, 3)", "leading axes may be 1"):
        assert part in str(error.value)


@pytest.mark.parametrize("k", [0, -1, 2.0, None, "2", np.float32(2)])
def test_k_is_a_positive_int(k):
    with pytest.raises(ValueError, match="k must be a Python int of at least 1"):
        crf.k_best(random_chain(0), k)


@pytest.mark.parametrize("n", [-1, 2.0, None, "2"])
def test_n_is_an_int(n):
    with pytest.raises(ValueError, match="n must be a Python int of at least 0"):
        crf.sample(jax.random.key(0), random_chain(0), n)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_is_positive(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        crf.temper(random_chain(0), temperature)
    with pytest.raises(ValueError, match="temperature must be positive"):
        crf.temper(random_chain(0), jnp.float32(temperature))


def test_temperature_is_a_scalar():
    with pytest.raises(ValueError, match=r"temperature must be a scalar, got shape \(6,\)"):
        crf.temper(random_chain(0), np.ones(6, np.float32))


@pytest.mark.parametrize("name", ["cross_entropy", "kl_divergence"])
@pytest.mark.parametrize("shape", [(B, T, N + 1), (B, T + 1, N), (B + 1, T, N), (T, N)])
def test_p_and_q_are_of_one_shape(name, shape):
    p = crf.LinearChain(zeros(B, T, N), zeros(N, N))
    q = crf.LinearChain(zeros(*shape), zeros(shape[-1], shape[-1]))
    with pytest.raises(ValueError) as error:
        getattr(crf, name)(p, q)
    message = str(error.value)
    assert "p.emissions and q.emissions must have the same shape" in message
    assert message.endswith(f"got {(B, T, N)} and {shape}")


def test_a_chain_holds_anything():
    """Tree maps and transformations put their own things where arrays go."""
    thing = object()
    chain = crf.LinearChain(thing, None, "start", {"a": 1}, -1)
    assert chain.emissions is thing
    axes = jax.tree.map(lambda _: 0, random_chain(0))
    assert axes == crf.LinearChain(0, 0, 0, 0, 0)
    shapes = jax.tree.map(np.shape, random_chain(0))
    assert shapes.emissions == (B, T, N)
    halves = jax.tree.map(lambda x: x[:3], random_chain(0, ends=None, kind="one a sequence"))
    assert crf.log_partition(halves).shape == (3,)
    leaves, tree = jax.tree.flatten(random_chain(0))
    assert len(leaves) == 5
    assert jax.tree.unflatten(tree, leaves).lengths is leaves[4]
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(chain)]
    assert paths[0] == ".emissions"
    with pytest.raises(dataclasses.FrozenInstanceError):
        chain.emissions = 0


def test_the_same_errors_under_jit_and_vmap():
    chain = dataclasses.replace(random_chain(0), start=zeros(B, N + 1))
    for function in (jax.jit(crf.log_partition), jax.vmap(crf.log_partition, (AXES,))):
        with pytest.raises(ValueError, match=r"chain\.start must be"):
            function(chain)


AXES = crf.LinearChain(0, None, 0, None, 0)
