"""Side by side with transformers on PyTorch, where that is installed."""

import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from mmkd_jax import models
from tests.models import tiny

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KINDS = [
    ({}, ()),
    ({}, ("pooler",)),
    ({}, ("masked_lm",)),
    ({}, tiny.HEADS),
    ({"activation": "gelu_tanh"}, ("masked_lm",)),
    ({"model_type": "roberta", "pad_id": 1, "position_offset": 2}, ("masked_lm",)),
    ({"model_type": "xlm-roberta", "pad_id": 1, "position_offset": 2}, ("pooler",)),
    ({"model_type": "distilbert", "token_types": 0}, ("masked_lm",)),
    ({"model_type": "distilbert", "token_types": 0}, ()),
]


@pytest.mark.parametrize(("changes", "heads"), KINDS)
def test_transformers_loads_our_export_and_computes_the_same(changes, heads, tmp_path):
    config, params = tiny.config(**changes), tiny.params(heads, **changes)
    models.save_pretrained(tmp_path, config, params)
    (name,) = json.loads((tmp_path / "config.json").read_text())["architectures"]
    # Only transformers' own encoders, asked for without a pooler, come without one.
    plain = {"add_pooling_layer": False} if name == "BertModel" and not heads else {}
    model, report = getattr(transformers, name).from_pretrained(
        tmp_path, output_loading_info=True, **plain
    )
    assert not any(report.values()), report
    ids, mask = tiny.batch(4)
    ids = np.where(mask, ids, config.pad_id).astype(np.int32)
    with torch.no_grad():
        theirs = model.eval()(
            input_ids=torch.tensor(ids).long(),
            attention_mask=torch.tensor(mask).long(),
            output_hidden_states=True,
        )
    hidden, extras = tiny.run(config, params, ids, mask)
    ours = np.concatenate([extras["embeddings"][None], extras["layers"]])
    expected = np.stack([h.numpy() for h in theirs.hidden_states])
    # Without any token to look at, transformers' weights are its own affair.
    there = mask.any(axis=-1)
    np.testing.assert_allclose(ours[:, there], expected[:, there], atol=2e-5)
    if "masked_lm" in heads:
        logits = models.masked_lm_logits(config, params, hidden)
        expected = theirs[0] if name != "BertForPreTraining" else theirs.prediction_logits
        np.testing.assert_allclose(logits[there], expected.numpy()[there], atol=2e-5)


def test_gradients_are_those_of_pytorch(tmp_path):
    config, params = tiny.config(), tiny.params(("pooler",))
    models.save_pretrained(tmp_path, config, params)
    model = transformers.BertModel.from_pretrained(tmp_path).eval()
    ids, mask = tiny.batch(4)
    ids, mask = ids[:3], mask[:3]
    result = model(torch.tensor(ids).long(), torch.tensor(mask).long(), output_hidden_states=True)
    loss = (result.last_hidden_state**3).sum()
    loss += sum((h**2).sum() for h in result.hidden_states[1:])
    loss.backward()
    gradient = tiny.gradient(config, params, ids, mask)
    models.save_pretrained(tmp_path, config, jax.device_get(gradient))
    ours = load_file(tmp_path / "model.safetensors")
    compared = 0
    for name, parameter in model.named_parameters():
        # A key's bias has no gradient but rounding errors, a pooler that is not used has none.
        if parameter.grad is None or "key.bias" in name:
            continue
        # PyTorch gives the padding's row of the table no gradient.
        rows = slice(1, None) if "word_embeddings" in name else slice(None)
        theirs = parameter.grad.numpy()[rows]
        np.testing.assert_allclose(
            ours[name][rows], theirs, atol=1e-4 * np.abs(theirs).max(), err_msg=name
        )
        compared += 1
    assert compared > 30
