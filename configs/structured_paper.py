"""The setting of "Structure-Level Knowledge Distillation For Multilingual Sequence Labeling".

    python -m mmkd_jax.train --config=configs/structured_paper.py:conll --workdir=DIR

(Wang et al., ACL 2020, https://arxiv.org/abs/2004.03846.) After the colon: "conll", "wikiann",
"semeval" or "ud"; then, after a comma, "finetuned" for the variant of its README, in which M-BERT
itself learns, without a BiLSTM. "runlocal" makes it 20 steps of a few sentences.

Time and result: these runs have not been made. They take days on one GPU (the authors: 16 hours on
a V100 for CoNLL). The numbers to beat, means over languages: CoNLL 87.72 F1 with Posterior (87.36
without teachers), WikiAnn 87.83 (87.48), aspects 67.49 (66.54), UD 94.29 % (94.06); and on CoNLL
the fine-tuned variant, 88.75 F1 (88.35 without teachers; mean of 3 runs).

Where the corpora are to be had (unpack them under ``config.corpora.root``):

    conll    German and English from the organisers, https://www.clips.uantwerpen.be/conll2003/ner/,
             with RCV1: conll03/eng.{train,testa,testb}, conll03/deu.{train,testa,testb}. Dutch and
             Spanish: https://www.clips.uantwerpen.be/conll2002/ner/, conll02/ned.* and esp.*. All
             are read as they come, in latin-1, with spans in IOB1 or in BIO; copies in UTF-8 with
             "conll,utf8"
    wikiann  https://huggingface.co/datasets/unimelb-nlp/wikiann, read from the hub
    semeval  task 5 of SemEval 2016, restaurants, subtask 1: https://alt.qcri.org/semeval2016/task5/,
             two XML files a language, under the names that they come with (`_SEMEVAL` below), in
             semeval/. A tenth of the training sentences is dev. Sentences with a term that is not
             where the file says are left out, and counted in the log
    ud       https://universaldependencies.org, eight treebanks

What differs from the paper: teachers read M-BERT, words and characters (theirs M-BERT, Flair and
fastText; with M-BERT alone their teachers have 87.54 on CoNLL, and their student 87.63). The tenth
of WikiAnn that the paper draws is not known: here are the splits of the hub.
"""

from mmkd_jax.config import defaults, teacher

_TASKS = {"conll": "ner", "wikiann": "ner", "semeval": "aspects", "ud": "pos"}
_CONLL = {"de": "conll03/deu", "en": "conll03/eng", "es": "conll02/esp", "nl": "conll02/ned"}
_WIKIANN = ("en", "eu", "fa", "fr", "he", "id", "sl", "ta")
_SEMEVAL = {
    "en": ("ABSA16_Restaurants_Train_SB1_v2.xml", "EN_REST_SB1_TEST.xml.gold"),
    "es": (
        "SemEval-2016ABSA Restaurants-Spanish_Train_Subtask1.xml",
        "SP_REST_SB1_TEST.xml.gold",
    ),
    "nl": ("restaurants_dutch_training.xml", "DU_REST_SB1_TEST.xml.gold"),
    "ru": ("se16_ru_rest_train.xml", "RU_REST_SB1_TEST.xml.gold"),
    "tr": ("reviews.xml", "TU_REST_SB1_TEST.xml.gold"),
}
_UD = {
    "en": "UD_English-EWT/en_ewt",
    "fa": "UD_Persian-Seraji/fa_seraji",
    "fr": "UD_French-Sequoia/fr_sequoia",
    "he": "UD_Hebrew-HTB/he_htb",
    "id": "UD_Indonesian-GSD/id_gsd",
    "ja": "UD_Japanese-GSD/ja_gsd",
    "sl": "UD_Slovenian-SST/sl_sst",
    "ta": "UD_Tamil-TTB/ta_ttb",
}
_STEPS = {"conll": 620, "wikiann": 250, "semeval": 80, "ud": 450}  # an epoch, about


def get_config(arg: str = ""):
    """A task, conll if not given, and options after a comma."""
    task, *options = (arg or "conll").split(",")
    if task not in _TASKS or set(options) - {"finetuned", "runlocal", "utf8"}:
        raise ValueError(
            f"name one of {', '.join(_TASKS)}, and after a comma finetuned, utf8 or runlocal; "
            f"got {arg!r}"
        )
    config = defaults("structured")
    config.task, config.scheme = _TASKS[task], "BIOES"
    config.objective = "posterior"
    encoding = "utf-8" if "utf8" in options else "latin-1"
    for part, specs in _corpora(task, encoding).items():
        setattr(config.corpora, part, specs)
    config.corpora.root = "corpora"
    config.corpora.max_length = 512
    languages = sorted({spec["language"] for spec in config.corpora.train.values()})
    config.teachers = {code: teacher(languages=(code,)) for code in languages}
    config.compare = {"baseline": {"objective": "nll"}}
    epoch = _STEPS[task]
    for run, width, steps in (
        (config, 600, epoch),
        (config.recipe, 256, max(epoch // len(languages), 1)),
    ):
        _as_in_paper(run, width, steps)
    # Beside M-BERT a teacher reads words and characters.
    reads = config.recipe.tagger.recurrent
    reads.words = reads.characters = True
    config.structured.temperature = 2.25
    # λ falls to 0 in 200 epochs, and changes once an epoch.
    config.structured.annealing.steps = 200.0 * epoch
    config.structured.annealing.every = epoch
    if "finetuned" in options:
        _fine_tuned(config, epoch)
    if "runlocal" in options:
        for run in (config, config.recipe):
            run.total_steps, run.log_every, run.eval_every = 20, 10, 0
        for specs in (config.corpora.train, config.corpora.dev, config.corpora.test):
            for spec in specs.values():
                spec.limit = 64
        config.structured.annealing.steps, config.structured.annealing.every = 0.0, 1
    return config


def _as_in_paper(run, width: int, epoch: int) -> None:
    """Frozen M-BERT, a BiLSTM on top; SGD, halved after ten epochs without progress."""
    run.batch_size = 2_000
    run.total_steps, run.eval_every = 300 * epoch, epoch
    run.checkpoint_every, run.log_every = 10 * epoch, epoch
    run.tagger.encoder = _mbert()
    run.tagger.freeze_encoder, run.tagger.pooling = True, "mean"
    recurrent = run.tagger.recurrent
    recurrent.words = recurrent.characters = False
    recurrent.width = width
    recurrent.dropout, recurrent.word_dropout = 0.5, 0.05
    optimizer = run.optimizer
    optimizer.kind, optimizer.b1 = "sgd", 0.0
    optimizer.learning_rate, optimizer.schedule = 0.1, "constant"
    optimizer.clip_norm = 5.0
    optimizer.plateau.patience, optimizer.plateau.factor = 10, 0.5
    optimizer.plateau.least = 1e-3


def _fine_tuned(config, epoch: int) -> None:
    """M-BERT learns, for ten epochs; the student's transitions ten thousand times as fast."""
    config.total_steps, config.eval_every = 10 * epoch, epoch
    config.checkpoint_every = epoch
    config.tagger.freeze_encoder = False
    config.tagger.recurrent = None
    optimizer = config.optimizer
    optimizer.kind, optimizer.b1 = "adamw", 0.9
    optimizer.learning_rate, optimizer.schedule = 5e-5, "linear"
    optimizer.transition_factor = 1e4
    optimizer.clip_norm = 5.0
    optimizer.plateau.patience = 0
    config.structured.temperature = 4.0
    config.structured.annealing.steps, config.structured.annealing.every = 0.0, 1


def _mbert():
    encoder = defaults("mmkd").student
    encoder.source = "bert-base-multilingual-cased"
    return encoder


def _corpora(task: str, encoding: str) -> dict:
    """Descriptions by part: train, dev, test."""
    return {part: dict(_of_part(task, part, encoding)) for part in ("train", "dev", "test")}


def _of_part(task: str, part: str, encoding: str):
    if task == "conll":
        ending = {"train": "train", "dev": "testa", "test": "testb"}[part]
        for code, stem in _CONLL.items():
            spec = {"reader": "conll", "language": code, "path": f"{stem}.{ending}"}
            # `repair` reads spans as the evaluation script does, should a file break its own rules.
            yield f"conll_{code}", spec | {"encoding": encoding, "repair": True}
    elif task == "wikiann":
        split = {"train": "train", "dev": "validation", "test": "test"}[part]
        for code in _WIKIANN:
            source = {"reader": "hugging_face", "path": "unimelb-nlp/wikiann", "name": code}
            spec = source | {"language": code, "split": split, "tags": "ner_tags"}
            yield f"wikiann_{code}", spec
    elif task == "semeval":
        for code, (train, test) in _SEMEVAL.items():
            spec = {"reader": "aspects", "language": code, "on_error": "skip"}
            if part == "test":
                spec |= {"path": f"semeval/{test}"}
            else:
                share = {"part": "held_out" if part == "dev" else "train", "held_out": 0.1}
                spec |= {"path": f"semeval/{train}"} | share
            yield f"semeval_{code}", spec
    else:
        for code, stem in _UD.items():
            path = f"{stem}-ud-{part}.conllu"
            yield f"ud_{code}", {"reader": "conllu", "language": code, "path": path}
