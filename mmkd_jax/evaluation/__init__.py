"""What a model is worth, and what a run has come to: scores of retrieval, and reports."""

from mmkd_jax.evaluation._report import write_report, write_versions
from mmkd_jax.evaluation._retrieval import retrieval_accuracy, retrieval_by_language
from mmkd_jax.evaluation._summary import summary_table

__all__ = [
    "retrieval_accuracy",
    "retrieval_by_language",
    "summary_table",
    "write_report",
    "write_versions",
]
