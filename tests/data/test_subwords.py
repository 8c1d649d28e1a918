"""Words and their subwords under tokenizers of every kind."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.data import (
    SubwordTokenizer,
    decode_pairs,
    encode_pairs,
    layout_of,
    paired_words,
    word_spans,
)
from tests.data.vocabularies import TEXTS, bert, byte_level, unigram, words_of_letters

KINDS = {
    "cased": lambda: bert("cased"),
    "uncased": lambda: bert("uncased"),
    "multilingual": lambda: bert("multilingual-cased"),
    "letters": words_of_letters,
    "unigram": unigram,
    "bytes": byte_level,
}
# Without an apostrophe: byte-level vocabularies have a token for "'s", which is two words.
PLAIN = "The ferry leaves at nine, but nobody told the daughter."
kinds = pytest.mark.parametrize("kind", KINDS)


def words(text):
    return [text[start:end] for start, end in word_spans(text)]


def spelled(tokenizer, encoded, word):
    """The subwords of a word, as the vocabulary writes them."""
    first, count = encoded.first[word], encoded.count[word]
    ids = encoded.ids[first : first + count].tolist()
    return [tokenizer._tokenizer.id_to_token(index) for index in ids]


def found(kind, text):
    """Each word with its subwords; None for words that have none of their own."""
    tokenizer = KINDS[kind]()
    encoded = tokenizer.encode([text])
    return [
        (word, spelled(tokenizer, encoded, i) if encoded.first[i] >= 0 else None)
        for i, word in enumerate(words(text))
    ]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("multilingual", "co\u00adoperate", [["co", "##oper", "##ate"]]),
        ("uncased", "co\u00adoperate", [["cooperate"]]),
        ("uncased", "Cafe\u0301 \u0301 x", [["cafe"], None, ["x"]]),
        ("multilingual", "\u0301 x", [["\u0301"], ["x"]]),
        ("cased", "我们 ok", [["[UNK]"], ["[UNK]"], ["ok"]]),
        ("multilingual", "我们", [["我"], ["们"]]),
        ("multilingual", "ไทย ดี", [["ไ", "##ท", "##ย"], ["ด", "##ี"]]),
        ("multilingual", "مرحبا", [["م", "##رح", "##با"]]),
        ("multilingual", "ሰላም።", [["[UNK]"], ["[UNK]"]]),
        ("multilingual", "می\u200cخواهم", [["می", "##خ", "##وا", "##هم"]]),
        ("cased", "\U0001f469\u200d\U0001f467 ok", [["[UNK]"], ["ok"]]),
        (
            "cased",
            "[SEP] [MASK]",
            [["["], ["SE", "##P"], ["]"], ["["], ["MA", "##S", "##K"], ["]"]],
        ),
        ("cased", "", []),
        # Thai: no spaces, marks above and below, which uncased BERT drops.
        ("multilingual", "สวัสดีครับ", [["ส", "##ว", "##ัส", "##ดี", "##คร", "##ับ"]]),
        ("uncased", "ครับ ที่", [["[UNK]"], ["ท"]]),
        # Arabic: a shadda within the word.
        ("multilingual", "العبّارة", [["ال", "##عب", "##ّ", "##ارة"]]),
        ("uncased", "العبّارة", [["ا", "##ل", "##ع", "##ب", "##ا", "##ر", "##ة"]]),
        # Amharic: in none of these vocabularies.
        ("multilingual", "ጀልባው በሦስት ok", [["[UNK]"], ["[UNK]"], ["ok"]]),
        # Chinese and Japanese: Han alone, kana together.
        ("multilingual", "東京タワーに", [["東"], ["京"], ["タ", "##ワー", "##に"]]),
        # Korean: uncased BERT takes syllables apart, into more characters than the word has.
        ("multilingual", "한국어 안녕", [["한국", "##어"], ["안", "##녕"]]),
        ("uncased", "한국어", [["ᄒ", "##ᅡ", "##ᆫ", "##ᄀ", "##ᅮ", "##ᆨ", "##ᄋ", "##ᅥ"]]),
        # Joiners and marks of Indic scripts.
        ("multilingual", "ക്\u200dഷ നന്\u200d", [["ക", "##്", "##ഷ"], ["ന", "##ന്"]]),
        ("uncased", "क्षि की", [["क", "##ष", "##ि"], ["क", "##ी"]]),
        ("uncased", "x\U0001f469\u200d\U0001f467y ok", [["[UNK]"], ["ok"]]),
        # Soft hyphens within a word, and one that is all there is.
        ("cased", "Häuser\u00adblock \u00ad x", [["H", "##ä", "##user", "##block"], None, ["x"]]),
        # Two marks on a letter; a mark on a capital I.
        ("uncased", "ka\u0301\u0323t", [["kat"]]),
        ("multilingual", "ka\u0301\u0323t i\u0307", [["[UNK]"], ["[UNK]"]]),
        # A zero-width space parts words; the tokenizer drops it and goes on.
        ("multilingual", "ab\u200bcd \u200e x", [["ab"], ["##c", "##d"], None, ["x"]]),
        # Too long for WordPiece, outside the vocabulary, or no character at all.
        ("multilingual", "W" * 101 + " ok", [["[UNK]"], ["ok"]]),
        ("multilingual", "\U0001f642 ok \ufffd", [["[UNK]"], ["ok"], None]),
    ],
)
def test_subwords_of_real_vocabularies(kind, text, expected):
    assert [subwords for _, subwords in found(kind, text)] == expected


@kinds
@pytest.mark.parametrize("text", TEXTS)
def test_every_subword_of_a_word_spells_part_of_it(kind, text):
    tokenizer = KINDS[kind]()
    encoded = tokenizer.encode([text])
    covered = np.zeros(len(encoded.ids), int)
    for word, (first, count) in enumerate(zip(encoded.first, encoded.count, strict=True)):
        assert (first < 0) == (count == 0)
        if first >= 0:
            covered[first : first + count] += 1
            assert (encoded.word_of[first : first + count] == word).all()
    # No subword belongs to two words, and one that belongs to none says so.
    np.testing.assert_array_equal(covered, encoded.word_of >= 0)


@kinds
def test_english_words_all_have_subwords(kind):
    assert all(subwords for _, subwords in found(kind, PLAIN))


@pytest.mark.parametrize("kind", ["cased", "uncased", "multilingual", "letters"])
@pytest.mark.parametrize("text", TEXTS)
def test_nothing_is_lost_where_the_tokenizer_parts_words_alike(kind, text):
    assert all(subwords for _, subwords in found(kind, text))


def test_a_token_of_several_words_takes_both_away():
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -3.0)]
    vocabulary += [("▁我们", -1.0), ("在", -1.0), ("▁ok", -1.0), ("!?", -1.0), ("'s", -1.0)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    merging = SubwordTokenizer(tokenizer)
    encoded = merging.encode(["我们在 ok!?"])
    assert words("我们在 ok!?") == ["我", "们", "在", "ok", "!", "?"]
    assert encoded.first.tolist() == [-1, -1, 1, 2, -1, -1]
    assert encoded.word_of.tolist() == [-1, 2, 3, -1]
    other = bert("multilingual-cased").encode(["我们在 ok!?"])
    assert paired_words(encoded, other).tolist() == [False, False, True, True, False, False]


def test_a_space_of_its_own_belongs_to_no_word():
    tokenizer = unigram()
    encoded = tokenizer.encode(["船 Fähre"])
    blank = tokenizer._tokenizer.token_to_id("▁")
    assert blank is not None and blank in encoded.ids[:1]
    assert encoded.word_of[0] == -1
    assert encoded.first[0] == 1


def test_bytes_of_one_character_are_one_word():
    encoded = byte_level().encode(["猫 ok"])
    assert encoded.first[0] == 0
    assert encoded.count[0] == 3  # bytes of UTF-8; the vocabulary has not seen the character


def test_pairs_leave_out_what_one_side_drops():
    text = "Ein Cafe\u0301 \u0301 macht auf."
    cased, uncased = bert("multilingual-cased").encode([text]), bert("uncased").encode([text])
    both = paired_words(cased, uncased)
    assert both.tolist() == [True, True, False, True, True, True]
    assert [words(text)[i] for i in np.flatnonzero(~both)] == ["\u0301"]


@pytest.mark.parametrize("other", ["uncased", "multilingual", "unigram", "bytes", "letters"])
def test_english_words_pair_between_kinds(other):
    one, two = (KINDS[kind]().encode([PLAIN]) for kind in ("cased", other))
    assert paired_words(one, two).all()


def test_pairs_of_other_texts_are_an_error():
    tokenizer = words_of_letters()
    with pytest.raises(ValueError, match="same texts"):
        paired_words(tokenizer.encode(["the"]), tokenizer.encode(["the cap"]))


@kinds
@given(st.lists(st.sampled_from([*TEXTS, "", " ", "\u0301", "naïve"]), max_size=5))
def test_a_batch_is_its_texts(kind, texts):
    tokenizer = KINDS[kind]()
    together = tokenizer.encode(texts)
    for index, text in enumerate(texts):
        for part, alone in zip(together.text(index), tokenizer.encode([text]), strict=True):
            np.testing.assert_array_equal(part, alone)


@kinds
@given(st.integers(0, 40))
def test_truncation_drops_words_that_it_cuts(kind, most):
    tokenizer = KINDS[kind]()
    whole = tokenizer.encode(TEXTS)
    cut = whole.truncated(most)
    for index in range(len(TEXTS)):
        before, after = whole.text(index), cut.text(index)
        np.testing.assert_array_equal(after.ids, before.ids[:most])
        stays = (before.first >= 0) & (before.first + before.count <= most)
        np.testing.assert_array_equal(after.first, np.where(stays, before.first, -1))
        np.testing.assert_array_equal(after.count, np.where(stays, before.count, 0))
        expected = [w if w >= 0 and stays[w] else -1 for w in before.word_of[:most]]
        assert after.word_of.tolist() == expected


@kinds
def test_without_words_the_subwords_are_the_same(kind):
    tokenizer = KINDS[kind]()
    whole, bare = tokenizer.encode(TEXTS), tokenizer.encode_without_words(TEXTS)
    for cut, expected in ((bare, whole), (bare.truncated(3), whole.truncated(3))):
        np.testing.assert_array_equal(cut.ids, expected.ids)
        np.testing.assert_array_equal(cut.token_offsets, expected.token_offsets)
        assert not len(cut.first) and (cut.word_of == -1).all()


@kinds
def test_words_given_all_have_subwords(kind):
    sentences = [["Das", "kostet", "10 000", "", "Mark"], [], ["\u00ad"], ["猫", "犬", "'s"], [""]]
    encoded = KINDS[kind]().encode_words(sentences)
    assert np.diff(encoded.word_offsets).tolist() == [5, 0, 1, 3, 1]
    assert (encoded.first >= 0).all()
    assert (encoded.count > 0).all()
    for index, sentence in enumerate(sentences):
        part = encoded.text(index)
        ends = part.first + part.count
        assert (ends[:-1] <= part.first[1:]).all()
        assert set(part.word_of.tolist()) - {-1} == set(range(len(sentence)))


def test_words_given_are_read_as_in_text():
    text = TEXTS[0]
    tokenizer = bert("cased")
    given_words = tokenizer.encode_words([words(text)])
    np.testing.assert_array_equal(given_words.ids, tokenizer.encode([text]).ids)
    np.testing.assert_array_equal(given_words.first, tokenizer.encode([text]).first)


def test_transformers_tokenizers_are_taken_and_left_alone():
    transformers = pytest.importorskip("transformers")
    backend = bert("cased")._tokenizer
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        unk_token="[UNK]",
    )
    tokenizer.backend_tokenizer.enable_truncation(3)
    ours = SubwordTokenizer(tokenizer)
    assert len(ours.encode([TEXTS[0]]).ids) > 3
    assert tokenizer.backend_tokenizer.truncation is not None
    assert ours.specials == bert("cased").specials


def test_hash_tells_tokenizers_apart():
    hashes = {kind: KINDS[kind]().hash for kind in KINDS}
    assert len(set(hashes.values())) == len(KINDS)
    again = SubwordTokenizer(words_of_letters()._tokenizer)
    assert again.hash == hashes["letters"]


def test_specials_are_found_by_either_name():
    assert bert("cased").specials[:5] == (101, 102, 0, 103, 100)
    assert unigram().specials[:5] == (0, 2, 1, 4, 3)
    assert not set(unigram().specials.all) & set(unigram().ordinary.tolist())
    assert 1 not in bert("multilingual-cased").ordinary  # [unused1]


def test_what_is_no_fast_tokenizer_is_an_error():
    with pytest.raises(ValueError, match="tokenizer must be a fast one"):
        SubwordTokenizer("bert-base-cased")
    from tokenizers import Tokenizer, models

    with pytest.raises(ValueError, match=r"lacks \['cls', 'sep', 'pad'\]"):
        SubwordTokenizer(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))


@pytest.mark.parametrize("most", [3, 7, 20])
def test_pairs_of_real_vocabularies_under_truncation(most):
    teacher, student = bert("uncased"), bert("multilingual-cased")
    texts = [*TEXTS, "Cafe\u0301 \u0301 co\u00adoperate \U0001f642 ok"]
    encoded = encode_pairs(
        [(text, text) for text in texts], [0] * len(texts), teacher, student, most
    )
    taken = decode_pairs(encoded.records, layout_of(teacher, student))
    for row, text in enumerate(texts):
        count = taken.words[row]
        spans = word_spans(text)
        sides = [tokenizer.encode([text]) for tokenizer in (teacher, student)]
        kept = [(s.first >= 0) & (s.first + s.count <= most) for s in sides]
        paired = np.flatnonzero(kept[0] & kept[1])
        assert count == len(paired)
        assert count < len(spans) or most == 20
        np.testing.assert_array_equal(taken.teacher_first[row, :count], sides[0].first[paired])
        np.testing.assert_array_equal(taken.student_first[row, :count], sides[1].first[paired])
        np.testing.assert_array_equal(taken.student_count[row, :count], sides[1].count[paired])
        assert (taken.lengths[row] == [min(most, len(s.ids)) for s in (*sides, sides[1])]).all()
