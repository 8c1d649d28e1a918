"""Measures a model by language, without training it; nothing is rounded in the JSON.

    python -m mmkd_jax.evaluate --task=probe --model=DIR_OR_HUB_ID --teacher=DIR_OR_HUB_ID
    python -m mmkd_jax.evaluate --task=retrieval --model=DIR --config=configs/quickstart.py --margin
    python -m mmkd_jax.evaluate --task=xquad --model=DIR --config=configs/finetune.py:task=xquad
    python -m mmkd_jax.evaluate --task=tagging --model=DIR --config=configs/tagger.py
    python -m mmkd_jax.evaluate --task=tagging --model=DIR --corpora=corpora.json --out=scores.json

``--config`` takes the test corpora of a config, with any overrides (``--config.corpora.root=…``).
``--corpora`` takes a file of descriptions, by any names: ``{"de": {"reader": "conllu", "language":
"de", "path": "de.conllu"}}``; paths are relative to ``--root``. Languages that the model was not
trained on are its zero-shot languages.

Of encoders, on parallel sentences (without ``--config`` and ``--corpora`` on the sample corpus):

probe        what a checkpoint is worth, before a long run: retrieval on a
             sample; anisotropy, the mean cosine of different sentences; the share of unknown
             subwords; subwords a word; and by layer how far translations are alike as English
             sentences are, in the same layer and in the teacher's last one (linear CKA).
retrieval    translations that find their English sentence, and the other way round; --margin.
agreement    the correlation of a student's cosines among translations with those of --teacher
             among the English sentences.

Of fine-tuned models: xnli, paws_x, xquad, with the literature's scores of multilingual BERT.

tagging: F1 of spans by the rules of the CoNLL evaluation script, or accuracy for tags that spell no
spans. All scores are percentages.
"""

import json
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from mmkd_jax._evaluating import NONE, TASKS, Options, evaluate, report
from mmkd_jax._json import read_json
from mmkd_jax._program import messages, start

_MODEL = flags.DEFINE_string("model", None, "A folder, or for encoders an id of the hub.")
_TASK = flags.DEFINE_string("task", None, "What is measured; see above.")
_CONFIG = config_flags.DEFINE_config_file("config", None, "A file of configs/.", lock_config=True)
_CORPORA = flags.DEFINE_string("corpora", None, "A json file of descriptions of corpora.")
_ROOT = flags.DEFINE_string("root", ".", "The folder that paths in --corpora are relative to.")
_TEACHER = flags.DEFINE_string("teacher", "", "For probe and agreement: a folder or hub id.")
_MARGIN = flags.DEFINE_bool("margin", False, "Whether retrieval scores by margin.")
_LIMIT = flags.DEFINE_integer("limit", 0, "Pairs or records a language at most; 0 for the usual.")
_PREDICTIONS = flags.DEFINE_string("predictions", "", "A folder for what is predicted in texts.")
_OUT = flags.DEFINE_string("out", None, "A json file for the scores.")


def main() -> int:
    """The program."""
    from mmkd_jax import config

    with messages("evaluate"):
        if _CONFIG.value is not None and _CORPORA.value is not None:
            raise ValueError("one of --config and --corpora must say what to measure on, not both")
        specs, root = NONE, _ROOT.value
        if _CORPORA.value is not None:
            specs = read_json(Path(_CORPORA.value))
        elif _CONFIG.value is not None:
            task = TASKS.get(_TASK.value, TASKS["tagging"])
            specs, root = task.specs(config.read(_CONFIG.value))
        options = Options(_TEACHER.value, _MARGIN.value, _LIMIT.value, _PREDICTIONS.value)
        scores = evaluate(_MODEL.value, _TASK.value, specs, root, options)
        print(report(scores))
        if _OUT.value:
            text = json.dumps(scores, indent=2, ensure_ascii=False) + "\n"
            Path(_OUT.value).write_text(text, encoding="utf-8")
        return 0


if __name__ == "__main__":
    flags.mark_flags_as_required(["model", "task"])
    start(main, "evaluate")
