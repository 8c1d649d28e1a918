"""Heads in files of their own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import models


def test_round_trip_is_exact(tmp_path):
    projector = models.Projection(hidden_width=6, width=4)
    variables = projector.init(jax.random.key(0), jnp.ones((3, 5)))
    variables["params"]["half"] = jnp.array([1.5, -2.0], jnp.bfloat16)
    settings = {"hidden_width": 6, "names": ["ä", "b"]}
    models.save_head(tmp_path / "new", "projector", settings, variables)
    found_settings, found = models.load_head(tmp_path / "new", "projector")
    assert found_settings == settings
    assert jax.tree.structure(found) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, found, variables)
    assert found["params"]["half"].dtype == jnp.bfloat16
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == [
        "projector.json",
        "projector.safetensors",
    ]


def test_beside_a_checkpoint(tmp_path):
    """What transformers reads stays as it is; the tagger's encoder comes from there."""
    config = models.EncoderConfig(
        vocabulary_size=30, width=8, layers=1, heads=2, hidden_width=16, positions=12
    )
    params = models.initial_params(config, jax.random.key(0))
    models.save_pretrained(tmp_path, config, params)
    models.save_head(tmp_path, "tagger", {}, {"kernel": jnp.ones((8, 3))})
    found_config, found = models.load_pretrained(tmp_path)
    assert found_config.width == 8
    jax.tree.map(np.testing.assert_array_equal, found, params)


def test_errors(tmp_path):
    models.save_head(tmp_path, "tagger", {}, {"a": jnp.ones(1)})
    with pytest.raises(FileNotFoundError, match="Heads in this folder: tagger"):
        models.load_head(tmp_path, "projector")
    for name in ("model", "model-2", "config", "a/b", ""):
        with pytest.raises(ValueError, match="name must be a plain one"):
            models.save_head(tmp_path, name, {}, {})
    with pytest.raises(ValueError, match="names without '/'"):
        models.save_head(tmp_path, "tagger", {}, {"a/b": jnp.ones(1)})


def test_files_are_as_open_to_others_as_any_new_file(tmp_path):
    (tmp_path / "other").touch()
    models.save_head(tmp_path, "tagger", {}, {"weight": np.ones(2)})
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1
