"""Writes gpu_batches.npz, so that `gpu.py` needs no corpus and no tokenizer.

    python benchmarks/gpu_batches.py

Token ids of batches of the package's own sample corpus, in the vocabularies of bert-base-cased and
multilingual BERT, one batch of each shape that `plan_pairs` finds. The vocabularies lie in the
folder that MMKD_SHARED_DATA names.
"""

from pathlib import Path

import data_texts
import mmkd_step_setup as setup
import numpy as np

from mmkd_jax import data

FILE = Path(__file__).with_suffix(".npz")
BATCH, SHAPES = 128, 3


def load() -> setup.Pairs:
    """What the program has written."""
    with np.load(FILE, allow_pickle=False) as file:
        batches = [
            data.PairBatch(**{name: file[f"{name}_{k}"] for name in data.PairBatch._fields})
            for k in range(len(file["shares"]))
        ]
        return setup.Pairs("sample corpus", batches, file["shares"])


def draw() -> setup.Pairs:
    _, sources, *_ = setup.of_sample()
    tokenizers = (data_texts._bert(name) for name in ("cased", "multilingual-cased"))
    teacher, student = map(data.SubwordTokenizer, tokenizers)
    prepared = data.tokenize_pairs(sources, teacher, student, setup.LENGTH)
    sampling = data.Sampling(prepared.languages)
    plan = data.plan_pairs(prepared.lengths[:, :3], sampling, BATCH, setup.LENGTH, shapes=SHAPES)
    source = data.PairBatches(prepared, plan, teacher, student, setup.LENGTH)
    return setup.first_of_each_shape("sample corpus", plan, source)


if __name__ == "__main__":
    drawn = draw()
    arrays = {
        f"{name}_{k}": array
        for k, batch in enumerate(drawn.batches)
        for name, array in batch._asdict().items()
    }
    np.savez_compressed(FILE, shares=drawn.shares, **arrays)
    print(f"{FILE}: {FILE.stat().st_size:,} bytes, shares {drawn.shares.round(2)}")
