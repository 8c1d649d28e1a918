"""Raw text as words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import split_text, word_spans, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        (" \u200b ", ""),
        ("Ana's e-mail: 3,5 km.", "Ana's|e-mail|:|3,5|km|."),
        ("U.S. 1.000.000, www.x.com!", "U.S|.|1.000.000|,|www.x.com|!"),
        ("'a' -b- c--d 3.x x: 5:30", "'|a|'|-|b|-|c|-|-|d|3.x|x|:|5:30"),
        ("(猫-犬)カ-カ", "(|猫|-|犬|)|カ|-|カ"),
        ("Tシャツ", "T|シ|ャ|ツ"),
        ("ง่าย", "ง่|า|ย"),
        ("हिन्दी है।", "हिन्दी|है|।"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("Varşova'da", "Varşova'da"),
    ],
)
def test_words_of_a_text(text, words):
    assert words_of(text) == tuple(filter(None, words.split("|")))


@given(st.text(st.characters() | st.sampled_from("a1.,-' カไ猫")))
def test_words_cover_the_same_characters_as_spans_do(text):
    places = split_text(text)
    assert all(a[1] <= b[0] for a, b in zip(places, places[1:], strict=False))
    covered = [i for start, end in places for i in range(start, end)]
    assert covered == [i for start, end in word_spans(text).tolist() for i in range(start, end)]
