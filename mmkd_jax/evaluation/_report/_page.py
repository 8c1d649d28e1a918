"""The parts of a report as one page."""

from mmkd_jax.evaluation._report._between import between
from mmkd_jax.evaluation._report._by_language import by_language
from mmkd_jax.evaluation._report._confused import confused
from mmkd_jax.evaluation._report._curves import curves
from mmkd_jax.evaluation._report._data import data
from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._headline import headline
from mmkd_jax.evaluation._report._html import Markup, element, joined
from mmkd_jax.evaluation._report._models import models
from mmkd_jax.evaluation._report._runs import runs
from mmkd_jax.evaluation._report._settings import settings
from mmkd_jax.evaluation._report._similarity import similarity
from mmkd_jax.evaluation._report._space import space
from mmkd_jax.evaluation._report._style import STYLE
from mmkd_jax.evaluation._report._tagging import tagging
from mmkd_jax.evaluation._report._versions import versions

_PARTS = (
    *(headline, runs, by_language, curves, between, space, similarity, confused, tagging),
    *(models, data, settings, versions),
)
# Nothing is fetched and nothing is run, whatever the data hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(run: Run) -> str:
    """A report as HTML, without the parts there is nothing to say about."""
    head = element(
        "head",
        Markup('<meta charset="utf-8">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        element("title", run.name),
        element("style", Markup(STYLE)),
    )
    body = element("body", element("main", *(part(run) for part in _PARTS)))
    return joined(Markup("<!doctype html>\n"), element("html", head, body, lang="en"), "\n")
