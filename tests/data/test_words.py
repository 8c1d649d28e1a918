"""What a word is: the rule, in every script that it mentions."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import word_spans

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop!", ["Don", "'", "t", "stop", "!"]),
        ("  two\t spaces\u00a0here\r\n", ["two", "spaces", "here"]),
        ("a+b=5€ 20°C", ["a", "+", "b", "=", "5€", "20°C"]),
        ("我爱Python三", ["我", "爱", "Python", "三"]),
        ("𠀀漢", ["𠀀", "漢"]),  # beyond the first plane
        ("カタカナとかな、です", ["カタカナとかな", "、", "です"]),
        ("ภาษาไทย ดี", ["ภาษาไทย", "ดี"]),
        ("កម្ពុជា\u200bល្អ", ["កម្ពុជា", "ល្អ"]),  # the zero-width space parts words
        ("مرحبا، بالعالم!", ["مرحبا", "،", "بالعالم", "!"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),  # ZWNJ does not
        ("ሰላም፡ለዓለም።", ["ሰላም", "፡", "ለዓለም", "።"]),
        ("co\u00adoperate", ["co\u00adoperate"]),
        ("cafe\u0301 x", ["cafe\u0301", "x"]),
        ("a \u0301\u0302 b", ["a", "\u0301\u0302", "b"]),  # a mark that leans on nothing
        ("!\u20e3a", ["!\u20e3", "a"]),
        ("猫\ufe00犬", ["猫\ufe00", "犬"]),
        (FAMILY, [FAMILY]),
        ("", []),
        (" \n", []),
    ],
)
def test_words_of(text, expected):
    assert words(text) == expected


@given(st.text(st.sampled_from(list("aé1 \t'-猫ไم\u0301\u200d\u00ad😀")), max_size=20))
def test_words_are_in_order_apart_and_leave_out_spaces_only(text):
    spans = word_spans(text)
    ends = [0, *(end for _, end in spans)]
    gaps = [text[end:start] for end, (start, _) in zip(ends, spans, strict=False)]
    assert all(gap == "" or gap.isspace() for gap in [*gaps, text[ends[-1] :]])
    assert all(start < end for start, end in spans)
    assert not any(character.isspace() for word in words(text) for character in word)


@given(
    st.text(st.sampled_from(list("aé '猫\u0301")), max_size=10),
    st.text(st.sampled_from(list("aé '猫\u0301")), max_size=10),
)
def test_texts_do_not_touch_each_other(one, other):
    assert words(f"{one} {other}") == words(one) + words(other)


@given(st.text(st.sampled_from(list("aéñ '猫가")), max_size=10))
def test_composing_characters_changes_no_boundary(text):
    composed, apart = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert [unicodedata.normalize("NFC", word) for word in words(apart)] == words(composed)
