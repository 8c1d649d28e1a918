import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import models
from tests.models import tiny


@pytest.mark.parametrize("token_types", [0, 2])
def test_all_views_have_the_tree_of_the_encoders_own(token_types):
    config = tiny.config(token_types=token_types)
    ids, mask = tiny.batch(2)
    own = jax.eval_shape(models.Encoder(config).init, jax.random.key(0), ids, mask)["params"]
    abstract = models.abstract_params(config)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), own) == jax.tree.map(
        lambda x: (x.shape, x.dtype), abstract
    )
    axes = models.logical_axes(config)
    for name, shape in tiny.leaves(abstract).items():
        names = axes
        for key in name.strip("[']").split("']['"):
            names = names[key]
        assert len(names) == len(shape.shape), name
    initial = models.initial_params(config, jax.random.key(0))
    assert jax.tree.map(jnp.shape, initial) == jax.tree.map(jnp.shape, abstract)


def test_new_weights_have_the_configs_scale_and_differ():
    config = tiny.config(width=64, heads=4, initial_scale=0.02)
    params = models.initial_params(config, jax.random.key(0), ["masked_lm"])
    attention = params["layers"]["0"]["attention"]
    for name in ("query", "key", "value", "output"):
        assert 0.018 < attention[name]["kernel"].std() < 0.022
        assert (attention[name]["bias"] == 0).all()
    assert (attention["query"]["kernel"] != attention["key"]["kernel"]).any()
    other = params["layers"]["1"]["attention"]
    assert (attention["query"]["kernel"] != other["query"]["kernel"]).any()
    assert (attention["norm"]["scale"] == 1).all()


def test_the_padding_of_the_vocabulary_changes_no_token():
    key = jax.random.key(3)
    plain = models.initial_params(tiny.config(), key)["embeddings"]["words"]
    padded = models.initial_params(tiny.config(vocabulary_multiple=16), key)["embeddings"]["words"]
    assert padded.shape == (32, 8)
    np.testing.assert_array_equal(padded[:29], plain)
    np.testing.assert_array_equal(padded[29:], 0)


def test_an_unknown_head_is_named():
    with pytest.raises(ValueError, match="heads must be among masked_lm, .*, got 'tagger'"):
        models.abstract_params(tiny.config(), ["tagger"])
