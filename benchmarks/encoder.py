"""Measures `mmkd_jax.models.Encoder` beside transformers on PyTorch.

    python benchmarks/encoder.py                        # everything, about 10 minutes on 2 cores
    python benchmarks/encoder.py --only minilm          # or bert_base

A whole run writes `results/encoder.json` and its section of `RESULTS.md`. A part only prints,
unless `--merge` puts its rows among the stored ones. On a GPU `gpu.py` measures encoders.
`pip install mmkd_jax[bench]` installs PyTorch.
"""

import argparse
import functools
import tempfile
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from side_by_side import (
    CALL_LIMIT,
    Candidate,
    Report,
    Row,
    figure,
    installed,
    medians,
    usable_cores,
    warm_up,
)

from mmkd_jax import models

TORCH = "transformers on PyTorch"
FORWARD, BOTH = "forward [ms]", "forward + backward [ms]"
TOLERANCE = 1e-3  # relative to the largest entry
BATCH, LENGTH = 16, 128
BUCKET = 16
TARGET = 1.0

SHAPES = {
    "minilm": {"width": 384, "layers": 6, "hidden_width": 1536},
    "bert_base": {"width": 768, "layers": 12, "hidden_width": 3072},
}

INTRO = f"""\
An encoder of the shape of MiniLM (6 layers of width 384) and of BERT-base (12 of 768), 12 heads,
30 522 tokens, random weights, float32, no dropout. *{TORCH}* runs eagerly with the attention that
it chooses by itself, on all cores. Medians of calls that take turns in one process; compilation is
outside. A ratio is the peer's time divided by ours. Before it is timed, the peer's hidden states
and its gradients by all parameters are compared with ours ({TOLERANCE:g} of the largest entry).
Forward + backward is the gradient of a weighted sum of the last hidden states by all parameters.
{BATCH} × {LENGTH}: full sentences. Ragged: four batches of {BATCH} sentences whose lengths are
drawn like those of sentences (log-normal, median 24 tokens), each padded to its longest on both
sides; or, ours only, to the next multiple of {BUCKET}, as a user of `jit` does who wants few
compilations. Tokens a second count what is not padding."""

PACKAGES = ["jax", "jaxlib", "flax", "numpy", "torch", "transformers"]


def config_of(name: str, **changes) -> models.EncoderConfig:
    sizes = SHAPES[name] | {"vocabulary_size": 30522, "heads": 12, "positions": 512}
    return models.EncoderConfig(**sizes | changes)


# --- Data ---------------------------------------------------------------------------------------


def batch(random: np.random.Generator, lengths: np.ndarray, padded: int):
    """Tokens and mask."""
    mask = np.arange(padded) < lengths[:, None]
    ids = np.where(mask, random.integers(5, 30522, mask.shape), 0).astype(np.int32)
    return ids, mask


def full() -> list:
    return [batch(np.random.default_rng(0), np.full(BATCH, LENGTH), LENGTH)]


def ragged(multiple: int) -> list:
    """The same sentences for every multiple."""
    batches = []
    for seed in range(4):
        random = np.random.default_rng(seed)
        lengths = np.clip(np.exp(random.normal(np.log(24), 0.5, BATCH)), 4, LENGTH).astype(int)
        longest = lengths.max()
        ids, mask = batch(random, lengths, longest)
        more = ((0, 0), (0, -longest % multiple))
        batches.append((np.pad(ids, more), np.pad(mask, more)))
    return batches


def weights(mask: np.ndarray, width: int) -> np.ndarray:
    """Of the sum that is differentiated: the same for a token whatever the padding."""
    drawn = np.random.default_rng(9).standard_normal((len(mask), 2 * LENGTH, width))
    return (drawn[:, : mask.shape[1]] * mask[..., None]).astype(np.float32)


# --- Ours ---------------------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnums=0)
def forward(config, params, ids, mask):
    return models.Encoder(config).apply({"params": params}, ids, mask)[0]


@functools.partial(jax.jit, static_argnums=0)
def gradient(config, params, ids, mask, weight):
    def total(params):
        return (forward(config, params, ids, mask).astype(jnp.float32) * weight).sum()

    return jax.grad(total)(params)


def our_calls(config, params, batches) -> dict[str, Callable]:
    arrays = [(*map(jnp.asarray, b), jnp.asarray(weights(b[1], config.width))) for b in batches]

    def each_forward():
        return [forward(config, params, *array[:2]) for array in arrays]

    def each_gradient():
        return [gradient(config, params, *array) for array in arrays]

    return {FORWARD: each_forward, BOTH: each_gradient}


# --- PyTorch ------------------------------------------------------------------------------------


def torch_model(config, params):
    """The same weights in transformers, by way of a saved checkpoint."""
    import torch
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(usable_cores())
    with tempfile.TemporaryDirectory() as directory:
        models.save_pretrained(directory, config, params)
        return transformers.BertModel.from_pretrained(directory, add_pooling_layer=False).eval()


def torch_calls(model, config, batches) -> dict[str, Callable]:
    import torch

    arrays = [
        (torch.tensor(ids).long(), torch.tensor(mask).long(), torch.tensor(w))
        for ids, mask in batches
        for w in [weights(mask, config.width)]
    ]

    def forward():
        with torch.no_grad():
            return [model(ids, mask).last_hidden_state for ids, mask, _ in arrays]

    def gradient():
        for ids, mask, weight in arrays:
            model.zero_grad(set_to_none=True)
            (model(ids, mask).last_hidden_state * weight).sum().backward()

    return {FORWARD: forward, BOTH: gradient}


def check(config, batches, ours: dict, theirs: dict, model):
    """Raises unless PyTorch computes what we do; gradients by those of the last batch."""
    for (_, mask), mine, other in zip(batches, ours[FORWARD](), theirs[FORWARD](), strict=True):
        near("hidden states", np.asarray(mine)[mask], other.numpy()[mask])
    theirs[BOTH]()
    mine = ours[BOTH]()[-1]
    layer = mine["layers"]["0"]
    pairs = {
        "embeddings.position_embeddings.weight": mine["embeddings"]["positions"],
        "encoder.layer.0.intermediate.dense.weight": layer["mlp"]["up"]["kernel"].T,
        "encoder.layer.0.attention.self.value.weight": layer["attention"]["value"]["kernel"]
        .reshape(config.width, -1)
        .T,
        "encoder.layer.0.output.LayerNorm.bias": layer["mlp"]["norm"]["bias"],
    }
    found = dict(model.named_parameters())
    for name, value in pairs.items():
        near(name, np.asarray(value), found[name].grad.numpy())


def near(what: str, value: np.ndarray, expected: np.ndarray):
    error = np.abs(value - expected).max() / np.abs(expected).max()
    if not error <= TOLERANCE:
        raise SystemExit(f"{what}: PyTorch is off by {error:.1e}")


# --- Side by side -------------------------------------------------------------------------------


def compare(name: str, seconds: float) -> list[Row]:
    config = config_of(name)
    params = models.initial_params(config, jax.random.key(0))
    model = torch_model(config, params) if installed("torch") else None
    rows = []
    for case, batches, bucketed in (
        (f"{BATCH} × {LENGTH}", full(), None),
        ("ragged", ragged(1), ragged(BUCKET)),
    ):
        ours = our_calls(config, params, batches)
        theirs = torch_calls(model, config, batches) if model else {}
        buckets = our_calls(config, params, bucketed) if bucketed else {}
        if model:
            check(config, batches, ours, theirs, model)
        tokens = sum(int(mask.sum()) for _, mask in batches)
        for metric in (FORWARD, BOTH):
            calls = {"ours": ours.get(metric), "theirs": theirs.get(metric)}
            calls["buckets"] = buckets.get(metric)
            warm = {key: warm_up(call, compiles=True)[0] for key, call in calls.items() if call}
            rows += compared(f"{name} {case}", metric, tokens, warm, seconds)
    return rows


def compared(
    case: str, metric: str, tokens: int, warm: dict[str, Candidate], seconds: float
) -> list[Row]:
    found = {key: 1e3 * value for key, value in medians(warm, seconds).items()}
    theirs = found.get("theirs")
    reason = "" if theirs else "not installed"
    if theirs and theirs > 1e3 * CALL_LIMIT:
        reason = f"over {CALL_LIMIT:.0f} s a call"

    def row(case, key, target):
        speeds = [f"{figure(1e3 * tokens / t)} tokens/s" for t in (found[key], theirs) if t]
        note = "; ".join(filter(None, [" against ".join(speeds), reason]))
        return Row(case, metric, found[key], theirs, TORCH, target, note)

    rows = [row(case, "ours", TARGET)]
    if "buckets" in found:
        rows.append(row(f"{case}, ours in {BUCKET}s", "buckets", None))
    return rows


# --- Accelerators -------------------------------------------------------------------------------


def operations(config: models.EncoderConfig, tokens: int, length: int) -> float:
    """Multiplications and additions of a forward pass; tables and LayerNorms do not count."""
    weights = config.layers * (4 * config.width**2 + 2 * config.width * config.hidden_width)
    attention = config.layers * 2 * length * config.width
    return 2.0 * tokens * (weights + attention)


# --- Program ------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=list(SHAPES), help="one of the two shapes")
    parser.add_argument("--seconds", type=float, default=20, help="for each side of each cell")
    parser.add_argument("--merge", action="store_true", help="put a part among the stored rows")
    return parser.parse_args()


def main():
    chosen = arguments()
    jax.config.update("jax_platforms", "cpu")
    names = [chosen.only] if chosen.only else list(SHAPES)
    report = Report("encoder", "Encoders on a CPU", INTRO, PACKAGES)
    if chosen.merge:
        report.check_mergeable()
    for name in names:
        report.add(*compare(name, chosen.seconds))
    for metric in (FORWARD, BOTH):
        report.show(metric)
    print(report.verdict())
    if chosen.merge or not chosen.only:
        report.write(merge=chosen.merge)


if __name__ == "__main__":
    main()
