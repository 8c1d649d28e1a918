"""What vectors are like, against sums over all pairs."""

import itertools

import numpy as np
import pytest

from mmkd_jax import evaluation
from tests.data.vocabularies import words_of_letters

RANDOM = np.random.default_rng(0)


def vectors(count=12, width=5, common=0.5):
    return RANDOM.normal(size=(count, width)) + common


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def test_anisotropy_is_the_mean_over_all_pairs():
    some = vectors()
    expected = np.mean([cosine(a, b) for a, b in itertools.combinations(some, 2)])
    assert evaluation.anisotropy(some) == pytest.approx(expected)
    assert evaluation.anisotropy(7 * some) == pytest.approx(expected)
    assert np.isnan(evaluation.anisotropy(some[:1]))


def test_representation_similarity_by_the_formula():
    x, y = vectors(), vectors(width=3)
    a, b = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = np.linalg.norm(b.T @ a) ** 2 / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))
    found = evaluation.representation_similarity(x, y)
    assert found == pytest.approx(expected)
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(5, 5)))
    assert evaluation.representation_similarity(3 * x @ rotation + 1, y) == pytest.approx(found)
    assert evaluation.representation_similarity(x, x @ rotation) == pytest.approx(1)
    assert np.isnan(evaluation.representation_similarity(np.ones((12, 2)), y))
    with pytest.raises(ValueError, match="of the same n"):
        evaluation.representation_similarity(x, y[:3])


def test_agreement_looks_at_every_pair_of_sentences_once():
    teacher, student = vectors(), vectors(width=7)
    pairs = list(itertools.combinations(range(12), 2))
    alike = [[cosine(side[i], side[j]) for i, j in pairs] for side in (teacher, student)]
    found = evaluation.teacher_agreement(teacher, student)
    assert found["pearson"] == pytest.approx(np.corrcoef(*alike)[0, 1])
    assert found["spearman"] == pytest.approx(evaluation.spearman(*alike))
    assert "cosine" not in found
    same = evaluation.teacher_agreement(teacher, -teacher)
    assert same == pytest.approx({"pearson": 1, "spearman": 1, "cosine": -1})


def test_subwords_and_unknown_ones_are_counted():
    tokenizer = words_of_letters("ab ba")
    found = evaluation.subword_shares(tokenizer, ["ab ab", "abba zz"])
    # ab, ab, ab ##b ##a, [UNK]: 6 subwords of 4 words.
    assert found == pytest.approx({"subwords": 6 / 4, "unknown": 1 / 6})
    assert evaluation.subword_shares(tokenizer, [""]) == {"subwords": 0.0, "unknown": 0.0}
