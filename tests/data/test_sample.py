"""The sample corpus: its files are well formed, and its languages say the same."""

import re
import unicodedata
from collections import Counter
from importlib import resources

import pytest

from mmkd_jax.data import sample
from mmkd_jax.tags import check_legal, spans

FILES = resources.files(sample)
IDS = {"train": range(1, 121), "test": range(121, 161)}
UPOS = {
    *("ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM"),
    *("PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X"),
}
SCRIPTS = {"LATIN": "en de es fr tr", "CYRILLIC": "ru", "CJK": "zh", "DEVANAGARI": "hi"}

everywhere = pytest.mark.parametrize("language", sample.languages())
in_splits = pytest.mark.parametrize("split", IDS)


def sentences(language: str) -> list:
    return [s for split in IDS for s in sample._sentences(language, split)]


def entities(tags: list[str]) -> Counter:
    return Counter(span.type for span in spans(tags, "IOB2"))


@everywhere
@in_splits
def test_files_are_written_as_the_readme_says(language, split):
    data = (FILES / f"{split}.{language}.tsv").read_bytes().decode()
    assert unicodedata.is_normalized("NFC", data)
    assert not set("\r\ufeff\u00a0\u200b") & set(data)
    row = r"[^\t\n ]+\t[A-Z]+\t(O|[BI]-(PER|LOC|ORG))\n"
    assert re.fullmatch(rf"(# id = \d+\n# text = \S[^\t\n]*\S\n({row})+\n)+", data)


@everywhere
@in_splits
def test_every_language_has_the_same_ids(language, split):
    assert [s.id for s in sample._sentences(language, split)] == list(IDS[split])


def test_there_are_no_other_files():
    found = {f.name for f in FILES.iterdir() if f.name.endswith(".tsv")}
    assert found == {f"{split}.{language}.tsv" for split in IDS for language in sample.languages()}


@everywhere
def test_tokens_spell_the_text(language):
    for s in sentences(language):
        assert "".join(s.tokens) == s.text.replace(" ", ""), s
        assert "  " not in s.text, s


@everywhere
def test_tags_are_legal(language):
    for s in sentences(language):
        check_legal(s.ner, "IOB2")
        assert set(s.pos) <= UPOS, s
        assert len(s.tokens) == len(s.pos) == len(s.ner), s


@everywhere
def test_punctuation_is_tagged_so_and_nothing_else_is(language):
    for s in sentences(language):
        for token, pos in zip(s.tokens, s.pos, strict=True):
            mark = all(unicodedata.category(c)[0] == "P" for c in token)
            assert (pos == "PUNCT") == mark, (s.id, token, pos)
        assert s.pos[-1] == "PUNCT", s


@everywhere
def test_entities_are_made_of_names(language):
    for s in sentences(language):
        for start, end, _ in spans(s.ner, "IOB2"):
            inside = s.pos[start:end]
            assert "PROPN" in inside, s
            # "of", "the", and the point between the parts of a name in Chinese
            assert set(inside) <= {"PROPN", "ADP", "DET", "PUNCT"}, s


@everywhere
def test_translations_name_as_many_persons_places_and_organisations(language):
    # No exceptions so far. Where a translation must drop or add a name, list the sentence here.
    for english, other in zip(sentences("en"), sentences(language), strict=True):
        assert entities(english.ner) == entities(other.ner), (english.text, other.text)


def test_most_sentences_hold_an_entity_and_some_do_not():
    share = sum(any(entities(s.ner).values()) for s in sentences("en")) / 160
    assert 0.7 < share < 0.9


@everywhere
def test_sentences_are_short(language):
    assert all(4 <= len(s.tokens) <= 17 for s in sentences(language))


@everywhere
def test_no_sentence_occurs_twice(language):
    # Across the splits, too.
    texts = [s.text.casefold() for s in sentences(language)]
    assert len(set(texts)) == len(texts)


@everywhere
def test_most_names_of_the_test_split_occur_in_training_too(language):
    def names(split):
        return {
            (tag[2:], token)
            for tokens, tags in sample.tagged(language, split)
            for token, tag in zip(tokens, tags, strict=True)
            if tag != "O"
        }

    test = names("test")
    # Where names inflect, not every form does.
    least = {"de": 0.9, "tr": 0.6, "ru": 0.7}.get(language, 0.95)
    assert len(test & names("train")) / len(test) >= least


@pytest.mark.parametrize("language", [code for code in sample.languages() if code != "en"])
@in_splits
def test_pairs_are_translations(language, split):
    pairs = list(sample.pairs(language, split))
    assert len(pairs) == len(IDS[split])
    english = [s.text for s in sample._sentences("en", split)]
    assert [source for source, _ in pairs] == english
    for source, target in pairs:
        assert source != target


def test_languages_and_scripts():
    script_of = {code: script for script, codes in SCRIPTS.items() for code in codes.split()}
    assert sample.languages() == tuple(script_of)
    for language, script in script_of.items():
        text = "".join(s.text for s in sentences(language))
        letters = [c for c in text if unicodedata.category(c)[0] == "L"]
        # Companies keep their Latin names in Russian.
        assert sum(unicodedata.name(c).startswith(script) for c in letters) > 0.95 * len(letters)


def test_tagged_gives_the_task_asked_for():
    tokens, tags = next(sample.tagged("en", "test"))
    assert tokens == ["Frida", "Kahlo", "was", "born", "in", "Mexico", "."]
    assert tags == ["B-PER", "I-PER", "O", "O", "O", "B-LOC", "O"]
    assert next(sample.tagged("en", "test", task="pos")) == (
        tokens,
        ["PROPN", "PROPN", "AUX", "VERB", "ADP", "PROPN", "PUNCT"],
    )
    assert len(list(sample.tagged("hi", "train", "pos"))) == 120


def test_mistakes_are_told_at_once():
    with pytest.raises(ValueError, match="language must be one of en, .*, got 'xx'"):
        sample.tagged("xx", "train")
    with pytest.raises(ValueError, match="split must be one of train, test, got 'dev'"):
        sample.pairs("de", "dev")
    with pytest.raises(ValueError, match="task must be one of ner, pos, got 'dep'"):
        sample.tagged("de", "train", "dep")
    with pytest.raises(ValueError, match="translated to, got 'en'"):
        sample.pairs("en", "train")


def test_the_readme_counts_right():
    readme = (FILES / "README.md").read_text(encoding="utf-8")
    for language in sample.languages():
        (row,) = re.findall(rf"^\| {language} \|.*$", readme, flags=re.MULTILINE)
        counted = [int(cell) for cell in re.findall(r"\| (\d+) ", row)]
        total = sum((entities(s.ner) for s in sentences(language)), Counter())
        tokens = sum(len(s.tokens) for s in sentences(language))
        assert counted == [tokens, total["PER"], total["LOC"], total["ORG"]]
