import jax
import numpy as np
import pytest

from mmkd_jax import models
from tests.models import tiny

OLD = {"[PAD]": 0} | {f"old{n}": n for n in range(1, 29)}
NEW = {"[PAD]": 0, "new": 1, "old3": 2, "old28": 3, "other": 4}


def test_every_kth_layer_ends_with_the_last():
    config, params = tiny.config(layers=6), tiny.params(layers=6)
    small, student = models.layers_of(config, params, keep=2)
    assert small == tiny.config(layers=3)
    for new, old in enumerate((1, 3, 5)):
        tiny.assert_same(student["layers"][str(new)], params["layers"][str(old)])
    assert student["masked_lm"] is params["masked_lm"]
    ids, mask = tiny.batch(4)
    assert np.isfinite(tiny.run(small, student, ids, mask)[0]).all()


def test_chosen_layers_are_the_teachers_in_order():
    config, params = tiny.config(layers=3), tiny.params(layers=3)
    small, student = models.layers_of(config, params, keep=[0, 1])
    ids, mask = tiny.batch(4)
    _, extras = tiny.run(config, params, ids, mask)
    hidden, _ = tiny.run(small, student, ids, mask)
    np.testing.assert_allclose(hidden, extras["layers"][1], atol=2e-6)


@pytest.mark.parametrize("keep", [0, 3, [], [0, 2], [-1], [1, 1]])
def test_layers_that_are_not_there(keep):
    with pytest.raises(ValueError, match="keep must"):
        models.layers_of(tiny.config(), tiny.params(), keep)


@pytest.mark.parametrize("multiple", [1, 16])
def test_a_new_vocabulary_keeps_shared_pieces_and_draws_others(multiple):
    config = tiny.config(vocabulary_multiple=multiple)
    params = tiny.params(vocabulary_multiple=multiple)
    key = jax.random.key(0)
    changed, student = models.new_vocabulary(config, params, OLD, NEW, key)
    assert changed == tiny.config(vocabulary_multiple=multiple, vocabulary_size=5)
    old, new = params["embeddings"]["words"], student["embeddings"]["words"]
    assert len(new) == changed.vocabulary_rows
    np.testing.assert_array_equal(new[np.array([0, 2, 3])], old[np.array([0, 3, 28])])
    np.testing.assert_array_equal(new[5:], 0)
    bias, old_bias = student["masked_lm"]["bias"], params["masked_lm"]["bias"]
    np.testing.assert_array_equal(bias[np.array([0, 2, 3])], old_bias[np.array([0, 3, 28])])
    np.testing.assert_allclose(bias[np.array([1, 4])], old_bias[:29].mean(), rtol=1e-6)
    again = models.new_vocabulary(config, params, OLD, NEW, key)[1]
    tiny.assert_same(student, again)
    other = models.new_vocabulary(config, params, OLD, NEW, jax.random.key(1))[1]
    assert (other["embeddings"]["words"][1] != new[1]).all()
    assert student["layers"] is params["layers"]


def test_new_rows_have_mean_and_spread_of_the_old():
    config, params = tiny.config(), tiny.params()
    new = {"[PAD]": 0} | {f"new{n}": n for n in range(1, 4000)}
    _, student = models.new_vocabulary(config, params, OLD, new, jax.random.key(0))
    old, drawn = params["embeddings"]["words"], student["embeddings"]["words"][1:]
    np.testing.assert_allclose(drawn.mean(axis=0), old.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(drawn.std(axis=0), old.std(axis=0), rtol=0.06)


def test_the_padding_piece_may_move_unless_positions_count_from_it():
    moved = {"x": 0, "[PAD]": 1}
    arguments = (OLD, moved, jax.random.key(0))
    changed, _ = models.new_vocabulary(tiny.config(), tiny.params(), *arguments)
    assert changed.pad_id == 1
    roberta = tiny.config(position_offset=1, model_type="roberta")
    with pytest.raises(ValueError, match=r"new must keep '\[PAD\]' at row 0"):
        models.new_vocabulary(roberta, tiny.params(), *arguments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (OLD, {"[PAD]": 0, "a": 2}, "new must hold each row from 0 on once"),
        (OLD, {}, "new must hold each row"),
        ({"[PAD]": 0, "a": 29}, NEW, r"old must hold rows in 0\.\.28"),
        (OLD, {"a": 0}, r"pad must be a piece of both vocabularies, got '\[PAD\]'"),
    ],
)
def test_wrong_vocabularies(old, new, message):
    with pytest.raises(ValueError, match=message):
        models.new_vocabulary(tiny.config(), tiny.params(), old, new, jax.random.key(0))
