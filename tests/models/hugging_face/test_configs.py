import json

import pytest

from mmkd_jax.models._hugging_face.configs import from_hugging_face, to_hugging_face
from tests.models import tiny


def stored(name: str, **changes) -> dict:
    return json.loads((tiny.GOLDEN / name / "config.json").read_text()) | changes


@pytest.mark.parametrize("name", tiny.NAMES)
def test_there_and_back(name):
    config = from_hugging_face(stored(name))
    heads = tiny.HEADS if name == "bert" else ("masked_lm",)
    written = to_hugging_face(config, heads, "float32")
    assert from_hugging_face(written) == config
    shared = {key: value for key, value in stored(name).items() if key in written}
    assert shared == {key: value for key, value in written.items() if key in shared}
    assert set(written) <= set(stored(name))


def test_fields():
    config = from_hugging_face(stored("bert"))
    assert config == tiny.config()
    config = from_hugging_face(stored("xlm-roberta"))
    assert (config.pad_id, config.position_offset, config.longest) == (1, 2, 12)
    assert (config.activation, config.token_types) == ("relu", 1)
    config = from_hugging_face(stored("distilbert"))
    assert (config.token_types, config.hidden_width, config.position_offset) == (0, 12, 0)


@pytest.mark.parametrize(
    ("heads", "architecture"),
    [
        ((), "BertModel"),
        (("pooler",), "BertModel"),
        (("masked_lm",), "BertForMaskedLM"),
        (("next_sentence", "pooler"), "BertForNextSentencePrediction"),
        (tiny.HEADS, "BertForPreTraining"),
    ],
)
def test_the_architecture_has_the_heads(heads, architecture):
    assert to_hugging_face(tiny.config(), heads, "float32")["architectures"] == [architecture]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "deberta"}, "model_type must be one of bert, .*, got 'deberta'"),
        ({"position_embedding_type": "relative_key"}, "position_embedding_type must be 'absolute'"),
        ({"is_decoder": True}, "is_decoder must be False"),
        ({"hidden_act": "mish"}, "hidden_act must be one of gelu, .*, got 'mish'"),
    ],
)
def test_what_is_another_model_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        from_hugging_face(stored("bert", **changes))


def test_missing_sizes_are_listed():
    content = stored("bert")
    del content["hidden_size"], content["vocab_size"]
    with pytest.raises(ValueError, match="of a bert must hold vocab_size, hidden_size"):
        from_hugging_face(content)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "roberta"}, "a roberta of transformers has position_offset = 1, got 0"),
        ({"model_type": "distilbert"}, "token_types = 0, got 2"),
        ({"token_types": 0}, "a bert of transformers has token_types = 1, got 0"),
        (
            {"model_type": "distilbert", "token_types": 0, "layer_norm_epsilon": 1e-5},
            "layer_norm_epsilon = 1e-12, got 1e-05",
        ),
    ],
)
def test_what_transformers_cannot_express_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        to_hugging_face(tiny.config(**changes), (), "float32")
