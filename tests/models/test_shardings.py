import jax
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from mmkd_jax import models
from tests.models import tiny


def mesh(*shape, names=("data", "fsdp", "model")):
    return jax.make_mesh(shape, names, axis_types=(AxisType.Auto,) * len(shape))


def test_axes_go_where_the_rules_say_and_fit():
    shardings = models.param_shardings(tiny.config(), mesh(2, 2, 2), heads=["masked_lm"])
    attention = shardings["layers"]["0"]["attention"]
    assert attention["query"]["kernel"].spec == P("fsdp", "model", None)
    assert attention["query"]["bias"].spec == P("model", None)
    assert attention["output"]["kernel"].spec == P("model", None, "fsdp")
    assert shardings["layers"]["1"]["mlp"]["down"]["kernel"].spec == P("model", "fsdp")
    # 29 tokens are not divided by 2.
    assert shardings["embeddings"]["words"].spec == P(None, "fsdp")
    assert shardings["masked_lm"]["dense"]["kernel"].spec == P("fsdp", None)


def test_other_rules_and_other_meshes():
    both = {"vocabulary": ("data", "model"), "width": None, "hidden": "nowhere"}
    config = tiny.config(vocabulary_multiple=8)
    shardings = models.param_shardings(config, mesh(2, 2, 2), both)
    assert shardings["embeddings"]["words"].spec == P(("data", "model"), None)
    assert shardings["layers"]["0"]["mlp"]["up"]["kernel"].spec == P(None, None)
    data = models.param_shardings(config, mesh(8, names=("data",)))
    assert all(sharding.is_fully_replicated for sharding in jax.tree.leaves(data))
    same = models.param_shardings(config, mesh(2, 2, 2), {"width": "model", "hidden": "model"})
    assert same["layers"]["0"]["mlp"]["up"]["kernel"].spec == P("model", None)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_eight_devices_compute_what_one_does(name):
    directory = tiny.GOLDEN / name
    config, params = models.load_pretrained(directory)
    sharded_config, sharded = models.load_pretrained(directory, mesh=mesh(2, 2, 2))
    assert sharded_config.vocabulary_rows == 128
    words = sharded["embeddings"]["words"]
    assert words.addressable_shards[0].data.shape == (64, 4)
    ids, mask = tiny.batch(4)
    ids = np.where(mask, ids, config.pad_id).astype(np.int32)
    split = NamedSharding(words.sharding.mesh, P(("data", "fsdp")))
    there = [jax.device_put(array, split) for array in (ids, mask)]
    hidden, extras = tiny.run(sharded_config, sharded, *there)
    expected, expected_extras = tiny.run(config, params, ids, mask)
    np.testing.assert_allclose(hidden, expected, atol=1e-5)
    np.testing.assert_allclose(extras["layers"], expected_extras["layers"], atol=1e-5)
    gradient = tiny.gradient(sharded_config, sharded, *there)
    plain = tiny.gradient(config, params, ids, mask)
    gradient["embeddings"]["words"] = gradient["embeddings"]["words"][:29]
    gradient, plain = ({k: g[k] for k in ("embeddings", "layers")} for g in (gradient, plain))
    tiny.assert_close(gradient, plain, atol=2e-3, rtol=1e-4)
