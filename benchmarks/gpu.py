"""Measures on a GPU what a CPU cannot tell: bfloat16, against torch.compile, and where time goes.

    python benchmarks/gpu.py         # BERT-base; about 4 minutes on an H100
    python benchmarks/gpu.py --tiny  # a small model on whatever device there is; writes nothing

A whole run writes `results/gpu.json` and its section of `RESULTS.md`. It needs neither a corpus nor
grain, tensorflow-datasets, ml_collections or tensorboardX: its batches lie beside it
(`gpu_batches.py`). `gpu.sh` runs it with all other measurements of a GPU.
"""

import argparse
import functools
import pathlib
import tempfile
from collections.abc import Callable

import encoder
import gpu_batches
import jax
import mmkd_step
import mmkd_step_setup as setup
import numpy as np
from profile_summary import shares, time_by_kind
from side_by_side import Report, Row, figure, medians, warm_up

from mmkd_jax import models
from mmkd_jax.training._peaks import peak_flops

COMPILED = "torch.compile"
STEP = "training step of MMKD, BERT-base, bfloat16 [ms]"
PROFILE = "share of that step by kind of operation, at the most frequent shape [%]"
ENCODER = "encoder, bfloat16 [ms]"
NOTE = "note"

INTRO = f"""\
MMKD with all four levels, gradients and AdamW: student and teacher of BERT-base's shape with the
vocabularies of multilingual BERT and bert-base-cased, random weights, bfloat16, {gpu_batches.BATCH}
pairs of the sample corpus a batch, one batch of each shape. *{COMPILED}* is the same schedule with
transformers' models under autocast. MFU is by formula, on real tokens: what is computed for
padding counts as nothing. Encoders: rows of {encoder.LENGTH} full tokens."""

PACKAGES = ["jax", "jaxlib", "flax", "optax", "numpy", "torch", "transformers"]


# --- The step -----------------------------------------------------------------------------------


def step_rows(sizes: dict, seconds: float) -> list[Row]:
    """Both sides on each shape, and the profile of ours on the most frequent one."""
    device = {"cpu": "cpu", "gpu": "cuda"}[jax.default_backend()]
    pairs = gpu_batches.load()
    attention = {"attention": "cudnn"} if device == "cuda" else {}
    method = setup.new_method(sizes, dtype="bfloat16", attention_dropout=0.0, **attention)
    weights = setup.new_weights(method)
    peer = None
    if mmkd_step.can_run("equal"):
        with tempfile.TemporaryDirectory() as folder:
            mmkd_step.save_models(pathlib.Path(folder), method, weights)
            peer = mmkd_step.new_peer("equal", pathlib.Path(folder)).to(device)
    ours = setup.Ours(method, weights, gpu_batches.BATCH)
    rows = []
    for batch, share in zip(pairs.batches, pairs.shares, strict=True):
        calls = {"ours": functools.partial(ours.step, jax.device_put(batch))}
        if peer is not None:
            calls[COMPILED] = compiled(peer, mmkd_step.for_torch(batch, False, device), device)
        warm = {name: warm_up(call, compiles=True)[0] for name, call in calls.items()}
        found = medians(warm, seconds)
        case = f"{mmkd_step.shape_name(batch)}, {100 * share:.0f} % of batches"
        theirs = found.get(COMPILED)
        speed = f"{gpu_batches.BATCH / found['ours']:,.0f} pairs/s, "
        speed += used(method.flops(batch), found["ours"])
        peer_time = None if theirs is None else 1e3 * theirs
        note = speed if theirs is not None else f"not installed; {speed}"
        rows.append(Row(case, STEP, 1e3 * found["ours"], peer_time, COMPILED, note=note))
    most = pairs.batches[int(np.argmax(pairs.shares))]
    taken = time_by_kind(functools.partial(ours.step, jax.device_put(most)))
    for name, share in shares(taken):
        note = f"{figure(100 * share)} %"
        rows.append(Row(name, PROFILE, 100 * share, None, NOTE, note=note))
    return rows


def used(operations: float, seconds: float) -> str:
    """Of the device's peak, if that is known."""
    peak = peak_flops(jax.devices()[0].device_kind, "bfloat16")
    speed = operations / seconds
    return f"{100 * speed / peak:.1f} % MFU" if peak else f"{speed / 1e12:.2f} TFLOP/s"


def compiled(peer, tensors: dict, device: str) -> Callable:
    import torch

    total = torch.compile(peer.total)

    def step():
        peer.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16):
            loss = total(tensors)
        loss.backward()
        peer.optimizer.step()
        return loss.item()  # waits for the device

    return step


# --- Encoders -----------------------------------------------------------------------------------


def encoder_rows(names: list[str], sentences: int, seconds: float) -> list[Row]:
    rows = []
    for name in names:
        for attention in ("xla", "cudnn"):
            config = encoder.config_of(name, dtype="bfloat16", attention=attention)
            params = models.initial_params(config, jax.random.key(0))
            lengths = np.full(sentences, encoder.LENGTH)
            batch = encoder.batch(np.random.default_rng(0), lengths, encoder.LENGTH)
            calls = encoder.our_calls(config, params, [batch])
            rows += speeds(f"{name} {attention}", config, calls, sentences, seconds)
    return rows


def speeds(case: str, config, calls: dict, sentences: int, seconds: float) -> list[Row]:
    tokens = sentences * encoder.LENGTH
    try:
        warm = {metric: warm_up(call, compiles=True)[0] for metric, call in calls.items()}
    except Exception as error:  # this device has no such kernel: a row, not the end
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:80]
        return [Row(case, ENCODER, None, None, NOTE, note=reason)]
    found = medians(warm, seconds)
    rows = []
    for metric, passes in ((encoder.FORWARD, 1), (encoder.BOTH, 3)):
        operations = passes * encoder.operations(config, tokens, encoder.LENGTH)
        note = f"{tokens / found[metric]:,.0f} tokens/s, {used(operations, found[metric])}"
        what = metric.removesuffix(" [ms]")
        rows.append(Row(f"{case}, {what}", ENCODER, 1e3 * found[metric], None, NOTE, note=note))
    return rows


# --- Program ------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="on any device; writes nothing")
    chosen = parser.parse_args()
    if not chosen.tiny:
        jax.config.update("jax_platforms", "cuda")
    sizes = {"layers": 1, "width": 24, "heads": 2, "hidden_width": 48} if chosen.tiny else {}
    seconds = 0.2 if chosen.tiny else 5.0
    report = Report("gpu", "MMKD and encoders on a GPU", INTRO, PACKAGES)
    report.add(*step_rows(setup.BASE | sizes, seconds))
    report.show(STEP)
    report.show(PROFILE)
    if not chosen.tiny:
        report.add(*encoder_rows(list(encoder.SHAPES), 256, seconds))
        report.show(ENCODER)
        report.write()


if __name__ == "__main__":
    main()
