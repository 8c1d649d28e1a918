import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmkd_jax.tags import (
    BioesRewrite,
    IllegalTagsError,
    Span,
    TagMap,
    TagSet,
    check_legal,
    convert,
    detect_scheme,
    shared,
    spans,
    tags_of_spans,
)

SCHEMES = ("IO", "IOB1", "BIO", "BIOES")
LENGTH = 12


@st.composite
def span_lists(draw, types="XY"):
    """Spans that do not overlap, in order."""
    cuts = sorted(draw(st.sets(st.integers(0, LENGTH), min_size=2)))
    kinds = draw(st.lists(st.sampled_from([None, *types]), min_size=LENGTH, max_size=LENGTH))
    pieces = zip(itertools.pairwise(cuts), kinds, strict=False)
    return [Span(start, end, kind) for (start, end), kind in pieces if kind]


def all_sequences(names, longest):
    for length in range(longest + 1):
        yield from itertools.product(names, repeat=length)


def is_legal(tags, scheme) -> bool:
    try:
        check_legal(tags, scheme)
    except IllegalTagsError:
        return False
    return True


# Spans and schemes


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("IO", "O I-X I-X I-X I-X I-Y O"),
        ("IOB1", "O I-X I-X B-X I-X I-Y O"),
        ("BIO", "O B-X I-X B-X I-X B-Y O"),
        ("BIOES", "O B-X E-X B-X E-X S-Y O"),
    ],
)
def test_each_scheme_spells_spans_in_its_way(scheme, tags):
    given_spans = [Span(1, 3, "X"), Span(3, 5, "X"), Span(5, 6, "Y")]
    assert tags_of_spans(reversed(given_spans), 7, scheme) == tags.split()


@pytest.mark.parametrize("scheme", SCHEMES)
@given(given_spans=span_lists())
def test_what_is_written_is_legal_and_read_back(scheme, given_spans):
    if scheme == "IO":  # which joins neighbours
        given_spans = given_spans[::2]
        pairs = itertools.pairwise(given_spans)
        given_spans = given_spans if all(a.end < b.start for a, b in pairs) else []
    tags = tags_of_spans(given_spans, LENGTH, scheme)
    assert spans(tags) == spans(tags, scheme) == given_spans


@pytest.mark.parametrize("scheme", SCHEMES)
def test_legal_is_what_can_be_written(scheme):
    """Every sequence there is: legal if and only if it is how its own spans are written."""
    names = TagSet.of_types(["X", "Y"], scheme).names
    for tags in all_sequences(names, 3):
        written = tags_of_spans(spans(tags), len(tags), scheme)
        assert is_legal(tags, scheme) == (list(tags) == written), tags


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_matrices_say_what_is_legal(scheme):
    tag_set = TagSet.of_types(["X", "Y"], scheme)
    starts, pairs, ends = (
        tag_set.allowed_starts(),
        tag_set.allowed_transitions(),
        tag_set.allowed_ends(),
    )
    assert (starts.dtype, pairs.dtype, ends.dtype) == (bool, bool, bool)
    for tags in all_sequences(tag_set.names, 3):
        if tags:
            y = tag_set.encode(tags)
            allowed = starts[y[0]] and pairs[y[:-1], y[1:]].all() and ends[y[-1]]
            assert allowed == is_legal(tags, scheme), tags


def test_tags_without_a_scheme_may_stand_anywhere():
    tag_set = TagSet(("NOUN", "VERB"))
    assert tag_set.scheme is None
    assert tag_set.types == ()
    assert tag_set.allowed_transitions().all()
    assert tag_set.allowed_starts().all()
    assert tag_set.allowed_ends().all()


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O I-X I-X O", [(1, 3, "X")]),
        ("I-X I-Y", [(0, 1, "X"), (1, 2, "Y")]),
        ("B-X I-Y I-Y", [(0, 1, "X"), (1, 3, "Y")]),
        ("O E-X O", [(1, 2, "X")]),
        ("B-X E-X E-X", [(0, 2, "X"), (2, 3, "X")]),
        ("B-X E-X I-X", [(0, 2, "X"), (2, 3, "X")]),
        ("S-X I-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X O E-X", [(0, 1, "X"), (2, 3, "X")]),
        ("B-X B-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X S-X", [(0, 1, "X"), (1, 2, "X")]),
        ("B-X", [(0, 1, "X")]),
        ("", []),
    ],
)
def test_illegal_sequences_are_read_as_conlleval_reads_them(tags, expected):
    assert spans(tags.split()) == [Span(*span) for span in expected]


def test_seqeval_reads_every_sequence_alike():
    labelling = pytest.importorskip("seqeval.metrics.sequence_labeling")
    names = ["O", *(f"{letter}-{kind}" for letter in "BIES" for kind in "XY")]
    for tags in all_sequences(names, 4):
        theirs = [(start, end + 1, kind) for kind, start, end in labelling.get_entities(list(tags))]
        assert spans(tags) == theirs, tags


@pytest.mark.parametrize("to", SCHEMES)
@pytest.mark.parametrize("scheme", SCHEMES)
@given(given_spans=span_lists())
def test_conversion_keeps_the_spans(scheme, to, given_spans):
    tags = tags_of_spans(given_spans, LENGTH, scheme)
    converted = convert(tags, to, scheme)
    assert is_legal(converted, to)
    if to != "IO":
        assert spans(converted) == spans(tags)
        assert convert(converted, scheme, to) == tags
    assert convert(tags, scheme, scheme) == tags


@pytest.mark.parametrize(
    ("scheme", "tags", "position", "message"),
    [
        ("BIO", "O I-X", 1, "tag 1, 'I-X', may not follow 'O' in BIO"),
        ("IOB2", "I-X", 0, "tag 0, 'I-X', may not stand first in BIO"),
        ("IOB1", "O B-X", 1, "tag 1, 'B-X', may not follow 'O' in IOB1"),
        ("BIOES", "S-X B-X", 1, "tag 1, 'B-X', may not stand last in BIOES"),
        ("BIOES", "B-X I-X O", 2, "tag 2, 'O', may not follow 'I-X' in BIOES"),
        ("BIO", "B-X E-X", 1, "tag 1, 'E-X', is no tag of BIO"),
        ("BIO", "O X", 1, "tag 1: 'X' is neither O nor"),
    ],
)
def test_errors_name_the_position(scheme, tags, position, message):
    for function in (check_legal, spans):
        with pytest.raises(IllegalTagsError, match=message) as caught:
            function(tags.split(), scheme)
        assert caught.value.position == position
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.position) == (str(caught.value), position)


def test_spans_that_cannot_be_written():
    with pytest.raises(ValueError, match=r"Span\(start=1, end=4, type='X'\) does not lie within 3"):
        tags_of_spans([(1, 4, "X")], 3, "BIO")
    with pytest.raises(ValueError, match="overlaps the span before it, which ends at 2"):
        tags_of_spans([(0, 2, "X"), (1, 3, "Y")], 3, "BIO")
    with pytest.raises(ValueError, match="scheme must be one of IO, .*, got 'BILOU'"):
        tags_of_spans([], 3, "BILOU")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_scheme_of_data_is_found(scheme):
    data = [[Span(0, 2, "X"), Span(2, 3, "X")], [], [Span(1, 4, "Y")]]
    assert detect_scheme(tags_of_spans(each, 5, scheme) for each in data) == scheme


def test_data_without_spans_and_data_without_a_scheme():
    assert detect_scheme([]) == detect_scheme([["O"]]) == "BIO"
    with pytest.raises(ValueError, match="(?s)no scheme.*sequence 1: tag 1, 'I-X'.* in BIO"):
        detect_scheme([["O", "B-X"], ["O", "I-X"]])


# Tag sets


def test_a_tag_set_is_frozen_hashable_and_picklable():
    tag_set = TagSet(["O", "B-X", "I-X"])
    assert tag_set.names == ("O", "B-X", "I-X")
    assert len({tag_set, TagSet(tag_set.names), pickle.loads(pickle.dumps(tag_set))}) == 1
    assert tag_set != TagSet(tag_set.names, "IOB1")
    with pytest.raises(AttributeError):
        tag_set.names = ("O",)
    assert ("B-X" in tag_set, "B-Y" in tag_set, [1] in [tag_set]) == (True, False, False)
    assert (len(tag_set), list(tag_set), tag_set[1]) == (3, ["O", "B-X", "I-X"], "B-X")


@pytest.mark.parametrize(
    ("names", "scheme"),
    [
        (("O", "I-X"), "IO"),
        (("I-X", "O", "B-X"), "BIO"),
        (("O", "B-X", "E-X"), "BIOES"),
        (("O", "S-X"), "BIOES"),
        (("NOUN", "O"), None),
    ],
)
def test_the_scheme_is_found_from_the_names(names, scheme):
    assert TagSet(names).scheme == scheme


@pytest.mark.parametrize("scheme", SCHEMES)
def test_of_data_is_the_whole_set_in_one_order(scheme):
    data = [tags_of_spans([(0, 3, "Y"), (3, 5, "Y")], 6, scheme), ["O"]]
    data.append(tags_of_spans([(1, 2, "X")], 3, scheme))
    expected = TagSet.of_types(["X", "Y"], scheme)
    assert TagSet.of_data(data) == TagSet.of_data(reversed(data)) == expected
    assert expected.types == ("X", "Y")


@given(st.lists(st.integers(0, 4)), st.integers(0, 3))
def test_decode_undoes_encode(indices, padding):
    tag_set = TagSet.of_types(["X", "Y"])
    tags = [tag_set[i] for i in indices]
    encoded = tag_set.encode(tags)
    assert encoded.dtype == np.int32
    np.testing.assert_array_equal(encoded, indices)
    assert tag_set.decode(np.append(encoded, [-1] * padding).astype(int)) == tags


def test_wrong_tags_are_named():
    tag_set = TagSet.of_types(["PER", "LOC"])
    with pytest.raises(ValueError, match="tag 1: 'b-per' is not .*; did you mean 'B-PER', 'I-PER'"):
        tag_set.encode(["O", "b-per"])
    with pytest.raises(ValueError, match="'xyz' .*; it holds O, B-PER, I-PER, B-LOC, I-LOC"):
        tag_set.index("xyz")
    with pytest.raises(ValueError, match=r"index 5 at 1 is outside 0\.\.4"):
        tag_set.decode([0, 5])
    with pytest.raises(ValueError, match="index -1 at 0 is outside"):
        tag_set.decode([-1, 0])
    with pytest.raises(ValueError, match="indices must be integers"):
        tag_set.decode(np.zeros(3))
    with pytest.raises(ValueError, match="more than once: B-X"):
        TagSet(["B-X", "O", "B-X"])
    with pytest.raises(ValueError, match="no tags of BIO: <unk>; leave them out, or pass"):
        TagSet(["<unk>", "O", "B-X"])
    with pytest.raises(ValueError, match="no tags of IOB1: E-X"):
        TagSet(["O", "E-X"], "IOB1")
    with pytest.raises(ValueError, match="needs at least one"):
        TagSet([])
    with pytest.raises(ValueError, match="must be a sequence of strings, got 'BIO'"):
        TagSet("BIO")
    with pytest.raises(ValueError, match="types must be several strings, got the one 'PER'"):
        TagSet.of_types("PER")


# Maps


def random_distribution(shape) -> np.ndarray:
    weights = np.random.default_rng(0).random(shape)
    return weights / weights.sum()


RULE = {"X": "Q", "Y": "Q", "Z": None}


@pytest.mark.parametrize(
    ("scheme", "to"),
    [("BIO", "BIO"), ("BIOES", "BIOES"), ("BIOES", "BIO"), ("BIO", "IO"), ("BIOES", "IO")],
)
@given(given_spans=span_lists("XYZW"))
def test_a_rule_on_types_is_a_rule_on_spans(scheme, to, given_spans):
    source, target = TagSet.of_types(["W", "X", "Y", "Z"], scheme), TagSet.of_types(["Q", "W"], to)
    tag_map = TagMap.of_types(source, target, RULE)
    tags = source.encode(tags_of_spans(given_spans, LENGTH, scheme))
    mapped = target.decode(tag_map(tags))
    expected = [s._replace(type=RULE.get(s.type, s.type)) for s in given_spans if s.type != "Z"]
    assert mapped == tags_of_spans(expected, LENGTH, to)


def test_a_map_by_names():
    source, target = TagSet(["O", "B-PER", "B-MISC"]), TagSet(["B-PER", "O"])
    tag_map = TagMap.of_names(source, target, {"B-MISC": "O"})
    assert tag_map.indices == (1, 0, 1)
    assert hash(tag_map) == hash(TagMap(source, target, [1, 0, 1]))
    np.testing.assert_array_equal(tag_map(np.array([[2, 1], [-1, 0]])), [[1, 0], [-1, 1]])
    assert tag_map.index.dtype == tag_map(np.array([0])).dtype == np.int32


def test_the_matrix_sums_probabilities():
    source, target = TagSet.of_types(["X", "Y", "Z"]), TagSet.of_types(["Q", "R"])
    tag_map = TagMap.of_types(source, target, {"X": "Q", "Y": "Q", "Z": None})
    pairs = random_distribution((len(source), len(source)))
    expected = np.zeros((len(target), len(target)))
    for a, b in np.ndindex(pairs.shape):
        expected[tag_map.indices[a], tag_map.indices[b]] += pairs[a, b]
    matrix = tag_map.matrix(np.float64)
    np.testing.assert_allclose(matrix.T @ pairs @ matrix, expected)
    np.testing.assert_array_equal(tag_map.reached, [True, True, True, False, False])
    assert tag_map.matrix().dtype == bool


def test_maps_compose():
    fine, middle, coarse = (
        TagSet.of_types(["X", "Y", "Z"], "BIOES"),
        TagSet.of_types(["X", "Z"], "BIO"),
        TagSet.of_types(["Z"], "IO"),
    )
    first = TagMap.of_types(fine, middle, {"Y": "X"})
    second = TagMap.of_types(middle, coarse, otherwise="O")
    both = first.then(second)
    assert (both.source, both.target) == (fine, coarse)
    np.testing.assert_array_equal(both.matrix(int), first.matrix(int) @ second.matrix(int))
    with pytest.raises(ValueError, match="must begin where the first ends"):
        second.then(first)


def test_two_partial_tag_sets_share_what_both_know():
    teacher, student = TagSet.of_types(["LOC", "PER"], "BIOES"), TagSet.of_types(["ORG", "PER"])
    of_teacher, of_student = shared(teacher, student)
    assert of_teacher.target == of_student.target == TagSet.of_types(["PER"])
    assert shared(student, teacher) == (of_student, of_teacher)
    tags = teacher.encode(["S-LOC", "B-PER", "I-PER", "E-PER"])
    assert of_teacher.target.decode(of_teacher(tags)) == ["O", "B-PER", "I-PER", "I-PER"]
    nothing, _ = shared(TagSet.of_types(["X"]), TagSet.of_types(["Y"]))
    assert nothing.target.names == ("O",)
    with pytest.raises(ValueError, match="IOB1 and BIO have no coarser scheme in common"):
        shared(TagSet.of_types(["X"], "IOB1"), student)


def test_wrong_maps_are_explained():
    bio, bioes, parts = TagSet.of_types(["X", "Y"]), TagSet.of_types(["X"], "BIOES"), TagSet(["A"])
    with pytest.raises(ValueError, match="cannot map 'B-Y': 'B-Y' is not.*; say what it becomes"):
        TagMap.of_types(bio, TagSet.of_types(["X"]))
    with pytest.raises(ValueError, match="cannot map 'B-Y'.*'B-Z' is not"):
        TagMap.of_types(bio, TagSet.of_types(["X"]), {"Y": "Z"}, otherwise="O")
    with pytest.raises(ValueError, match="BIO to BIOES is no map of single tags; see BioesRewrite"):
        TagMap.of_types(bio, bioes)
    with pytest.raises(ValueError, match=r"types \['Z'\] are not in the source"):
        TagMap.of_types(bio, bio, {"Z": "X"})
    with pytest.raises(ValueError, match="no types: map their names"):
        TagMap.of_types(parts, parts)
    with pytest.raises(ValueError, match="'B-Z' is not in the tag set"):
        TagMap.of_names(bio, bio, {"B-Z": "O"})
    with pytest.raises(ValueError, match="otherwise must be None or 'O', got 'X'"):
        TagMap.of_types(bio, bio, otherwise="X")
    with pytest.raises(ValueError, match="one a tag of the source, 1, got 2"):
        TagMap(parts, bio, [0, 0])
    with pytest.raises(ValueError, match=r"indices must lie in 0\.\.4, got \[5\]"):
        TagMap(parts, bio, [5])
    with pytest.raises(ValueError, match=r"tags must lie in -1\.\.0"):
        TagMap(parts, bio, [0])(np.array([-2]))


# BIO as BIOES


BIO, BIOES = TagSet.of_types(["X", "Y"], "BIO"), TagSet.of_types(["Y", "X"], "BIOES")


def test_paths_are_rewritten_as_their_tags_are():
    rewrite = BioesRewrite(BIO, BIOES)
    for tags in all_sequences(BIO.names, 4):
        if is_legal(tags, "BIO"):
            padded = np.append(BIO.encode(tags), [-1, -1])
            found = BIOES.decode(rewrite(padded))
            assert found == convert(tags, "BIOES"), tags
    assert rewrite(np.full((2, 0), -1)).shape == (2, 0)


def test_marginals_are_rewritten_as_the_paths_are():
    """Against a distribution over *all* sequences, illegal ones included, path by path."""
    rewrite, steps, n, m = BioesRewrite(BIO, BIOES), 3, len(BIO), len(BIOES)
    p = random_distribution((n,) * steps)
    expected = np.zeros((steps, m))
    for path in np.ndindex(p.shape):
        for t, tag in enumerate(rewrite(np.array(path))):
            expected[t, tag] += p[path]
    pairs = [p.sum(axis=2), p.sum(axis=0)]
    last = p.sum(axis=(0, 1))
    found = [(rewrite.next_allowed * pair[rewrite.bio_of]).sum(axis=1) for pair in pairs]
    found.append(rewrite.may_end * last[rewrite.bio_of])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(np.sum(found, axis=1), 1)


def test_the_way_back_is_a_map():
    rewrite, back = BioesRewrite(BIO, BIOES), TagMap.of_types(BIOES, BIO)
    np.testing.assert_array_equal(back.index, rewrite.bio_of)
    for tags in all_sequences(BIO.names, 3):
        path = BIO.encode(tags)
        np.testing.assert_array_equal(back(rewrite(path)), path)


def test_rewriting_needs_whole_tag_sets():
    with pytest.raises(ValueError, match="lacks a tag that 'B-X' of bio may become"):
        BioesRewrite(TagSet.of_types(["X"]), TagSet(["O", "B-X", "I-X", "E-X"]))
    with pytest.raises(ValueError, match="must follow BIO and BIOES, got BIOES and BIO"):
        BioesRewrite(BIOES, BIO)
    with pytest.raises(ValueError, match=r"tags must lie in -1\.\.4"):
        BioesRewrite(BIO, BIOES)(np.array([5]))
