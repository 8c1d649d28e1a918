"""Classes of languages."""

import pytest

from mmkd_jax import evaluation
from mmkd_jax.evaluation._languages import _NAMES, language_name

# The examples that the paper gives in its table, as far as this package names these languages.
PAPER = {
    1: ("chr", "fj", "kl", "bho", "nv"),
    2: ("zu", "kok", "lo", "mt", "ga"),
    3: ("id", "uk", "ceb", "af", "he"),
    4: ("ru", "hu", "vi", "nl", "ko"),
    5: ("en", "es", "de", "ja", "fr"),
}


@pytest.mark.parametrize("number", PAPER)
def test_the_examples_of_the_paper(number):
    assert {evaluation.resource_class(code) for code in PAPER[number]} == {number}


def test_scripts_regions_and_long_codes():
    for code in ("pt", "por", "pt_BR", "PT-br", "por_Latn"):
        assert evaluation.resource_class(code) == 4
    assert evaluation.resource_class("zh-Hans") == evaluation.resource_class("cmn_Hant") == 5
    assert evaluation.resource_class("") is None
    assert language_name("cmn-Hant") == "Chinese (traditional)"


def test_all_languages_with_a_name_have_a_class():
    codes = [entry.split()[0] for line in _NAMES.split("\n") for entry in line.split("|") if entry]
    assert [code for code in codes if evaluation.resource_class(code) is None] == []
    assert len(codes) == len(set(codes)) > 100
