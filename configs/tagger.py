r"""A tagger of words, for one language or several: parts of speech, named entities, aspect terms.

    python -m mmkd_jax.train --config=configs/tagger.py:task=pos,languages=wo \
        --workdir=runs/wolof --config.corpora.root=corpora

After the colon, with commas between them:

    task=        pos (Universal Dependencies), ner (Universal NER), aspects (SemEval's XML)
    languages=   to learn from and to be tested in, with + between them
    zero_shot=   to be tested in alone
    encoder=     a folder or an id of the hub: a transformer that is fine-tuned. Without it: words
                 and their characters, read by a BiLSTM
    frozen       the transformer stays as it is, and a BiLSTM reads its vectors of words
    softmax      every tag by itself, instead of a CRF over the sentence
    reader=      files of your own, LANGUAGE-{train,dev,test}.READER, with any language and tags:
                 conll (columns, the word in the first and the tag in the last), conllu, or jsonl
                 ("tokens" and "tags" in each line)

Files, below ``config.corpora.root`` (other files and layouts: ``config.corpora.train`` and its like
take any descriptions that `mmkd_jax.data.open_tagged` reads):

    https://universaldependencies.org/   XX_TREEBANK-ud-{train,dev,test}.conllu
    https://www.universalner.org/        XX_TREEBANK-ud-{train,dev,test}.iob2
    https://alt.qcri.org/semeval2016/    XX-{train,dev,test}.xml

The learning rate of transitions is 1,000 times that of a fine-tuned encoder; the others' share one.
The state that is best on dev is the result.

Time and result: no whole run of this file has been measured yet. 150 steps of a smaller tagger of
wo+mr (batch_size=640, corpora.shapes=2; of tagger.recurrent width=64, word_width=32, filters=32)
take a minute of processor time, and give 62.7 and 54.1 % on test, 30.5 % on af without having seen
it. Taggers of the same make, trained to the end, are measured by benchmarks/structured.py.
"""

from mmkd_jax.config import defaults
from mmkd_jax.data import UPOS

_UD = {
    **{"af": "af_afribooms", "de": "de_gsd", "en": "en_ewt", "es": "es_gsd", "fr": "fr_gsd"},
    **{"mr": "mr_ufal", "te": "te_mtg", "vi": "vi_vtb", "wo": "wo_wtb", "id": "id_gsd"},
    **{"fa": "fa_seraji", "he": "he_htb", "ja": "ja_gsd", "sl": "sl_sst", "ta": "ta_ttb"},
}
_UNER = {
    **{"da": "da_ddt", "en": "en_ewt", "hr": "hr_set", "pt": "pt_bosque", "sk": "sk_snk"},
    **{"sr": "sr_set", "sv": "sv_talbanken", "zh": "zh_gsdsimp"},
}
_OPTIONS = ("task", "languages", "zero_shot", "encoder", "frozen", "softmax", "reader")


def get_config(arg: str = ""):
    """See above for what may stand after the colon."""
    chosen = _chosen(arg)
    task, languages = chosen["task"], chosen["languages"].split("+")
    reader = chosen.get("reader", "")
    zero_shot = [code for code in chosen.get("zero_shot", "").split("+") if code]
    config = defaults("tagger")
    config.task = task
    if not reader:  # others have the tags of the training files
        of_task = {"pos": UPOS.names, "ner": ("LOC", "ORG", "PER"), "aspects": ("ASPECT",)}
        config.tags = of_task[task]
    config.batch_size = 2_048
    config.total_steps = 1_000
    config.log_every = 50
    config.eval_every = config.checkpoint_every = 200
    config.corpora.root = "corpora"
    for part in ("train", "dev", "test"):
        setattr(
            config.corpora,
            part,
            {f"{code}_{part}": _file(task, code, part, reader) for code in languages},
        )
    config.corpora.zero_shot = {
        f"{code}_test": _file(task, code, "test", reader) for code in zero_shot
    }
    tagger = config.tagger
    if "softmax" in chosen:
        tagger.kind = "softmax"
    elif task != "pos":
        tagger.constrained = True
    if "encoder" in chosen:
        _transformer(config, chosen["encoder"], "frozen" in chosen)
    return config


def _transformer(config, source: str, frozen: bool) -> None:
    config.tagger.encoder = {"source": source}
    config.tagger.freeze_encoder = frozen
    if frozen:
        config.tagger.recurrent.words = config.tagger.recurrent.characters = False
        return
    config.tagger.recurrent = None
    config.tagger.dropout = 0.1
    config.optimizer.learning_rate = 5e-5
    config.optimizer.transition_factor = 1_000.0
    config.optimizer.warmup = 0.1
    config.optimizer.clip_norm = 1.0


def _file(task: str, code: str, part: str, reader: str) -> dict:
    if reader:
        spec = {"reader": reader, "language": code, "path": f"{code}-{part}.{reader}"}
        if reader == "conll":
            spec |= {"scheme": None} if task == "pos" else {"repair": True}
        return spec
    if task == "aspects":
        return {"reader": "aspects", "language": code, "path": f"{code}-{part}.xml"}
    known = _UD if task == "pos" else _UNER
    if code not in known:
        raise ValueError(f"languages must be among {', '.join(known)}, got {code!r}")
    if task == "pos":
        path = f"{known[code]}-ud-{part}.conllu"
        return {"reader": "conllu", "language": code, "path": path}
    path = f"{known[code]}-ud-{part}.iob2"
    return {"reader": "uner", "language": code, "path": path, "repair": True}


def _chosen(arg: str) -> dict[str, str]:
    found = {"task": "pos", "languages": "wo"}
    for part in filter(None, arg.split(",")):
        name, _, value = part.partition("=")
        if name not in _OPTIONS:
            raise ValueError(f"{name!r} may not stand after the colon: {', '.join(_OPTIONS)} may")
        found[name] = value
    if found["task"] not in ("pos", "ner", "aspects"):
        raise ValueError(f"task must be pos, ner or aspects, got {found['task']!r}")
    if found.get("reader") not in (None, "conll", "conllu", "jsonl"):
        raise ValueError(f"reader must be conll, conllu or jsonl, got {found['reader']!r}")
    if "frozen" in found and "encoder" not in found:
        raise ValueError("frozen is for an encoder: name one, encoder=FOLDER")
    return found
