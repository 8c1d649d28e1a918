"""Retrieval against a plain version of it."""

import numpy as np
import pytest

from mmkd_jax import evaluation
from mmkd_jax.evaluation import _retrieval


def plain(source, target, margin=False):
    source, target = (
        np.array([row / max(np.linalg.norm(row), 1e-12) for row in rows])
        for rows in (source, target)
    )
    scores = source @ target.T
    if margin:
        near = np.sort(scores, axis=1)[:, -4:].mean(axis=1)
        nears = np.sort(scores, axis=0)[-4:].mean(axis=0)
        scores = scores / ((near[:, None] + nears[None]) / 2)
    return np.mean([np.argmax(row) == number for number, row in enumerate(scores)])


@pytest.mark.parametrize("margin", [False, True])
@pytest.mark.parametrize("block", [1, 7, 10**6])
def test_is_the_plain_version(margin, block, monkeypatch):
    monkeypatch.setattr(_retrieval, "_BLOCK", block * 30)
    random = np.random.default_rng(0)
    source = random.normal(size=(30, 5))
    target = source + random.normal(size=(30, 5))
    found = evaluation.retrieval_accuracy(source, target, margin)
    assert 0 < found < 1
    np.testing.assert_allclose(found, plain(source, target, margin))


def test_a_hub_is_not_found_everywhere_with_margins():
    target = np.array([[1, 1, 1, 1.0], [1, 0.1, 0, 0], [0, 1, 0.1, 0], [0, 0, 1, 0.1]])
    source = np.array([[1, 1, 1, 1.0], [1, 1.2, 1, 1], [0.9, 1, 0, 0], [0, 0, 1, 0]])
    plain_one = evaluation.retrieval_accuracy(source, target)
    assert evaluation.retrieval_accuracy(source, target, margin=True) >= plain_one


def test_vectors_without_direction_find_nothing():
    zero = np.zeros((3, 2))
    assert evaluation.retrieval_accuracy(zero, zero) == 0.0
    mixed = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert evaluation.retrieval_accuracy(mixed, mixed) == 0.5


def test_shared_english_is_encoded_once():
    seen = []

    def encode(texts):
        seen.extend(texts)
        return np.array([[len(text), 1.0] for text in texts])

    pairs = {"de": [("a", "x"), ("bbb", "yyy")], "fr": [("bbb", "z"), ("a", "w")]}
    found = evaluation.retrieval_by_language(encode, pairs)
    assert found == {"de": 1.0, "fr": 0.5, "mean": 0.75}
    assert seen.count("a") == seen.count("bbb") == 1


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="alike"):
        evaluation.retrieval_accuracy(np.ones((2, 3)), np.ones((3, 3)))
    with pytest.raises(ValueError, match="rows"):
        evaluation.retrieval_accuracy(np.ones((0, 3)), np.ones((0, 3)))
    with pytest.raises(ValueError, match="a language"):
        evaluation.retrieval_by_language(lambda texts: np.ones((1, 1)), {})
