"""A few seconds of a tagger on the sample corpus, to see that all of it works.

    python -m mmkd_jax.train --config=configs/tagger_pulse.py --workdir=runs/tagger_pulse

Downloads nothing.
"""

from mmkd_jax.config import defaults

_LANGUAGES = ("de", "en", "zh")


def get_config(arg: str = ""):
    """``runlocal`` changes nothing: the run is local as it is."""
    del arg
    config = defaults("tagger")
    config.total_steps = 60
    config.batch_size = 640
    config.log_every = 10
    config.checkpoint_every = 10
    config.eval_every = 20
    config.optimizer.learning_rate = 3e-2
    recurrent = config.tagger.recurrent
    recurrent.word_width, recurrent.width, recurrent.filters = 8, 8, 8
    recurrent.min_count = 1
    recurrent.dropout = 0.1
    config.corpora.max_length = 32
    config.corpora.shapes = 1
    for name, languages, split in (
        ("train", _LANGUAGES, "train"),
        ("dev", _LANGUAGES, "test"),
        ("test", _LANGUAGES, "test"),
        ("zero_shot", ("fr",), "test"),
    ):
        setattr(
            config.corpora,
            name,
            {
                f"sample_{code}": {"reader": "sample", "language": code, "split": split}
                for code in languages
            },
        )
    return config
