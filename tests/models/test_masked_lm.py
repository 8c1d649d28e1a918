import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import losses, models
from tests.losses import checks
from tests.models import tiny


def hidden_states():
    return jnp.asarray(np.random.default_rng(2).normal(size=(2, 3, 7, 8)), jnp.float32)


POSITIONS = np.array([[[1, 6], [0, 0], [3, 2]], [[5, 4], [6, 6], [0, 1]]])


@pytest.mark.parametrize("name", tiny.NAMES)
def test_logits_are_those_of_pytorch(name):
    expected = tiny.golden(name)
    config, params = models.load_pretrained(tiny.GOLDEN / name)
    arguments = expected["ids"], expected["mask"], expected.get("token_types")
    hidden, _ = tiny.run(config, params, *arguments)
    logits = models.masked_lm_logits(config, params, hidden)
    np.testing.assert_allclose(logits, expected["logits"], atol=2e-5)


def test_only_the_positions_that_are_asked_for():
    config, params = tiny.config(), tiny.params()
    everywhere = models.masked_lm_logits(config, params, hidden_states())
    some = models.masked_lm_logits(config, params, hidden_states(), jnp.asarray(POSITIONS))
    assert some.shape == (2, 3, 2, 29)
    for b, w, p in np.ndindex(POSITIONS.shape):
        np.testing.assert_allclose(some[b, w, p], everywhere[b, w, POSITIONS[b, w, p]], atol=1e-5)


def test_padding_of_the_vocabulary_is_never_predicted():
    config = tiny.config(vocabulary_multiple=16)
    params = tiny.params(vocabulary_multiple=16)  # random there too, as bad training might do
    logits = models.masked_lm_logits(config, params, hidden_states())
    assert logits.shape[-1] == 32
    assert (logits[..., 29:] == -jnp.inf).all()
    assert np.isfinite(logits[..., :29]).all()
    np.testing.assert_array_equal(jax.nn.softmax(logits)[..., 29:], 0)


@pytest.mark.parametrize("multiple", [1, 16])
def test_fits_the_loss_that_keeps_no_logits(multiple):
    config = tiny.config(vocabulary_multiple=multiple)
    targets = jnp.asarray(np.random.default_rng(0).integers(0, 29, POSITIONS.shape))
    where = jnp.asarray(POSITIONS != 6)

    def from_hidden(params):
        chosen = models.masked_lm_hidden(config, params, hidden_states(), jnp.asarray(POSITIONS))
        table, bias = models.masked_lm_table(config, params)
        return losses.token_alignment_from_hidden(chosen, table, bias, targets, where).sum()

    def from_logits(params):
        logits = models.masked_lm_logits(config, params, hidden_states(), jnp.asarray(POSITIONS))
        return losses.token_alignment(logits, targets, where).sum()

    params = tiny.params(("masked_lm",), vocabulary_multiple=multiple)
    one, two = (jax.jit(jax.value_and_grad(f))(params) for f in (from_hidden, from_logits))
    tiny.assert_close(one, two, atol=2e-4, rtol=1e-4)
    gradient = one[1]
    assert np.abs(gradient["embeddings"]["words"][:29]).max() > 1e-2  # tied: the loss moves it
    np.testing.assert_array_equal(gradient["masked_lm"]["bias"][29:], 0)
    np.testing.assert_array_equal(gradient["embeddings"]["words"][29:], 0)


def test_logits_of_bfloat16_are_float32():
    config = tiny.config(dtype="bfloat16")
    params = tiny.params()
    narrow = models.masked_lm_logits(config, params, hidden_states().astype(jnp.bfloat16))
    wide = models.masked_lm_logits(tiny.config(), params, hidden_states())
    assert narrow.dtype == jnp.float32
    assert np.abs(narrow - wide).max() / np.abs(wide).max() < 2e-2


def test_wrong_arguments_are_named():
    config, params = tiny.config(), tiny.params()
    with checks.rejected("params must hold the head masked_lm, got embeddings, layers"):
        models.masked_lm_logits(config, tiny.params(()), hidden_states())
    with checks.rejected(r"positions must be \[\.\.\., P\] with hidden's batch axes \(2, 3\)"):
        models.masked_lm_logits(config, params, hidden_states(), jnp.asarray(POSITIONS[0]))
