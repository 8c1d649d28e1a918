"""What a model is worth, and what a run has come to: scores, and reports."""

from mmkd_jax.evaluation._agreement import accuracy, cosines, pair_correlation, pearson, spearman
from mmkd_jax.evaluation._answers import AnswerScore, answer_score, answer_scores, normal_answer
from mmkd_jax.evaluation._calibration import Calibration, calibration
from mmkd_jax.evaluation._comparison import compared, comparison
from mmkd_jax.evaluation._probe import (
    anisotropy,
    representation_similarity,
    subword_shares,
    teacher_agreement,
)
from mmkd_jax.evaluation._report import write_report, write_versions
from mmkd_jax.evaluation._resources import resource_class
from mmkd_jax.evaluation._retrieval import retrieval_accuracy, retrieval_by_language
from mmkd_jax.evaluation._retrieval_details import write_retrieval_details
from mmkd_jax.evaluation._summary import summary_table
from mmkd_jax.evaluation._tagging import SpanCounts, span_counts, tag_accuracy, tagging_scores
from mmkd_jax.evaluation._tagging_details import hard_sentences, write_tagging_details
from mmkd_jax.evaluation._task_results import over_seeds, task_table
from mmkd_jax.evaluation._text_tasks import (
    LITERATURE,
    TEXT_TASKS,
    TextTask,
    score_texts,
    text_results,
    texts_and_labels,
)

__all__ = [
    "AnswerScore",
    "Calibration",
    "LITERATURE",
    "SpanCounts",
    "TEXT_TASKS",
    "TextTask",
    "accuracy",
    "anisotropy",
    "answer_score",
    "answer_scores",
    "calibration",
    "compared",
    "comparison",
    "cosines",
    "hard_sentences",
    "normal_answer",
    "over_seeds",
    "pair_correlation",
    "pearson",
    "representation_similarity",
    "resource_class",
    "retrieval_accuracy",
    "retrieval_by_language",
    "score_texts",
    "span_counts",
    "spearman",
    "subword_shares",
    "summary_table",
    "tag_accuracy",
    "tagging_scores",
    "task_table",
    "teacher_agreement",
    "text_results",
    "texts_and_labels",
    "write_report",
    "write_retrieval_details",
    "write_tagging_details",
    "write_versions",
]
