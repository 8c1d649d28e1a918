"""What is written down of a tagger is what a loop over its words counts."""

import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from mmkd_jax import evaluation

TAGS = ["O", "B-X", "I-X"]
WORD = st.tuples(st.sampled_from([*TAGS, "", "NEW"]), st.sampled_from(TAGS), st.floats(0, 1))
SENTENCE = st.tuples(st.sampled_from(["de", "cy"]), st.lists(WORD, max_size=5))


def read(folder):
    return json.loads((folder / "tagging_details.json").read_text(encoding="utf-8"))


@hypothesis.given(sentences=st.lists(SENTENCE, max_size=6))
def test_counts(tmp_path_factory, sentences):
    folder = tmp_path_factory.mktemp("run")
    gold, predicted, confidences = (
        [[word[place] for word in words] for _, words in sentences] for place in range(3)
    )
    languages = [code for code, _ in sentences]
    evaluation.write_tagging_details(folder, TAGS, gold, predicted, confidences, languages)
    found = read(folder)
    sure, right, by_code = [], [], {code: [] for code in languages}
    confusion = np.zeros((4, 4), int)
    names = [*TAGS, "NEW"]
    for code, words in sentences:
        for truth, guess, confidence in words:
            if truth:
                confusion[names.index(truth), names.index(guess)] += 1
                sure.append(confidence)
                right.append(truth == guess)
                by_code[code].append(truth == guess)
    size = len(found["tags"])
    assert found["tags"] == (names if confusion[3].any() else TAGS) == names[:size]
    assert found["confusion"] == confusion[:size, :size].tolist()
    for code, judged in by_code.items():
        assert found["languages"][code]["words"] == len(judged)
        assert found["languages"][code]["accuracy"] == pytest.approx(100 * np.mean(judged or [0]))
    wanted = evaluation.calibration(sure, right)
    assert found["calibration"]["error"] == pytest.approx(wanted.error)
    assert found["calibration"]["counts"] == wanted.counts.tolist()
    assert "hard" not in found


def test_only_what_is_known_is_written(tmp_path):
    evaluation.write_tagging_details(tmp_path, TAGS, [["O", "B-X"]], [["O", "I-X"]])
    assert read(tmp_path).keys() == {"tags", "confusion", "languages"}


def test_hard_sentences_are_those_with_improbable_gold():
    gold = [["A", "A"], ["A", "A"], ["B", "A"], ["A"], ["", ""], [], ["A"] * 30]
    predicted = [["A"] * len(row) for row in gold]
    confidences = [[0.9, 0.9], [0.9, 0.5], [0.9, 0.9], [0.3], [0.1, 0.1], [], [0.2] * 30]
    # Means of -log: 0.11, 0.40, 1.20 (of 0.1 and 0.9), 1.20 (of 0.3), none, none, 1.61.
    assert evaluation.hard_sentences(gold, predicted, confidences) == [2, 1, 0]
    assert evaluation.hard_sentences(gold, predicted, confidences, count=1) == [2]
    every = evaluation.hard_sentences(gold, predicted, confidences, shortest=1, longest=30)
    assert every[0] == 6 and set(every) == {0, 1, 2, 3, 6}
    # What is wrong for certain is hard, and not infinite.
    assert evaluation.hard_sentences([["A", "A"]], [["B", "B"]], [[1.0, 1.0]]) == [0]


def test_paths_are_written_as_they_are(tmp_path):
    evaluation.write_tagging_details(
        tmp_path,
        TAGS,
        [["B-X", "I-X"], ["O", ""]],
        [["B-X", "O"], ["O", "O"]],
        words=[["a", "b"], ["ç", "<d>"]],
        languages=["de", "cy"],
        k_best={1: [(("O", "B-X"), 0.5), (["O", "O"], 0.25)]},
    )
    [hard] = read(tmp_path)["hard"]
    assert hard["words"] == ["ç", "<d>"] and hard["gold"] == ["O", ""] and hard["language"] == "cy"
    assert hard["paths"] == [
        {"tags": ["O", "B-X"], "probability": 0.5},
        {"tags": ["O", "O"], "probability": 0.25},
    ]


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"predicted": []}, "predicted must be of 1 sentences, as gold is, got 0"),
        ({"predicted": [["O"]]}, r"predicted\[0\] must be of 2 words, as gold is, got 1"),
        ({"confidences": [[1.0]]}, r"confidences\[0\] must be of 2 words"),
        ({"confidences": [[1.0, 2.0]]}, "not between 0 and 1"),
        ({"words": [["a"]]}, r"words\[0\] must be of 2 words"),
        ({"languages": []}, "languages must be of 1 sentences"),
        ({"k_best": {0: [(["O", "O"], 0.5)]}}, "without their words"),
    ],
)
def test_errors(tmp_path, arguments, message):
    plain = {"tags": TAGS, "gold": [["O", "B-X"]], "predicted": [["O", "O"]]}
    with pytest.raises(ValueError, match=message):
        evaluation.write_tagging_details(tmp_path, **plain | arguments)
    assert not list(tmp_path.iterdir())
