"""What a trained model is worth.

numpy only, so far: whatever makes vectors of sentences can be measured.
"""

from mmkd_jax.evaluation._retrieval import retrieval_accuracy, retrieval_by_language

__all__ = ["retrieval_accuracy", "retrieval_by_language"]
