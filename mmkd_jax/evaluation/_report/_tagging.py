"""Where a tagger errs: which tags, how surely, and in which sentences."""

from mmkd_jax.evaluation._report._files import Run
from mmkd_jax.evaluation._report._hard import hard
from mmkd_jax.evaluation._report._html import Markup, joined
from mmkd_jax.evaluation._report._reliability import reliability
from mmkd_jax.evaluation._report._tags import tags


def tagging(run: Run) -> Markup | None:
    """Three sections, as far as the tagger has written down what they need."""
    found = run.tagging
    if found is None:
        return None
    return joined(tags(found), reliability(found), hard(found))
