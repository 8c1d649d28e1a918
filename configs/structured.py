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
    --config.corpora.sampling=round_robin   of languages
    --config.seeds=5                        mean and deviation
    --config.prepared=DIR2                  teachers and outputs that `mmkd_jax.prepare` has made

After a colon: "softmax" for taggers without transitions (token distillation), "sweep" for one table
over objectives, K, T and λ, "runlocal" for a few steps on the sample corpus.

Time: `:runlocal` takes a minute. The whole run was not made with this file yet;
benchmarks/structured.py, whose taggers are these, has results in RESULTS.md.
"""

from mmkd_jax.config import defaults

_TREEBANKS = {
    "af": "af_afribooms",
    "mr": "mr_ufal",
    "te": "te_mtg",
    "vi": "vi_vtb",
    "wo": "wo_wtb",
}
_EPOCH = 180  # steps, about


def get_config(arg: str = ""):
    """Options after a colon, with commas between them."""
    options = {option for option in arg.split(",") if option}
    if unknown := options - {"softmax", "sweep", "runlocal"}:
        raise ValueError(f"there are softmax, sweep and runlocal, not {sorted(unknown)}")
    config = defaults("structured")
    config.task = "pos"
    config.objective = "token" if "softmax" in options else "kl"
    config.total_steps, config.batch_size = 30 * _EPOCH, 640
    config.recipe.total_steps, config.recipe.batch_size = 1_500, 640
    for run, width, word_width, filters in ((config, 64, 32, 32), (config.recipe, 128, 64, 48)):
        run.keep_best = False
        run.tagger.kind = "softmax" if "softmax" in options else "crf"
        recurrent = run.tagger.recurrent
        recurrent.width, recurrent.word_width, recurrent.filters = width, word_width, filters
        recurrent.dropout = 0.2
    for part in ("train", "test"):
        setattr(
            config.corpora,
            part,
            {
                f"ud_{code}": {
                    "reader": "conllu",
                    "language": code,
                    "path": f"{stem}-ud-{part}.conllu",
                }
                for code, stem in _TREEBANKS.items()
            },
        )
    config.teachers = {code: {"languages": (code,), "folds": 1} for code in _TREEBANKS}
    config.compare = {"baseline": {"objective": "nll"}}
    if "sweep" in options:
        config.compare = dict(config.compare) | _sweep()
    if "runlocal" in options:
        _shorten(config)
    return config


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
    """Two languages of the sample corpus, and a few steps."""
    for part in ("train", "test"):
        sample = {"reader": "sample", "split": part, "task": "pos"}
        specs = {f"ud_{code}": sample | {"language": code} for code in ("de", "tr")}
        setattr(config.corpora, part, specs)
    config.teachers = {code: {"languages": (code,), "folds": 1} for code in ("de", "tr")}
    config.corpora.max_length, config.corpora.shapes = 32, 1
    for run, width in ((config, 8), (config.recipe, 16)):
        run.total_steps, run.log_every = 20, 10
        recurrent = run.tagger.recurrent
        recurrent.width = recurrent.word_width = recurrent.filters = width
