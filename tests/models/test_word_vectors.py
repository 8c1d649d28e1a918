"""Files of word vectors, with what goes wrong in them."""

import numpy as np
import pytest

from mmkd_jax import models


@pytest.fixture
def vectors(tmp_path):
    def write(text):
        path = tmp_path / "some.vec"
        path.write_bytes(text.encode("utf-8"))
        return path

    return write


def test_words_and_numbers(vectors):
    path = vectors("4 2\n, 0.5 -1\nder 1 2\n\u2028 3 4\nÄpfel 5e-1 6 \n")
    words, table = models.read_vectors(path)
    assert words == [",", "der", "\u2028", "Äpfel"]
    np.testing.assert_array_equal(table, [[0.5, -1], [1, 2], [3, 4], [0.5, 6]])
    assert table.dtype == np.float32


def test_a_choice_and_a_limit(vectors):
    path = vectors("3 1\na 1\nb 2\nc 3\n")
    assert models.read_vectors(path, words={"c", "a"})[0] == ["a", "c"]
    assert models.read_vectors(path, limit=2)[0] == ["a", "b"]
    words, table = models.read_vectors(path, words=set())
    assert words == []
    assert table.shape == (0, 1)


def test_a_word_with_spaces_and_one_that_comes_again(vectors):
    words, table = models.read_vectors(vectors("3 2\nNew York 1 2\na 3 4\na 5 6\n"))
    assert words == ["New York", "a"]
    np.testing.assert_array_equal(table, [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "some.vec:1: the number of words and the width"),
        ("der 1 2\n", "some.vec:1: the number of words and the width"),
        ("2 2\na 1 2\nb 1\n", "some.vec:3: a word and 2 numbers were expected, got 1"),
        ("1 2\na 1 x\n", "some.vec:2: not all are numbers"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(vectors, text, message):
    with pytest.raises(ValueError, match=message):
        models.read_vectors(vectors(text))
