"""Retrieval between languages is retrieval, and what is confused is what is nearest."""

import json

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from mmkd_jax import evaluation
from mmkd_jax.evaluation._between import (
    parallel_sentences,
    retrieval_between,
    worst_confusions,
)

COUNT = 20
PAIRS = {code: [(f"en {n}", f"{code} {n}") for n in range(COUNT)] for code in ("de", "cy", "fr")}


def encoder(noise: float, width: int = 5):
    """Vectors of what a sentence means, and of the sentence itself."""

    def encode(sentences):
        meanings = [
            np.random.default_rng(int(text.split()[1])).normal(size=width) for text in sentences
        ]
        own = [np.random.default_rng(list(text.encode())).normal(size=width) for text in sentences]
        return np.array(meanings) + noise * np.array(own)

    return encode


def vectors(parallel, noise=0.6):
    return [encoder(noise)(texts) for texts in parallel.texts]


def test_to_and_from_english_are_those_of_each_language():
    parallel = parallel_sentences(PAIRS)
    found, shared = retrieval_between(parallel, vectors(parallel))
    wanted = evaluation.retrieval_by_language(encoder(0.6), PAIRS)
    for row, code in enumerate(parallel.languages[1:], start=1):
        assert found[row, 0] == wanted["to_english"][code]
        assert found[0, row] == wanted["from_english"][code]
    assert 0.2 < np.nanmean(found) < 0.95
    assert np.isnan(np.diag(found)).all() and (shared == COUNT).all()


def test_other_languages_are_compared_on_what_both_have():
    pairs = {"de": PAIRS["de"][:15], "cy": PAIRS["cy"][5:], "fr": PAIRS["fr"][13:]}
    parallel = parallel_sentences(pairs)
    of = dict(zip(parallel.languages, vectors(parallel), strict=True))
    found, shared = retrieval_between(parallel, list(of.values()))
    de, cy, fr = (parallel.languages.index(code) for code in ("de", "cy", "fr"))
    assert shared[de, cy] == shared[cy, de] == 10 and shared[de, fr] == 2
    both = [f"{number}" for number in range(5, 15)]
    ours, theirs = (encoder(0.6)([f"{code} {number}" for number in both]) for code in ("de", "cy"))
    assert found[de, cy] == evaluation.retrieval_accuracy(ours, theirs)
    assert found[cy, de] == evaluation.retrieval_accuracy(theirs, ours)
    assert np.isnan(found[de, fr])  # two sentences say nothing


def test_what_says_the_same_is_right_wherever_it_is_found():
    pairs = {"de": [(f"en {n}", f"de {n // 2}") for n in range(COUNT)], "cy": PAIRS["cy"]}
    parallel = parallel_sentences(pairs)
    of = [encoder(0)([f"x {n // 2}" for n in range(len(texts))]) for texts in parallel.texts]
    found, _ = retrieval_between(parallel, of)
    assert found[0, 1] == found[2, 1] == 1  # de has each text twice
    assert found[1, 0] == found[1, 2] == 0  # the others are different texts with one vector: ties


@hypothesis.given(
    pairs=st.dictionaries(
        st.sampled_from(["de", "en", "cy", "fr"]),
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.text(max_size=3)), min_size=1),
        min_size=1,
    ),
    most=st.integers(1, 6),
)
def test_parallel_sentences(pairs, most):
    parallel = parallel_sentences(pairs, most)
    assert parallel.languages == ["en", *(code for code in pairs if code != "en")]
    assert len(set(parallel.texts[0])) == len(parallel.texts[0])
    used = set()
    for code, texts, meanings in list(zip(*parallel, strict=True))[1:]:
        english = [parallel.texts[0][number] for number in meanings]
        first = dict(reversed(pairs[code]))  # the first translation of each
        assert texts == [first[text] for text in english]
        assert len(texts) == min(most, len(first))
        used |= set(meanings.tolist())
    assert used == set(range(len(parallel.texts[0])))


def test_what_most_languages_have_comes_first():
    pairs = {"de": PAIRS["de"], "cy": PAIRS["cy"][12:], "fr": PAIRS["fr"][18:]}
    parallel = parallel_sentences(pairs, most=5)
    assert parallel.texts[1] == [f"de {number}" for number in (18, 19, 12, 13, 14)]


def test_confusions_are_those_of_a_loop():
    parallel = parallel_sentences(PAIRS)
    of = vectors(parallel, noise=1.5)
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in of]
    gaps = {}
    for row, code in enumerate(parallel.languages[1:], start=1):
        for index, text in enumerate(parallel.texts[row]):
            cosines = units[0] @ units[row][index]
            own = int(parallel.meanings[row][index])
            if cosines.max() > cosines[own]:
                place = int(cosines.argmax())
                gaps[code, text] = (cosines[own] - cosines[place], f"en {own}", f"en {place}")
    found = worst_confusions(parallel, of, count=100, of_language=COUNT)
    assert [(one.language, one.translation) for one in found] == sorted(gaps, key=gaps.get)
    for one in found:
        gap, english, other = gaps[one.language, one.translation]
        assert (one.english, one.found) == (english, other)
        assert one.cosine - one.cosine_found == pytest.approx(gap, abs=1e-6)
    few = worst_confusions(parallel, of, count=4, of_language=2)
    assert len(few) == 4 and max([one.language for one in few].count(c) for c in PAIRS) == 2


def test_where_all_is_right_nothing_is_confused():
    parallel = parallel_sentences(PAIRS)
    assert worst_confusions(parallel, vectors(parallel, noise=0)) == []


def test_the_files(tmp_path):
    evaluation.write_retrieval_details(tmp_path, encoder(3.0), encoder(0.6), PAIRS)
    found = json.loads((tmp_path / "retrieval_details.json").read_text())
    parallel = parallel_sentences(PAIRS)
    after, _ = retrieval_between(parallel, vectors(parallel))
    table = np.array(found["after"], float)
    np.testing.assert_allclose(table, 100 * after)
    assert np.nanmean(np.array(found["before"], float)) < np.nanmean(table)
    assert found["languages"] == ["en", "de", "cy", "fr"] and found["confused"]
    assert found["sentences"] == [[COUNT] * 4] * 4
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as file:
        texts = json.loads(str(file["texts"]))
        assert len(file["before"]) == len(file["after"]) == len(texts) == 4 * COUNT
        for (text, code, number), vector in zip(texts, file["after"], strict=True):
            assert text.split() == [code, text.split()[1]]
            assert number == parallel.texts[0].index(f"en {text.split()[1]}")
            np.testing.assert_allclose(vector, encoder(0.6)([text])[0], rtol=2e-3, atol=1e-3)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_english_alone_has_no_details(tmp_path):
    evaluation.write_retrieval_details(tmp_path, encoder(1.0), encoder(1.0), {"en": PAIRS["de"]})
    assert not list(tmp_path.iterdir())
