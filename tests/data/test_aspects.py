"""Aspect terms of reviews, and the words of their texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import ReadError, Report, TaggedSentence, read_aspects, split_words
from tests.data.corpora import tagged


def reviews(text: str, *terms: str) -> str:
    return (
        f'<sentences>\n<sentence id="7">\n<text>{text}</text>\n<aspectTerms>{"".join(terms)}'
        "</aspectTerms>\n</sentence>\n</sentences>\n"
    )


def term(words: str, start: int, polarity: str = "positive") -> str:
    end = start + len(words)
    return f'<aspectTerm term="{words}" polarity="{polarity}" from="{start}" to="{end}"/>'


def test_aspect_terms(file):
    path = file(reviews("Nice wine &amp; beer!", term("wine", 5), term("beer", 12, "negative")))
    assert list(read_aspects(path, language="en")) == [
        TaggedSentence(
            ("Nice", "wine", "&", "beer", "!"), ("O", "B-ASPECT", "O", "B-ASPECT", "O"), "en", "7"
        )
    ]
    (sentence,) = read_aspects(path, polarity=True, to="BIOES")
    assert sentence.tags == ("O", "S-positive", "O", "S-negative", "O")


def test_semeval_2016(file):
    path = file(
        '<?xml version="1.0"?><Reviews><Review rid="1"><sentences><sentence id="1:0">'
        "<text>La carte des vins, bof.</text><Opinions>"
        '<Opinion target="carte des vins" category="A" polarity="negative" from="3" to="17"/>'
        '<Opinion target="carte des vins" category="B" polarity="neutral" from="3" to="17"/>'
        '<Opinion target="NULL" category="C" polarity="negative" from="0" to="0"/>'
        '</Opinions></sentence><sentence id="1:1"><text>Oui</text></sentence>'
        "</sentences></Review></Reviews>"
    )
    report = Report()
    assert tagged(read_aspects(path, report=report)) == [
        "La/O carte/B-ASPECT des/I-ASPECT vins/I-ASPECT ,/O bof/O ./O",
        "Oui/O",
    ]
    assert report.changed == {"an opinion without a term left out": 1}
    (first, _) = read_aspects(path, polarity=True, report=Report())
    assert first.tags[1] == "B-negative"


def test_terms_may_be_written_without_the_text_s_capitals(file):
    path = file(reviews("Ontbijtbuffet in 't CafÉ", term("ontbijtbuffet", 0), term("'t café", 17)))
    assert tagged(read_aspects(path, report=Report())) == [
        "Ontbijtbuffet/B-ASPECT in/O '/B-ASPECT t/I-ASPECT CafÉ/I-ASPECT"
    ]


def test_terms_that_do_not_end_where_words_do(file):
    path = file(reviews("A drink special, seafood", term("drink s", 2), term("food", 20)))
    report = Report()
    assert tagged(read_aspects(path, report=report)) == [
        "A/O drink/B-ASPECT special/I-ASPECT ,/O seafood/B-ASPECT"
    ]
    assert report.changed == {"a term widened to whole words": 2}


def test_terms_with_blanks_around_them(file):
    (sentence,) = read_aspects(file(reviews("The wine list", term(" wine ", 3))))
    assert sentence.tags == ("O", "B-ASPECT", "O")


def test_the_longest_of_terms_that_overlap(file):
    path = file(reviews("wine list here", term("list", 5), term("wine list", 0)))
    report = Report()
    assert tagged(read_aspects(path, report=report)) == ["wine/B-ASPECT list/I-ASPECT here/O"]
    assert report.changed == {"a term left out because it overlaps a longer one": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (reviews("Good wine", term("wine", 4)), "a term is not where it says"),
        (reviews("Good wine", term("wine", -4)), "a term is not where it says"),
        (reviews("Good wine", term("wine", 50)), "a term is not where it says"),
        (reviews("Good wine", term(" ", 4)), "a term is not where it says"),
        (reviews("Good wine", '<aspectTerm term="wine"/>'), "a term without offsets"),
        (reviews(" "), "a sentence without words"),
    ],
)
def test_wrong_terms(file, content, reason):
    path = file(content)
    with pytest.raises(ReadError, match=f"file:2: {reason}"):
        list(read_aspects(path))
    report = Report()
    assert list(read_aspects(path, on_error="skip", report=report)) == []
    assert report.left_out == {reason: 1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" \u00a0\n", []),
        ("don't", ["don", "'", "t"]),
        ("a--b_c 3,5", ["a", "-", "-", "b_c", "3", ",", "5"]),
        ("cafe\u0301s", ["cafe\u0301s"]),
        ("हिन्दी है", ["हिन्दी", "है"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("我爱Paris。", ["我", "爱", "Paris", "。"]),
        ("ラーメン", ["ラ", "ー", "メ", "ン"]),
        ("\U0001f468\u200d\U0001f469x", ["\U0001f468\u200d", "\U0001f469", "x"]),
    ],
)
def test_words_of_a_text(text, words):
    assert [text[start:end] for start, end in split_words(text)] == words


@given(st.text())
def test_words_cover_all_but_white_space(text):
    places = split_words(text)
    joined = "".join(text[start:end] for start, end in places)
    assert joined == "".join(text.split())
    assert all(a[1] <= b[0] for a, b in zip(places, places[1:], strict=False))
