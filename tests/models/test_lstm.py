"""The BiLSTM against the formula in float64, and ragged batches against single sentences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mmkd_jax import models
from mmkd_jax.models._lstm import both_directions, locked_dropout, word_dropout
from tests.losses.checks import rejected

B, T, D, H = 8, 6, 5, 4
LENGTHS = np.array([6, 3, 1, 0, 5, 2, 6, 4])
MASK = jnp.asarray(np.arange(T) < LENGTHS[:, None])
X = jax.random.normal(jax.random.key(1), (B, T, D))
LSTM = models.BiLSTM(width=H, layers=2)
VARIABLES = LSTM.init(jax.random.key(0), X, MASK)


def states(variables, x, mask):
    return LSTM.apply(variables, x, mask)[0]


def expected_layer(params, x):
    """One sentence [n, D], word by word, in float64."""
    kernel, recurrent, bias = (
        np.asarray(params[name], np.float64) for name in ("input", "recurrent", "bias")
    )

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    found = np.zeros((len(x), 2, H))
    for direction in (0, 1):
        hidden, cell = np.zeros(H), np.zeros(H)
        for t in range(len(x)) if direction == 0 else reversed(range(len(x))):
            gates = x[t] @ kernel[:, direction] + hidden @ recurrent[direction] + bias[direction]
            take, keep, new, show = np.split(gates, 4)
            cell = sigmoid(keep) * cell + sigmoid(take) * np.tanh(new)
            hidden = sigmoid(show) * np.tanh(cell)
            found[t, direction] = hidden
    return found.reshape(len(x), 2 * H)


def layer_params(number):
    prefix = f"layer_{number}_"
    params = VARIABLES["params"]
    return {name: params[prefix + name] for name in ("input", "recurrent", "bias")}


def test_values_are_those_of_the_formula():
    found = np.asarray(states(VARIABLES, X, MASK))
    for b, length in enumerate(LENGTHS):
        expected = np.asarray(X[b, :length], np.float64)
        for number in range(2):
            expected = expected_layer(layer_params(number), expected)
        np.testing.assert_allclose(found[b, :length], expected, atol=2e-6)
        assert (found[b, length:] == 0).all()


def test_gradients_of_a_batch_are_those_of_its_sentences():
    weights = np.random.default_rng(1).standard_normal((B, T, 2 * H)).astype(np.float32)

    @jax.jit
    def gradient(variables, x, mask, weights):
        return jax.grad(lambda v, x: (states(v, x, mask) * weights).sum(), (0, 1))(variables, x)

    of_batch, of_x = gradient(VARIABLES, X, MASK, weights)
    total = jax.tree.map(jnp.zeros_like, of_batch)
    for b, length in enumerate(LENGTHS):
        if length == 0:
            continue
        # The sentence alone, without padding: jit sees its own length.
        alone = (a[b : b + 1, :length] for a in (X, MASK, weights))
        one, one_x = gradient(VARIABLES, *alone)
        total = jax.tree.map(jnp.add, total, one)
        np.testing.assert_allclose(of_x[b, :length], one_x[0], atol=1e-5)
        assert (of_x[b, length:] == 0).all()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), of_batch, total)


def test_padding_is_never_read():
    spoiled = jnp.where(MASK[..., None], X, np.nan)
    np.testing.assert_array_equal(states(VARIABLES, spoiled, MASK), states(VARIABLES, X, MASK))

    def total(variables, x):
        return jnp.square(states(variables, x, MASK)).sum()

    gradients = jax.grad(total, (0, 1))(VARIABLES, spoiled)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))


def test_a_sentence_does_not_touch_the_others():
    """Not even one that is NaN; and there may be none at all."""
    found = np.asarray(states(VARIABLES, X.at[0, 0].set(jnp.nan), MASK))
    assert np.isnan(found[0]).any()
    np.testing.assert_array_equal(found[1:], states(VARIABLES, X, MASK)[1:])
    assert states(VARIABLES, X[:0], MASK[:0]).shape == (0, T, 2 * H)


def test_more_leading_axes_are_more_sentences():
    found = states(VARIABLES, X.reshape(2, 4, T, D), MASK.reshape(2, 4, T))
    expected = states(VARIABLES, X, MASK)
    np.testing.assert_allclose(found.reshape(B, T, -1), expected, atol=1e-6)


def test_shards_make_no_difference():
    mesh = Mesh(np.array(jax.devices()), ("data",))
    placed = [jax.device_put(a, NamedSharding(mesh, PartitionSpec("data"))) for a in (X, MASK)]

    def total(variables, x, mask):
        return jnp.square(states(variables, x, mask)).sum()

    loss = jax.jit(jax.value_and_grad(total))
    found, expected = loss(VARIABLES, *placed), loss(VARIABLES, X, MASK)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), found, expected
    )


def test_under_shard_map():
    mesh = Mesh(np.array(jax.devices()), ("data",))
    spec = PartitionSpec("data")
    params = layer_params(0)
    inside = jax.shard_map(
        lambda x, mask: both_directions(params, x, mask),
        mesh=mesh,
        in_specs=(spec, spec),
        out_specs=spec,
    )

    def of_shard(params, x, mask):
        return jax.lax.psum(jnp.square(both_directions(params, x, mask)).sum(), "data")

    shard_gradient = jax.shard_map(
        jax.grad(of_shard), mesh=mesh, in_specs=(PartitionSpec(), spec, spec),
        out_specs=PartitionSpec(),
    )  # fmt: skip
    expected = jax.grad(lambda p: jnp.square(both_directions(p, X, MASK)).sum())(params)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        jax.jit(shard_gradient)(params, X, MASK),
        expected,
    )
    np.testing.assert_allclose(
        jax.jit(inside)(X, MASK), both_directions(params, X, MASK),
        atol=1e-6,
    )  # fmt: skip


def test_bfloat16():
    narrow = models.BiLSTM(width=H, layers=2, dtype="bfloat16")
    found = narrow.apply(VARIABLES, X, MASK)[0]
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, states(VARIABLES, X, MASK), atol=2e-2)


def test_dropout_is_locked_and_off_by_default():
    wet = models.BiLSTM(width=H, layers=2, dropout=0.5)
    first = wet.apply(VARIABLES, X, MASK)[0]
    np.testing.assert_array_equal(first, states(VARIABLES, X, MASK))
    one, same, other = (
        wet.apply(VARIABLES, X, MASK, False, rngs={"dropout": jax.random.key(seed)})[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (np.asarray(one) != other).any()


def test_locked_dropout_is_the_same_at_all_steps():
    ones = jnp.ones((3, 7, 50))
    found = np.asarray(locked_dropout(ones, 0.4, jax.random.key(0)))
    assert (found == found[:, :1]).all()
    assert set(np.unique(found.round(4))) == {0.0, np.float32(1 / 0.6).round(4)}
    assert (found[0] != found[1]).any()


def test_word_dropout_takes_whole_words():
    found = np.asarray(word_dropout(jnp.ones((20, 7, 3)), 0.4, jax.random.key(0)))
    assert (found == found[..., :1]).all()
    assert 0.4 < found.mean() < 0.8


def test_against_torch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.LSTM(D, H, bidirectional=True, batch_first=True)
    params = layer_params(0)
    with torch.no_grad():
        for direction, suffix in enumerate(("", "_reverse")):
            for name, value in (
                ("weight_ih", params["input"][:, direction].T),
                ("weight_hh", params["recurrent"][direction].T),
                ("bias_ih", params["bias"][direction]),
                ("bias_hh", np.zeros(4 * H, np.float32)),
            ):
                getattr(theirs, f"{name}_l0{suffix}").copy_(torch.tensor(np.asarray(value)))
        expected = theirs(torch.tensor(np.asarray(X[:1])))[0].numpy()
    found = both_directions(params, X[:1], MASK[:1])
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_wrong_mask_is_named():
    with rejected(r"mask must be \[\.\.\., T\] = \(8, 6\), got \(8, 5\)"):
        LSTM.apply(VARIABLES, X, MASK[:, :5])
