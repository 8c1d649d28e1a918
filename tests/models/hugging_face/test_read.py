import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import ml_dtypes
import numpy as np
import pytest
from jax.sharding import AxisType
from safetensors.numpy import load_file, save_file

from mmkd_jax import models
from mmkd_jax.models._hugging_face import read
from tests.models import tiny


def mesh(*shape):
    return jax.make_mesh(shape, ("data", "fsdp", "model"), axis_types=(AxisType.Auto,) * 3)


def rewritten(name: str, directory: Path, change) -> Path:
    """A golden checkpoint after `change` of its dict of tensors."""
    directory.mkdir(exist_ok=True)
    shutil.copy(tiny.GOLDEN / name / "config.json", directory)
    tensors = load_file(tiny.GOLDEN / name / "model.safetensors")
    save_file(change(tensors), directory / "model.safetensors")
    return directory


def respelled(*pairs):
    def change(tensors):
        for old, new in pairs:
            tensors = {name.replace(old, new): t for name, t in tensors.items()}
        return tensors

    return change


LAYOUTS = {
    "without prefix": respelled(("bert.", "")),
    "wrapped": lambda tensors: {f"module.{name}": t for name, t in tensors.items()},
    "gamma and beta": respelled(
        ("LayerNorm.weight", "LayerNorm.gamma"), ("LayerNorm.bias", "LayerNorm.beta")
    ),
    "tied decoder": lambda tensors: (
        tensors
        | {
            "cls.predictions.decoder.weight": tensors["bert.embeddings.word_embeddings.weight"],
            "cls.predictions.decoder.bias": tensors["cls.predictions.bias"],
        }
    ),
    "bias of the decoder only": respelled(("cls.predictions.bias", "cls.predictions.decoder.bias")),
    "numbers of positions": lambda tensors: (
        tensors | {"bert.embeddings.position_ids": np.arange(14)[None]}
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_parameters(layout, tmp_path):
    config, params = models.load_pretrained(tiny.GOLDEN / "bert")
    found = models.load_pretrained(rewritten("bert", tmp_path, LAYOUTS[layout]))
    assert found[0] == config
    tiny.assert_same(found[1], params)


def test_without_heads(tmp_path):
    def change(tensors):
        return {name: t for name, t in tensors.items() if "cls." not in name}

    _, params = models.load_pretrained(rewritten("bert", tmp_path, change))
    assert sorted(params) == ["embeddings", "layers", "pooler"]
    whole = models.load_pretrained(tiny.GOLDEN / "bert")[1]
    tiny.assert_same(params, {name: whole[name] for name in params})


def test_what_follows_from_others_is_listed(tmp_path, caplog):
    directory = rewritten("bert", tmp_path, LAYOUTS["numbers of positions"])
    with caplog.at_level(logging.DEBUG, logger="mmkd_jax"):
        models.load_pretrained(directory)
    assert "embeddings.position_ids" in caplog.text


def test_files_in_parts(tmp_path):
    tensors = load_file(tiny.GOLDEN / "bert" / "model.safetensors")
    shutil.copy(tiny.GOLDEN / "bert" / "config.json", tmp_path)
    weight_map = {}
    for part in range(3):
        name = f"model-{part}.safetensors"
        some = dict(list(tensors.items())[part::3])
        save_file(some, tmp_path / name)
        weight_map |= dict.fromkeys(some, name)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    found = models.load_pretrained(tmp_path)[1]
    tiny.assert_same(found, models.load_pretrained(tiny.GOLDEN / "bert")[1])
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(ValueError, match="must hold model-1.safetensors"):
        models.load_pretrained(tmp_path)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_weights_become_float32(dtype, tmp_path):
    def narrow(tensors):
        return {name: t.astype(dtype) for name, t in tensors.items()}

    directory = rewritten("roberta", tmp_path, narrow)
    config, params = models.load_pretrained(directory)
    whole = models.load_pretrained(tiny.GOLDEN / "roberta")[1]
    tiny.assert_same(params, jax.tree.map(lambda x: x.astype(dtype).astype("f"), whole))
    # And back, bit by bit.
    models.save_pretrained(tmp_path / "saved", config, params, dtype=np.dtype(dtype).name)
    tiny.assert_same(*(load_file(d / "model.safetensors") for d in (directory, tmp_path / "saved")))


@pytest.mark.parametrize("shape", [(2, 2, 2), (1, 1, 8), (1, 8, 1)])
@pytest.mark.parametrize("chunk", [read._CHUNK, 5])
def test_shards_hold_what_belongs_there(shape, chunk, monkeypatch):
    monkeypatch.setattr(read, "_CHUNK", chunk)
    config, params = models.load_pretrained(tiny.GOLDEN / "bert", mesh=mesh(*shape))
    shardings = models.param_shardings(config, mesh(*shape), heads=tiny.HEADS)
    assert jax.tree.map(lambda x: x.sharding, params) == shardings
    expected = models.load_pretrained(tiny.GOLDEN / "bert", vocabulary_multiple=128)[1]
    rows = config.vocabulary_rows
    assert rows == (29 if shape[2] == 1 else 128)
    expected["embeddings"]["words"] = expected["embeddings"]["words"][:rows]
    expected["masked_lm"]["bias"] = expected["masked_lm"]["bias"][:rows]
    tiny.assert_same(params, expected)


def test_rules_may_split_any_axis():
    rules = {"head": "model", "heads": "fsdp", "width": "data"}
    _, params = models.load_pretrained(tiny.GOLDEN / "bert", mesh=mesh(2, 2, 2), rules=rules)
    query = params["layers"]["0"]["attention"]["query"]["kernel"]
    assert query.addressable_shards[0].data.shape == (4, 1, 2)
    tiny.assert_same(params, models.load_pretrained(tiny.GOLDEN / "bert")[1])


def test_a_process_reads_only_its_shards(monkeypatch):
    """What is asked of the file is what the shards hold, not the whole tensor for each."""
    blocks = []
    block = read._block
    monkeypatch.setattr(read, "_block", lambda *a: blocks.append(block(*a)) or blocks[-1])
    config, params = models.load_pretrained(tiny.GOLDEN / "bert", mesh=mesh(1, 1, 8))
    words = config.vocabulary_rows * config.width
    assert sum(b.size == words // 8 for b in blocks) == 8
    assert not any(b.size == words for b in blocks)


def test_overrides():
    config, params = models.load_pretrained(
        tiny.GOLDEN / "bert", dtype="bfloat16", vocabulary_multiple=16, dropout=0.0
    )
    assert (config.dtype, config.vocabulary_rows, config.dropout) == ("bfloat16", 32, 0.0)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype("float32")}
    np.testing.assert_array_equal(params["embeddings"]["words"][29:], 0)


def test_missing_and_unknown_tensors_are_paired(tmp_path):
    def change(tensors):
        tensors["bert.encoder.layer.1.intermediate.dens.weight"] = tensors.pop(
            "bert.encoder.layer.1.intermediate.dense.weight"
        )
        del tensors["bert.embeddings.token_type_embeddings.weight"]
        return tensors | {"crf.transitions": np.zeros(2, np.float32)}

    directory = rewritten("bert", tmp_path, change)
    with pytest.raises(ValueError) as error:
        models.load_pretrained(directory)
    text = str(error.value)
    assert "2 missing, 2 unknown" in text
    assert (
        "missing encoder.layer.1.intermediate.dense.weight; "
        "is it bert.encoder.layer.1.intermediate.dens.weight?"
    ) in text
    assert "missing embeddings.token_type_embeddings.weight\n" in text
    assert "unknown crf.transitions" in text


def test_part_of_a_head_is_missing(tmp_path):
    def change(tensors):
        del tensors["cls.predictions.transform.dense.bias"]
        return tensors

    with pytest.raises(ValueError, match="missing cls.predictions.transform.dense.bias"):
        models.load_pretrained(rewritten("bert", tmp_path, change))


def test_tensors_can_be_left_out_by_choice(tmp_path):
    def change(tensors):
        return tensors | {"classifier.weight": np.zeros((2, 8), np.float32)}

    directory = rewritten("bert", tmp_path, change)
    with pytest.raises(ValueError, match="0 missing, 1 unknown\n  unknown classifier.weight"):
        models.load_pretrained(directory)
    _, params = models.load_pretrained(directory, ignore=["classifier.*", "bert.pooler.*"])
    assert sorted(params) == ["embeddings", "layers", "masked_lm", "next_sentence"]


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("pooler.dense.bias", np.zeros(7, np.float32), r"must be \(8,\) by config.json, got \[7\]"),
        ("pooler.dense.bias", np.zeros(8, np.int32), "must be of F32, F16, BF16, got I32"),
    ],
)
def test_wrong_tensors(name, tensor, message, tmp_path):
    directory = rewritten("bert", tmp_path, lambda tensors: tensors | {f"bert.{name}": tensor})
    with pytest.raises(ValueError, match=f"bert.{name} {message}"):
        models.load_pretrained(directory)


def test_one_tensor_twice(tmp_path):
    def change(tensors):
        return tensors | {"pooler.dense.bias": np.zeros(8, np.float32)}

    with pytest.raises(ValueError, match="are the same tensor, pooler.dense.bias"):
        models.load_pretrained(rewritten("bert", tmp_path, change))


def test_untied_output_embeddings_are_refused(tmp_path):
    directory = rewritten("bert", tmp_path, LAYOUTS["tied decoder"])
    content = json.loads((directory / "config.json").read_text()) | {"tie_word_embeddings": False}
    (directory / "config.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="tie_word_embeddings must be True"):
        models.load_pretrained(directory)


def test_a_pickle_is_refused_with_the_way_out(tmp_path):
    shutil.copy(tiny.GOLDEN / "bert" / "config.json", tmp_path)
    with pytest.raises(ValueError, match="must hold model.safetensors, found config.json") as error:
        models.load_pretrained(tmp_path)
    assert "is a pickle" not in str(error.value)
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="pytorch_model.bin is a pickle") as error:
        models.load_pretrained(tmp_path)
    *_, line = str(error.value).splitlines()
    assert line.startswith('python -c "import torch')
    compile(line.removeprefix('python -c "').removesuffix('"'), "the line", "exec")


def test_the_way_out_works(tmp_path):
    torch = pytest.importorskip("torch")
    shutil.copy(tiny.GOLDEN / "bert" / "config.json", tmp_path)
    tensors = load_file(tiny.GOLDEN / "bert" / "model.safetensors")
    tensors = {name: torch.tensor(t) for name, t in tensors.items()}
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="is a pickle") as error:
        models.load_pretrained(tmp_path)
    line = str(error.value).splitlines()[-1].replace("python ", f"{sys.executable} ", 1)
    subprocess.run(line, shell=True, check=True, timeout=120)
    found = models.load_pretrained(tmp_path)[1]
    tiny.assert_same(found, models.load_pretrained(tiny.GOLDEN / "bert")[1])


def test_a_directory_without_config(tmp_path):
    with pytest.raises(ValueError, match="must hold config.json, found nothing"):
        models.load_pretrained(tmp_path)


@pytest.mark.parametrize("source", ["./nowhere", "/nowhere", "some/where/else"])
def test_what_is_neither_directory_nor_id(source):
    with pytest.raises(FileNotFoundError, match="is no directory, and no id of the hub either"):
        models.load_pretrained(source)


def test_the_hub_is_asked_for_safetensors_only(monkeypatch):
    huggingface_hub = pytest.importorskip("huggingface_hub")
    asked = {}

    def snapshot_download(name, allow_patterns):
        asked[name] = allow_patterns
        return str(tiny.GOLDEN / "bert")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    config, params = models.load_pretrained("someone/some-bert")
    tiny.assert_same(params, models.load_pretrained(tiny.GOLDEN / "bert")[1])
    (patterns,) = asked.values()
    filtered = huggingface_hub.utils.filter_repo_objects
    files = [
        *("config.json", "model.safetensors", "model-00001-of-00002.safetensors", "vocab.txt"),
        *("model.safetensors.index.json", "tokenizer.json", "sentencepiece.bpe.model"),
        *("pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "flax_model.msgpack", "a.py"),
    ]
    assert list(filtered(files, allow_patterns=patterns)) == files[:7]


MEMORY = """
import sys, jax
from mmkd_jax import models
from mmkd_jax.models._hugging_face import read

def anonymous():  # what is not mapped from files
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

peak = []
block = read._block
def watched(*arguments):
    result = block(*arguments)
    peak.append(anonymous())
    return result
read._block = watched
put = jax.device_put
def watched_put(*arguments):
    result = jax.block_until_ready(put(*arguments))
    peak.append(anonymous())
    return result
read.jax.device_put = watched_put
models.load_pretrained(sys.argv[1])  # loads libraries, compiles
peak.clear()
before = anonymous()
config, params = models.load_pretrained(sys.argv[2])
sizes = [leaf.nbytes for leaf in jax.tree.leaves(params)]
print(max(peak) - before, sum(sizes), max(sizes))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_above_the_parameters_is_at_most_the_largest_tensor(tmp_path):
    config = tiny.config(vocabulary_size=16_000, width=512, heads=8, hidden_width=2048, layers=8)
    zeros = jax.tree.map(lambda x: np.zeros(x.shape, "f"), models.abstract_params(config))
    models.save_pretrained(tmp_path / "large", config, zeros)
    command = [sys.executable, "-c", MEMORY, str(tiny.GOLDEN / "bert"), str(tmp_path / "large")]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ, check=True
    )
    peak, total, largest = map(int, done.stdout.split())
    assert peak > total  # it is measured at all
    assert total > 120e6
    assert peak <= total + largest + 4e6
