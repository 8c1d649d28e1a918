"""Tag sets, the schemes that spell spans in tags, and maps between tag sets.

numpy only: readers, constraints, metrics and losses all use it.
"""

from mmkd_jax.tags._maps import BioesRewrite, TagMap, shared
from mmkd_jax.tags._schemes import (
    IllegalTagsError,
    Span,
    check_legal,
    convert,
    detect_scheme,
    may_follow,
    scheme_name,
    spans,
    split,
    tags_of_spans,
)
from mmkd_jax.tags._tag_set import TagSet

__all__ = [
    "BioesRewrite",
    "IllegalTagsError",
    "Span",
    "TagMap",
    "TagSet",
    "check_legal",
    "convert",
    "detect_scheme",
    "may_follow",
    "scheme_name",
    "shared",
    "spans",
    "split",
    "tags_of_spans",
]
