"""The table for terminals."""

import unicodedata

import pytest

from mmkd_jax import evaluation


def cells(text: str) -> int:
    """What a terminal needs."""
    marks = ("Mn", "Me", "Cf")
    widths = {"W": 2, "F": 2}
    return sum(
        0 if unicodedata.category(c) in marks else widths.get(unicodedata.east_asian_width(c), 1)
        for c in text
    )


def table(languages, **more):
    return evaluation.summary_table({"retrieval": {"languages": languages} | more})


def test_before_and_after_best_first():
    lines = table({"cy": 40.0, "de": 70.5}, before=1.0, after=55.25, languages_before={"cy": 2})
    assert [line.split() for line in lines.splitlines()] == [
        ["retrieval", "before", "after"],
        ["de", "German", "–", "70.5", "%"],
        ["cy", "Welsh", "2.0", "%", "40.0", "%"],
        ["mean", "1.0", "%", "55.2", "%"],
    ]


def test_columns_are_aligned_whatever_the_names_are():
    names = ("de", "中文", "עברית", "हिन्दी", "العربية", "zh-Hans", "日本語ﾃｷｽﾄ", "a\x1b[2Jb\n")
    lines = table(dict.fromkeys(names, 50.0), before=3.0).splitlines()
    assert len(lines) == len(names) + 2
    assert len({cells(line) for line in lines}) == 1
    assert not any(unicodedata.category(c) == "Cc" for line in lines for c in line)


def test_numbers_stay_on_the_right_of_right_to_left_names():
    line = table({"עברית": 50.0}).splitlines()[1]
    assert line.startswith("\u200eעברית\u200e")


def test_what_was_not_measured_has_no_column():
    assert table({"de": 50.0}).splitlines()[0].split() == ["retrieval", "after"]


def test_of_many_languages_the_first_and_the_last():
    lines = table({f"l{n:02}": float(n) for n in range(98)}).splitlines()
    assert len(lines) == 33
    assert lines[1].startswith("l97") and lines[-2].startswith("l00")
    assert "68 more" in lines[16]


@pytest.mark.parametrize("results", [{}, {"retrieval": {}}, {"retrieval": None}])
def test_nothing_to_show(results):
    assert evaluation.summary_table(results) == ""


def test_means_alone():
    lines = evaluation.summary_table({"retrieval": {"before": 1, "after": 2}}).splitlines()
    assert [line.split() for line in lines] == [
        ["retrieval", "before", "after"],
        ["mean", "1.0", "%", "2.0", "%"],
    ]
