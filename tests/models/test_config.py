import jax.numpy as jnp
import pytest

from tests.models import tiny


def test_is_hashable_and_dtypes_compare_by_name():
    assert tiny.config(dtype=jnp.bfloat16) == tiny.config(dtype="bfloat16")
    assert hash(tiny.config(dtype=jnp.bfloat16)) == hash(tiny.config(dtype="bfloat16"))
    assert tiny.config() != tiny.config(scan_layers=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 3}, "heads must divide width = 8, got 3"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"vocabulary_multiple": 0}, "vocabulary_multiple must be at least 1"),
        ({"position_offset": 14}, r"position_offset must lie in 0\.\.positions - 1 = 13"),
        ({"position_offset": 3, "pad_id": 1}, r"position_offset must be 0 or pad_id \+ 1 = 2"),
        ({"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1.0"),
        ({"attention_dropout": -0.1}, r"attention_dropout must lie in"),
        ({"dtype": "int32"}, "dtype must be of floats, got int32"),
        ({"model_type": "gpt2"}, "model_type must be one of bert, .*, got 'gpt2'"),
        ({"activation": "geglu"}, "activation must be one of gelu, .*, got 'geglu'"),
    ],
)
def test_wrong_fields_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        tiny.config(**changes)
