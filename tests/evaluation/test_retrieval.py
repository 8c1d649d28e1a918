import numpy as np
import pytest

from mmkd_jax import data, evaluation
from mmkd_jax.evaluation import _retrieval


def brute_force(source, target, margin):
    source, target = (x.astype(np.float64) for x in (source, target))
    source, target = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (source, target))
    scores = source @ target.T
    if margin:
        k = min(4, len(target))
        near_source = np.sort(scores, axis=1)[:, -k:].mean(axis=1)
        near_target = np.sort(scores, axis=0)[-k:].mean(axis=0)
        scores = 2 * scores / (near_source[:, None] + near_target)
    return np.mean(scores.argmax(axis=1) == np.arange(len(source)))


def vectors(count: int, noise: float, width: int = 16, common: float = 1.0):
    """Two noisy views of the same points, all of them somewhat alike."""
    random = np.random.default_rng(0)
    points = random.normal(size=(count, width)) + common
    return [(points + noise * random.normal(size=points.shape)).astype("f") for _ in range(2)]


@pytest.mark.parametrize("block", [7, 64, 2048])
@pytest.mark.parametrize("margin", [False, True])
@pytest.mark.parametrize("count", [1, 3, 100])
def test_the_same_as_by_brute_force(count, margin, block, monkeypatch):
    monkeypatch.setattr(_retrieval, "_BLOCK", block)
    source, target = vectors(count, noise=0.7)
    found = evaluation.retrieval_accuracy(source, target, margin)
    assert found == pytest.approx(brute_force(source, target, margin), abs=1e-9)
    if count == 100:
        assert 0.2 < found < 0.95


def test_margins_help_against_vectors_that_are_near_to_everything():
    source, target = vectors(200, noise=0.7)
    target[:5] = target.mean(axis=0) + 0.1 * target[:5]
    plain, margin = (evaluation.retrieval_accuracy(source, target, m) for m in (False, True))
    assert margin > plain


def test_lengths_do_not_matter():
    source, target = vectors(50, noise=0.5)
    scale = np.exp(np.random.default_rng(1).normal(size=(2, 50, 1)))
    assert evaluation.retrieval_accuracy(source, target) == evaluation.retrieval_accuracy(
        source * scale[0], target * scale[1]
    )


@pytest.mark.parametrize("margin", [False, True])
def test_ties_are_wrong(margin):
    same = np.tile(np.random.default_rng(0).normal(size=(1, 33)), (3000, 1))
    assert evaluation.retrieval_accuracy(same, same, margin) == 0
    twice = np.eye(8)
    twice[1] = twice[0]
    assert evaluation.retrieval_accuracy(twice, twice, margin) == pytest.approx(6 / 8)


def test_zero_vectors_find_nothing():
    some = np.eye(4)
    some[2] = 0
    for margin in (False, True):
        assert evaluation.retrieval_accuracy(some, some, margin) == pytest.approx(3 / 4)


def test_no_rows_have_no_accuracy():
    nothing = np.zeros((0, 3))
    assert np.isnan(evaluation.retrieval_accuracy(nothing, nothing))


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(3, 2\) and \(4, 2\)"):
        evaluation.retrieval_accuracy(np.zeros((3, 2)), np.zeros((4, 2)))


class Encoder:
    """A vector for each text, one for all texts that mean the same; counts what it is asked."""

    def __init__(self, meanings: dict[str, int]):
        self.meanings, self.seen = meanings, []

    def __call__(self, texts: list[str]) -> np.ndarray:
        self.seen += texts
        return np.eye(9)[[self.meanings[text] for text in texts]]


def test_both_directions_of_every_language():
    meanings = {
        "cat": 0,
        "dog": 1,
        "eel": 2,
        "Katze": 0,
        "Hund": 1,
        "Aal": 8,
        "chat": 0,
        "chien": 1,
    }
    encode = Encoder(meanings)
    pairs = {
        "de": [("cat", "Katze"), ("dog", "Hund"), ("eel", "Aal")],
        "fr": [data.Pair("dog", "chien", "en", "fr"), data.Pair("cat", "chat", "en", "fr")],
    }
    found = evaluation.retrieval_by_language(encode, pairs)
    expected = {"de": 2 / 3, "fr": 1.0, "mean": 5 / 6}
    assert list(found) == ["to_english", "from_english", "mean"]
    for direction in found.values():
        assert direction == pytest.approx(expected)
    assert encode.seen == ["cat", "dog", "eel", "Katze", "Hund", "Aal", "chien", "chat"]


def test_directions_are_not_mixed_up():
    vector = {"eel": [1, 0], "pike": [0.6, 0.8], "Aal": [0.95, 0.3], "Hecht": [1, 0.1]}
    pairs = {"de": [("eel", "Aal"), ("pike", "Hecht")]}
    found = evaluation.retrieval_by_language(
        lambda texts: np.array([vector[t] for t in texts]), pairs
    )
    english, german = (np.array([vector[row[i]] for row in pairs["de"]]) for i in (0, 1))
    to_english = evaluation.retrieval_accuracy(german, english)
    from_english = evaluation.retrieval_accuracy(english, german)
    assert (to_english, from_english) == (0.5, 0.0)
    assert {name: row["de"] for name, row in found.items()} == {
        "to_english": to_english,
        "from_english": from_english,
        "mean": 0.25,
    }


def test_a_sentence_that_stands_twice_is_right_at_either_place():
    meanings = {"yes": 0, "sure": 1, "no": 2, "oui": 0, "si": 0, "non": 2}
    pairs = {"fr": [("yes", "oui"), ("yes", "si"), ("no", "non"), ("no", "non")]}
    found = evaluation.retrieval_by_language(Encoder(meanings), pairs)
    # "oui" and "si" have the same vector: from English, neither is nearer than the other.
    assert [row["fr"] for row in found.values()] == [1.0, 0.5, 0.75]


def test_languages_without_pairs_are_named():
    with pytest.raises(ValueError, match="'sw'"):
        evaluation.retrieval_by_language(Encoder({}), {"sw": []})
    with pytest.raises(ValueError, match="got none"):
        evaluation.retrieval_by_language(Encoder({}), {})
    with pytest.raises(ValueError, match="no language 'mean'"):
        evaluation.retrieval_by_language(Encoder({}), {"mean": [("cat", "Katze")]})
