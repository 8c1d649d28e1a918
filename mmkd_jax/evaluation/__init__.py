"""What a model is worth: scores of retrieval."""

from mmkd_jax.evaluation._retrieval import retrieval_accuracy, retrieval_by_language

__all__ = ["retrieval_accuracy", "retrieval_by_language"]
