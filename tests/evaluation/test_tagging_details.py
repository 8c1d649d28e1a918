"""What is written down of a tagger is what a loop over its words counts."""

import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from mmkd_jax import evaluation

TAGS = ["O", "B-X", "I-X"]
WORD = st.tuples(
    st.integers(-1, 2), st.integers(0, 2), st.lists(st.floats(0.01, 1), min_size=3, max_size=3)
)
SENTENCE = st.tuples(st.sampled_from(["de", "cy"]), st.lists(WORD, max_size=5))


def read(folder):
    return json.loads((folder / "tagging_details.json").read_text(encoding="utf-8"))


@hypothesis.given(sentences=st.lists(SENTENCE, max_size=6))
def test_counts(tmp_path_factory, sentences):
    folder = tmp_path_factory.mktemp("run")
    gold = [[word[0] for word in words] for _, words in sentences]
    predicted = [[word[1] for word in words] for _, words in sentences]
    probabilities = [
        np.array([np.array(word[2]) / sum(word[2]) for word in words]).reshape(-1, 3)
        for _, words in sentences
    ]
    languages = [code for code, _ in sentences]
    evaluation.write_tagging_details(folder, TAGS, gold, predicted, probabilities, languages)
    found = read(folder)
    confusion = np.zeros((3, 3), int)
    sure, right, by_code = [], [], {code: [] for code in languages}
    for code, truth, guess, of in zip(languages, gold, predicted, probabilities, strict=True):
        for one, other, row in zip(truth, guess, of, strict=True):
            if one >= 0:
                confusion[one, other] += 1
                sure.append(row[other])
                right.append(one == other)
                by_code[code].append(one == other)
    assert found["confusion"] == confusion.tolist() and found["tags"] == TAGS
    for code, judged in by_code.items():
        assert found["languages"][code]["words"] == len(judged)
        assert found["languages"][code]["accuracy"] == pytest.approx(100 * np.mean(judged or [0]))
    if sentences:
        wanted = evaluation.calibration(sure, right)
        assert found["calibration"]["error"] == pytest.approx(wanted.error)
        assert found["calibration"]["counts"] == wanted.counts.tolist()
    assert "hard" not in found


def test_only_what_is_known_is_written(tmp_path):
    evaluation.write_tagging_details(tmp_path, TAGS, [[0, 1]], [[0, 2]])
    assert read(tmp_path).keys() == {"tags", "confusion", "languages"}


def test_hard_sentences_are_those_with_improbable_gold():
    sure, unsure = [0.98, 0.01, 0.01], [0.2, 0.4, 0.4]
    gold = [[0, 0], [0, 0], [1, 0], [0], [-1, -1], [], [0] * 30]
    probabilities = [[sure, sure], [sure, unsure], [sure, unsure], [unsure], [unsure] * 2, []]
    probabilities.append([unsure] * 30)
    loss = [-np.log(np.mean([0.98])), -np.log([0.98, 0.2]).mean(), -np.log([0.01, 0.2]).mean()]
    assert loss == sorted(loss)
    assert evaluation.hard_sentences(gold, probabilities, shortest=2) == [2, 1, 0]
    assert evaluation.hard_sentences(gold, probabilities, count=2) == [2, 3]
    assert 6 in evaluation.hard_sentences(gold, probabilities, count=3, longest=30)
    assert evaluation.hard_sentences([[0]], [[[0.0, 1.0, 0.0]]]) == [0]  # impossible, not infinite


def test_paths_are_named(tmp_path):
    evaluation.write_tagging_details(
        tmp_path,
        TAGS,
        [[1, 2], [0, -1]],
        [[1, 0], [0, 0]],
        words=[["a", "b"], ["ç", "<d>"]],
        languages=["de", "cy"],
        k_best={1: [(np.array([0, 1]), np.float32(0.5)), ([0, -1], 0.25)]},
    )
    [hard] = read(tmp_path)["hard"]
    assert hard["words"] == ["ç", "<d>"] and hard["gold"] == ["O", ""] and hard["language"] == "cy"
    assert hard["paths"] == [
        {"tags": ["O", "B-X"], "probability": 0.5},
        {"tags": ["O", ""], "probability": 0.25},
    ]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"predicted": []}, "predicted must be of 1 sentences, as gold is: 0"),
        ({"predicted": [[0]]}, r"predicted\[0\] must be of 2 words, as gold is: 1"),
        ({"probabilities": [[[1, 0, 0]]]}, r"probabilities\[0\] must be of 2 words"),
        ({"words": [["a"]]}, r"words\[0\] must be of 2 words"),
        ({"languages": []}, "languages must be of 1 sentences"),
        ({"predicted": [[0, 3]]}, "predicted must hold numbers of 3 tags, got 3"),
        ({"gold": [[0, 7]]}, "gold must hold numbers of 3 tags, got 7"),
        ({"k_best": {0: []}}, "without words"),
    ],
)
def test_errors(tmp_path, arguments, message):
    plain = {"tags": TAGS, "gold": [[0, 1]], "predicted": [[0, 1]]}
    with pytest.raises(ValueError, match=message):
        evaluation.write_tagging_details(tmp_path, **plain | arguments)
    assert not list(tmp_path.iterdir())
