"""Taggers of one language each teach one small tagger of all: parts of speech of five treebanks.

    python -m mmkd_jax.train --config=configs/structured.py --workdir=DIR --config.corpora.root=UD

UD is a folder with the files of five treebanks of Universal Dependencies 2, of 370 to 1,400
sentences (https://universaldependencies.org), such as vi_vtb-ud-train.conllu. Teachers are trained
first, into DIR/teachers, then asked once about all sentences, and what they say is kept in
DIR/outputs. Whatever differs is one flag away:

    --config.objective=posterior            or top_k, weighted_top_k, emission, hard, nll, and sums:
    --config.objective="0.5*posterior + 0.5*weighted_top_k"
    --config.structured.temperature=2 --config.structured.paths=5
    --config.structured.annealing.kind=constant --config.structured.annealing.start=0.5
    --config.teachers.vi.folds=5            nobody teaches what they have learned from
    --config.teachers.vi.folder=DIR         a tagger that is there already; and .weight, .partial
    --config.corpora.train.ud_vi.labels=False      with such a teacher: this treebank as raw text
    --config.corpora.sampling=round_robin   of languages
    --config.seeds=5                        mean and deviation
    --config.prepared=DIR2                  teachers and outputs that `mmkd_jax.prepare` has made

After a colon, with commas between them:

    labelled=0.25   the student has labels for a quarter of the sentences, and the rest as raw text;
                    its teachers have all. One row more: hard, the teachers' best tags as labels
    raw             raw text beside the treebanks, vi.txt and so on, a sentence a line; with
                    --config.structured.confidence=0.9 of it only what teachers are sure of
    softmax         taggers without transitions (token distillation)
    sweep           one table over objectives, K, T and λ
    runlocal        a few steps on the sample corpus

Time: nine minutes on two busy cores; `:runlocal` takes one. Result of one seed, accuracy: teachers
89.43, baseline 88.95, student 88.90; on the three large test sets (af, vi, wo) baseline 90.41,
student 90.58. Test sets of mr and te are small: over seven seeds, benchmarks/structured.py has a
gain of 0.41 ± 0.13 for taggers of this size (RESULTS.md).
"""

import re

from mmkd_jax.config import defaults, teacher

_TREEBANKS = {
    "af": "af_afribooms",
    "mr": "mr_ufal",
    "te": "te_mtg",
    "vi": "vi_vtb",
    "wo": "wo_wtb",
}
_EPOCH = 180  # steps, about


def get_config(arg: str = ""):
    """See above for what may stand after the colon."""
    chosen = _chosen(arg)
    config = defaults("structured")
    config.task = "pos"
    config.objective = "token" if "softmax" in chosen else "kl"
    config.total_steps, config.batch_size = 30 * _EPOCH, 640
    config.recipe.total_steps, config.recipe.batch_size = 1_000, 640
    config.structured.per = "token"
    for run, width, word_width, filters in ((config, 64, 32, 32), (config.recipe, 128, 64, 48)):
        run.keep_best = False
        run.tagger.kind = "softmax" if "softmax" in chosen else "crf"
        recurrent = run.tagger.recurrent
        recurrent.width, recurrent.word_width, recurrent.filters = width, word_width, filters
        recurrent.dropout = 0.2
    config.corpora.max_length = 80  # words, as in the benchmark
    config.compare = {"baseline": {"objective": "nll"}}
    if "labelled" in chosen:
        config.compare = dict(config.compare) | {"hard": {"objective": "hard"}}
    if "sweep" in chosen:
        config.compare = dict(config.compare) | _sweep()
    if "runlocal" in chosen:
        _shorten(config)
    _name_corpora(config, chosen)
    return config


def _name_corpora(config, chosen: dict[str, str]) -> None:
    """What is learned from, and by whom."""
    is_short = "runlocal" in chosen
    languages = ("de", "tr") if is_short else tuple(_TREEBANKS)
    train, test = (
        {f"ud_{code}": (_sample if is_short else _treebank)(code, part) for code in languages}
        for part in ("train", "test")
    )
    config.corpora.test = test
    config.corpora.train = {name: spec | {"labels": True} for name, spec in train.items()}
    if "labelled" in chosen:
        share = {"held_out": float(chosen["labelled"])}
        config.recipe.train = train
        config.corpora.train = {
            **{name: spec | share | {"part": "held_out"} for name, spec in train.items()},
            **{
                f"{name}_raw": spec | share | {"part": "train", "labels": False}
                for name, spec in train.items()
            },
        }
    if "raw" in chosen:
        config.corpora.train = dict(config.corpora.train) | {
            f"raw_{code}": {"reader": "text", "language": code, "path": f"{code}.txt"}
            for code in languages
        }
    config.teachers = {code: teacher(languages=(code,)) for code in languages}


def _treebank(code: str, part: str) -> dict:
    path = f"{_TREEBANKS[code]}-ud-{part}.conllu"
    return {"reader": "conllu", "language": code, "path": path}


def _sample(code: str, part: str) -> dict:
    return {"reader": "sample", "language": code, "split": part, "task": "pos"}


def _chosen(arg: str) -> dict[str, str]:
    found = {}
    for option in filter(None, arg.split(",")):
        name, _, value = option.partition("=")
        if name not in ("labelled", "raw", "softmax", "sweep", "runlocal"):
            raise ValueError(
                "there are labelled=SHARE, raw, softmax, sweep and runlocal, to stand after the "
                f"colon, not {option!r}"
            )
        found[name] = value
    if "labelled" in found and not re.fullmatch(r"0?\.\d+", found["labelled"]):
        raise ValueError(f"labelled must be a share, such as 0.25, got {found['labelled']!r}")
    return found


def _sweep() -> dict:
    """Each objective, with what it depends on."""
    rows: dict = {name: {"objective": name} for name in ("emission", "hard", "posterior")}
    for objective in ("kl", "posterior"):
        for temperature in (2.0, 4.0):
            rows[f"{objective}_T{temperature:.0f}"] = {
                "objective": objective,
                "structured": {"temperature": temperature},
            }
    for objective in ("top_k", "weighted_top_k"):
        for paths in (1, 5, 10):
            rows[f"{objective}_K{paths}"] = {
                "objective": objective,
                "structured": {"paths": paths},
            }
    half = {"kind": "constant", "start": 0.5}
    for name, annealing in (("cosine", {"kind": "cosine"}), ("half", half)):
        rows[f"kl_{name}"] = {"objective": "kl", "structured": {"annealing": annealing}}
    return rows


def _shorten(config) -> None:
    """A few steps of small taggers."""
    config.corpora.max_length, config.corpora.shapes = 32, 1
    for run, width in ((config, 8), (config.recipe, 16)):
        run.total_steps, run.log_every = 20, 10
        recurrent = run.tagger.recurrent
        recurrent.width = recurrent.word_width = recurrent.filters = width
