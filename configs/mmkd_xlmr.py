"""The paper's run with XLM-R as the student: its vocabulary covers 100 languages.

    python -m mmkd_jax.train --config=configs/mmkd_xlmr.py --workdir=DIR

Time and result: this run has not been made. Corpora and `:runlocal` as in mmkd.py.
"""

from mmkd_jax.config import beside


def get_config(arg: str = ""):
    """As mmkd.py, but for the student."""
    config = beside(__file__, "mmkd", arg)
    config.student.source = "xlm-roberta-base"
    return config
