r"""Fine-tunes an encoder on a benchmark's English training data, and tests it in every language.

    python -m mmkd_jax.train --config=configs/finetune.py:task=xnli --workdir=runs/xnli \
        --config.model=runs/quickstart/student --config.texts.root=corpora

After the colon, with commas between them:

    task=        xnli, paws_x, xquad, ner, pos
    train=       languages to learn from, with + between them: en (the default), or for
                 translate-train en+de+fr, or all
    test=        languages to be tested in; all that the benchmark has by default
    from=        files (the default), as listed below; hub, the data sets of the Hugging Face hub
                 (needs the extra data); or tfds, what ``tfds build --file_format=array_record``
                 has prepared: multi_nli, xnli, xtreme_xnli, paws_x_wiki, squad, xquad, wikiann,
                 xtreme_pos
    runlocal     a few hundred steps of few rows, to see that all files are there and are read

Several seeds, with their mean and deviation: ``--config.seeds=5``. Another benchmark's layout, or
more files of one's own: ``config.texts.train`` and its like take any descriptions that
`mmkd_jax.data.open_texts` reads (of taggers, ``config.corpora`` and `open_tagged`). ner and pos are
taggers: their folder is ``config.corpora.root``.

Where the files are to be had (unpack each under ``config.texts.root``; names as they are then):

    https://cims.nyu.edu/~sbowman/multinli/          multinli_1.0/multinli_1.0_train.jsonl
    https://github.com/facebookresearch/XNLI         XNLI-1.0/xnli.{dev,test}.tsv
        translated for training                      XNLI-MT-1.0/multinli/multinli.train.XX.tsv
    https://github.com/google-research-datasets/paws x-final/XX/{dev_2k,test_2k}.tsv, x-final/en/
        translated for training                      train.tsv, x-final/XX/translated_train.tsv
    https://rajpurkar.github.io/SQuAD-explorer/      squad/{train,dev}-v1.1.json
        translated for training (by XTREME)          squad/squad.translate.train.en-XX.json
    https://github.com/google-deepmind/xquad         xquad/xquad.XX.json
    https://github.com/afshinrahimi/mmner            wikiann/XX/{train,dev,test}
    https://universaldependencies.org/               ud/XX_TREEBANK-ud-{train,dev,test}.conllu

Time and result: these runs have not been made with BERT's weights. The numbers to beat, of
multilingual BERT trained on English: 65.4 on XNLI, 81.9 on PAWS-X and 64.5 F1 on XQuAD (XTREME, Hu
et al. 2020), whose learning rates, epochs and lengths are the ones below.
"""

import dataclasses
import functools

from mmkd_jax.config import defaults
from mmkd_jax.data import UPOS
from mmkd_jax.evaluation import TEXT_TASKS
from mmkd_jax.runs import ModelSettings

# Learning rate, epochs, subwords a row, batch; and examples, in English, for planning: how many
# steps the epochs are is known once the files are read.
_USUAL = {
    "xnli": (2e-5, 5.0, 128, 32, 392_702),
    "paws_x": (2e-5, 5.0, 128, 32, 49_401),
    "xquad": (3e-5, 3.0, 384, 32, 87_599),
}


def get_config(arg: str = ""):
    """See above for what may stand after the colon."""
    chosen = _chosen(arg)
    if chosen["task"] in _TAGGED:
        return _tagger(chosen)
    task = TEXT_TASKS[chosen["task"]]
    config = defaults("finetune")
    config.task = task.name
    rate, config.epochs, config.texts.max_length, config.batch_size, examples = _USUAL[task.name]
    config.total_steps = round(config.epochs * examples / config.batch_size)
    config.optimizer.learning_rate = rate
    config.optimizer.reference_batch = 0
    config.optimizer.warmup = 0.1
    config.optimizer.schedule = "linear"
    config.optimizer.clip_norm = 1.0
    config.log_every = 100
    config.checkpoint_every = 1_000
    config.eval_every = 1_000
    config.texts.root = "corpora"
    train = _languages(chosen.get("train", "en"), task.languages)
    test = _languages(chosen.get("test", "all"), task.languages)
    files = _descriptions(chosen)
    config.texts.train = {f"{task.name}_train_{code}": files("train", code) for code in train}
    config.texts.dev = {f"{task.name}_dev_en": files("dev", "en")}
    config.texts.test = {f"{task.name}_test_{code}": files("test", code) for code in test}
    if "runlocal" in chosen:
        config.epochs, config.total_steps, config.batch_size = 0.0, 200, 8
        config.log_every, config.eval_every = 20, 100
        for sources in (config.texts.train, config.texts.dev, config.texts.test):
            for source in sources.values():
                source.limit = 1_000
    return config


def _xnli(part: str, language: str) -> dict:
    if part != "train":
        return {"reader": "xnli", "language": language, "path": f"XNLI-1.0/xnli.{part}.tsv"}
    if language == "en":
        path = "multinli_1.0/multinli_1.0_train.jsonl"
        return {"reader": "multinli", "language": "en", "path": path}
    path = f"XNLI-MT-1.0/multinli/multinli.train.{language}.tsv"
    return {"reader": "xnli", "language": language, "path": path}


def _paws_x(part: str, language: str) -> dict:
    name = {"dev": "dev_2k", "test": "test_2k"}.get(part, "translated_train")
    if (part, language) == ("train", "en"):
        name = "train"
    return {"reader": "pawsx", "language": language, "path": f"x-final/{language}/{name}.tsv"}


def _xquad(part: str, language: str) -> dict:
    path = f"squad/squad.translate.train.en-{language}.json"
    if part == "test":
        path = f"xquad/xquad.{language}.json"
    elif language == "en":
        path = f"squad/{part}-v1.1.json"
    return {"reader": "squad", "language": language, "path": path}


def _tagger(chosen: dict[str, str]):
    """An encoder with a softmax over tags, which begins with no idea of them."""
    task, config = chosen["task"], defaults("tagger")
    files, languages = _descriptions(chosen), _TAGGED[task]
    train = _languages(chosen.get("train", "en"), languages)
    test = _languages(chosen.get("test", "all"), languages)
    config.task = task
    config.tags = UPOS.names if task == "pos" else ("LOC", "ORG", "PER")
    encoder = ModelSettings(source="bert-base-multilingual-cased")
    config.tagger.encoder = dataclasses.asdict(encoder)
    config.tagger.recurrent = None
    config.tagger.kind = "softmax"
    config.tagger.dropout = 0.1
    # About a hundred sentences a step; the usual ten epochs of the English data.
    config.batch_size, config.total_steps = 2_048, 2_000
    config.log_every, config.eval_every, config.checkpoint_every = 50, 200, 200
    config.optimizer.learning_rate = 2e-5
    config.optimizer.warmup = 0.1
    config.optimizer.weight_decay = 0.01
    config.optimizer.clip_norm = 1.0
    config.corpora.root = "corpora"
    config.corpora.train = {f"{task}_train_{code}": files("train", code) for code in train}
    config.corpora.dev = {f"{task}_dev_en": files("dev", "en")}
    known = [code for code in test if code in train]
    others = [code for code in test if code not in train]
    config.corpora.test = {f"{task}_test_{code}": files("test", code) for code in known}
    config.corpora.zero_shot = {f"{task}_test_{code}": files("test", code) for code in others}
    if "runlocal" in chosen:
        config.total_steps, config.eval_every = 100, 50
        for part in ("train", "dev", "test", "zero_shot"):
            for source in config.corpora[part].values():
                source.limit = 1_000
    return config


def _wikiann(part: str, language: str) -> dict:
    return {"reader": "wikiann", "language": language, "path": f"wikiann/{language}/{part}"}


def _universal(part: str, language: str) -> dict:
    path = f"ud/{language}_{_TREEBANK_OF[language]}-ud-{part}.conllu"
    return {"reader": "conllu", "language": language, "path": path}


_WIKIANN = """
en af ar bg bn de el es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te
th tl tr ur vi yo zh
"""
_TREEBANKS = """
en:ewt af:afribooms ar:padt bg:btb de:gsd el:gdt es:gsd et:edt eu:bdt fa:seraji fi:tdt fr:gsd he:htb
hi:hdtb hu:szeged id:gsd it:isdt ja:gsd kk:ktb ko:gsd mr:ufal nl:alpino pt:gsd ru:gsd ta:ttb te:mtg
th:pud tl:trg tr:imst ur:udtb vi:vtb yo:ytb zh:gsd
"""
_TREEBANK_OF = dict(pair.split(":") for pair in _TREEBANKS.split())
_TAGGED = {"ner": tuple(_WIKIANN.split()), "pos": tuple(_TREEBANK_OF)}

# Data sets that others hold. Their splits are named alike.
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
_NAMES = """
en:English af:Afrikaans ar:Arabic bg:Bulgarian de:German el:Greek es:Spanish et:Estonian eu:Basque
fa:Persian fi:Finnish fr:French he:Hebrew hi:Hindi hu:Hungarian id:Indonesian it:Italian ja:Japanese
kk:Kazakh ko:Korean mr:Marathi nl:Dutch pt:Portuguese ru:Russian ta:Tamil te:Telugu th:Thai
tl:Tagalog tr:Turkish ur:Urdu vi:Vietnamese yo:Yoruba zh:Chinese
"""
_NAME_OF = dict(pair.split(":") for pair in _NAMES.split())


def _hub(task: str, part: str, language: str) -> dict:
    split, more = _SPLITS[part], {}
    if task == "xnli":
        more = {"path": "facebook/xnli", "name": language}
    elif task == "paws_x":
        more = {"path": "google-research-datasets/paws-x", "name": language}
    elif task == "xquad" and part == "test":
        more, split = {"path": "google/xquad", "name": f"xquad.{language}"}, "validation"
    elif task == "xquad" and language == "en":
        more = {"path": "rajpurkar/squad"}
    elif task == "ner":
        more = {"path": "unimelb-nlp/wikiann", "name": language, "tags": "ner_tags"}
    elif task == "pos":
        more = {"path": "google/xtreme", "name": f"udpos.{_NAME_OF[language]}", "tags": "pos_tags"}
    else:
        raise ValueError(
            "translations of SQuAD are not on the hub: name from=tfds, from=files or train=en"
        )
    return {"reader": "hugging_face", "language": language, "split": split, **more}


def _tfds(task: str, part: str, language: str) -> dict:
    split, more = _SPLITS[part], {}
    if task == "xnli" and part == "train":
        name = "multi_nli" if language == "en" else "xtreme_xnli"
    elif task == "xnli":
        name = "xnli"
    elif task == "paws_x":
        name = f"paws_x_wiki/{language}"
    elif task == "xquad" and part != "test" and language == "en":
        name = "squad"
    elif task == "xquad":
        name, split = f"xquad/{language}", "test" if part == "test" else f"translate-{part}"
    elif task == "ner":
        name = f"wikiann/{language}"
    else:
        name, split, more = f"xtreme_pos/xtreme_pos_{language}", part, {"tags": "upos"}
    return {"reader": "tfds", "language": language, "name": name, "split": split, **more}


def _file(task: str, part: str, language: str) -> dict:
    return _FILES[task](part, language)


_FILES = {
    "xnli": _xnli,
    "paws_x": _paws_x,
    "xquad": _xquad,
    "ner": _wikiann,
    "pos": _universal,
}
_FROM = {"files": _file, "hub": _hub, "tfds": _tfds}


def _descriptions(chosen: dict[str, str]):
    """From part and language to what is read."""
    origin = chosen.get("from", "files")
    if origin not in _FROM:
        raise ValueError(f"from must be one of {', '.join(_FROM)}, got {origin!r}")
    return functools.partial(_FROM[origin], chosen["task"])


def _chosen(arg: str) -> dict[str, str]:
    parts = [part.partition("=") for part in arg.split(",") if part]
    chosen = {name.strip(): value.strip() for name, _, value in parts}
    known = ("task", "train", "test", "from", "runlocal")
    if chosen.get("task") not in _FILES or set(chosen) - set(known):
        raise ValueError(
            f"name a task after a colon, --config=configs/finetune.py:task={'|'.join(_FILES)}, and "
            f"maybe {', '.join(known[1:])}; got {arg!r}"
        )
    return chosen


def _languages(text: str, known: tuple[str, ...]) -> list[str]:
    codes = list(known) if text == "all" else [code for code in text.split("+") if code]
    if not codes or set(codes) - set(known):
        raise ValueError(f"languages must be among {'+'.join(known)}, or all, got {text!r}")
    return codes
