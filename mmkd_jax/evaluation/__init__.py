"""What a model is worth, and what a run has come to: scores of retrieval, and reports."""

from mmkd_jax.evaluation._calibration import Calibration, calibration
from mmkd_jax.evaluation._report import write_report, write_versions
from mmkd_jax.evaluation._resources import resource_class
from mmkd_jax.evaluation._retrieval import retrieval_accuracy, retrieval_by_language
from mmkd_jax.evaluation._retrieval_details import write_retrieval_details
from mmkd_jax.evaluation._summary import summary_table
from mmkd_jax.evaluation._tagging_details import hard_sentences, write_tagging_details

__all__ = [
    "Calibration",
    "calibration",
    "hard_sentences",
    "resource_class",
    "retrieval_accuracy",
    "retrieval_by_language",
    "summary_table",
    "write_report",
    "write_retrieval_details",
    "write_tagging_details",
    "write_versions",
]
