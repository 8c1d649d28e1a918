"""A language of your own: from translated texts to a student that reads it.

    ./launch/local.sh --config=configs/own.py:is,corpus.en,corpus.is --workdir=runs/icelandic

After the colon: the language's code, and two text files whose lines are translations of one
another (English first), or one file or folder of gettext catalogues (.po, .mo). Several languages
are separated by semicolons. A tenth of the English texts is kept from training, to judge by.

The teacher is the quickstart's MiniLM. Any other folder of transformers with an English BERT will
do: ``--config.teacher.source=FOLDER --config.student.source=FOLDER``, and the layers that the
student keeps of it: ``--config.student.keep_layers="(3, 7, 11)"``. More text wants more steps:
``--config.total_steps=5000``.

Time: with the defaults as the quickstart. Result: depends on the texts; see results.json.
"""

from mmkd_jax.config import beside

_HELD_OUT = 0.1


def get_config(arg: str = ""):
    """As the quickstart, on other texts."""
    config = beside(__file__, "quickstart")
    config.batch_size = 64
    corpora = [part.strip().split(",") for part in arg.split(";") if part.strip()]
    if not corpora or any(len(corpus) not in (2, 3) for corpus in corpora):
        raise ValueError(
            "name a language and its texts after a colon: --config=configs/own.py:is,corpus.en,"
            f"corpus.is or --config=configs/own.py:is,locale/is.po; got {arg!r}"
        )
    for part, group in (("train", "sources"), ("held_out", "held_out")):
        setattr(config.pairs, group, {f"own_{c[0]}": _source(*c, part=part) for c in corpora})
    return config


def _source(language: str, first: str, second: str = "", part: str = "") -> dict:
    files = {"reader": "moses", "source": first, "target": second}
    if not second:
        files = {"reader": "gettext", "path": first}
    split = {"part": part, "held_out": _HELD_OUT, "on_error": "skip"}
    return {"language": language} | files | split
