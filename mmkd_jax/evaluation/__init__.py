"""What a model is worth, and what a run has come to: scores of retrieval, and reports."""

from mmkd_jax.evaluation._report import write_report, write_versions
from mmkd_jax.evaluation._retrieval import retrieval_accuracy, retrieval_by_language
from mmkd_jax.evaluation._summary import summary_table
from mmkd_jax.evaluation._tagging import SpanCounts, span_counts, tag_accuracy, tagging_scores

__all__ = [
    "SpanCounts",
    "retrieval_accuracy",
    "retrieval_by_language",
    "span_counts",
    "summary_table",
    "tag_accuracy",
    "tagging_scores",
    "write_report",
    "write_versions",
]
