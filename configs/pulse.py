"""A few seconds of MMKD with random models on the sample corpus, to see that all of it works.

    python -m mmkd_jax.train --config=configs/pulse.py --workdir=runs/pulse

Takes about 20 seconds on two CPU cores, most of them compilation. Downloads nothing. The student
learns nothing worth having: its teacher knows nothing.
"""

from mmkd_jax.config import defaults

_LANGUAGES = ("de", "es", "fr", "hi", "ru", "tr", "zh")
_TINY = {"width": 16, "layers": 1, "heads": 2, "hidden_width": 32, "positions": 64}


def get_config(arg: str = ""):
    """``runlocal`` changes nothing: the run is local as it is."""
    del arg
    config = defaults("mmkd")
    config.total_steps = 20
    config.batch_size = 8
    config.log_every = 5
    config.checkpoint_every = 5
    config.eval_every = 10
    config.optimizer.learning_rate = 1e-3
    config.optimizer.reference_batch = 0
    for model, pieces in ((config.teacher, 300), (config.student, 500)):
        model.source = ""
        model.sizes = _TINY
        model.vocabulary_size = pieces
    config.mmkd.sentence_vector = "mean"
    config.mmkd.projection_hidden = 16
    config.mmkd.projection_width = 8
    config.pairs.max_length = 64
    config.pairs.shards = 2
    config.pairs.shapes = 1
    config.pairs.sources = {
        f"sample_{code}": {"reader": "sample", "language": code, "split": "train"}
        for code in _LANGUAGES
    }
    config.pairs.held_out = {
        f"sample_{code}": {"reader": "sample", "language": code, "split": "test"}
        for code in _LANGUAGES
    }
    return config
