"""Teachers with tags of their own, against sums over all of their tag sequences."""

import numpy as np
import pytest

from mmkd_jax import tags
from mmkd_jax.crf import LinearChain
from mmkd_jax.methods import Structured, StructuredSettings, Teacher
from mmkd_jax.tags import BioesRewrite, TagMap, TagSet
from tests.crf.enumerate import Enumeration, kl_divergence
from tests.losses.chains import softmax
from tests.methods.taggers import BIO, BIOES, CONSTANT, LENGTHS, NUMBERS, POS, TAUGHT, World, tagger
from tests.methods.test_structured import jitted, log_prob


def check(world, expected):
    """Metrics against a function of student, teacher and its number, by name."""
    _, metrics, _ = jitted(world)()
    students = world.students()
    for name, one in expected.items():
        values = [
            world.mean_over_teachers(
                b, lambda b, k, one=one: one(students[b], world.teacher(b, k), NUMBERS[b, k])
            )
            for b in np.flatnonzero(TAUGHT)
        ]
        np.testing.assert_allclose(metrics[name], np.mean(values), rtol=2e-4, err_msg=name)


def cross_entropy(student, teacher, named):
    """-Σ p(y) log q(what y is to the student)."""
    return -sum(
        p * log_prob(student, named(path))
        for p, path in zip(teacher.probs, teacher.paths, strict=True)
    )


def divergence(p, q):
    some = p > 0
    return float((p[some] * (np.log(p[some]) - np.log(q[some]))).sum())


def test_another_order_of_the_same_tags_changes_nothing():
    other = TagSet([POS.names[i] for i in (2, 0, 1)], None)
    world = World("kl + hard", teachers=(Teacher(tags=other),) * 2)
    assert set(world.frozen["teachers"]) == {"transitions", "start", "end", "weights"}
    order = [other.index(name) for name in POS]
    place = np.argsort(order)

    def kl(student, teacher, _):
        chain = teacher.chain
        return kl_divergence(
            Enumeration(
                LinearChain(
                    *(chain.emissions[:, order], chain.transitions[order][:, order]),
                    *(chain.start[order], chain.end[order]),
                )
            ),
            student,
        )

    def hard(student, teacher, _):
        return -log_prob(student, place[teacher.viterbi[0]])

    check(world, {"kl": kl, "hard": hard})


def test_a_bio_teacher_of_a_bioes_student_is_exact():
    few = tags.TagSet.of_types(["PER"], "BIO")
    student = tags.TagSet.of_types(["PER"], "BIOES")
    world = World("kl", tagger(student), (Teacher(tags=few), Teacher(tags=few)))
    rewrite = BioesRewrite(few, student)

    def kl(student, teacher, _):
        return cross_entropy(student, teacher, rewrite) - teacher.entropy

    check(world, {"kl": kl})


def test_tags_that_are_one_to_the_student_are_merged():
    fine = TagSet(["NOUN", "PROPN", "VERB", "DET"], None)
    teacher = Teacher(tags=fine, renamed=(("PROPN", "NOUN"),))
    mapping = TagMap.of_names(fine, POS, {"PROPN": "NOUN"})
    world = World("kl + posterior + hard + emission", teachers=(teacher, Teacher(tags=POS)))
    maps = [mapping, lambda path: path]
    matrices = [mapping.matrix(float), np.eye(3)]

    def emission(student, teacher, number):
        of_teacher = softmax(np.float64(teacher.chain.emissions)) @ matrices[number]
        return divergence(of_teacher, softmax(np.float64(student.chain.emissions)))

    check(
        world,
        {
            "kl": lambda s, t, number: cross_entropy(s, t, maps[number]),
            "posterior": lambda s, t, number: divergence(
                t.marginals @ matrices[number], s.marginals
            ),
            "hard": lambda s, t, number: -log_prob(s, maps[number](t.viterbi[0])),
            "emission": emission,
        },
    )


def test_partial_teachers_are_compared_in_what_both_can_say():
    known = tags.TagSet.of_types(["LOC", "TIME"], "BIO")
    student = tags.TagSet.of_types(["LOC", "PER"], "BIO")
    teacher = Teacher(tags=known, partial=True)
    world = World("posterior", tagger(student), (teacher, teacher))
    of_teacher, of_student = (each.matrix(float) for each in tags.shared(known, student))

    def posterior(student, teacher, _):
        return divergence(teacher.marginals @ of_teacher, student.marginals @ of_student)

    check(world, {"posterior": posterior})
    with pytest.raises(ValueError, match="cannot learn from partial teachers"):
        World("kl", tagger(student), (teacher, teacher))


def test_a_teacher_without_some_tags_gives_them_no_chance():
    few = TagSet(["VERB", "NOUN"], None)
    world = World("kl", teachers=(Teacher(tags=few),) * 2)
    rewrite = TagMap.of_names(few, POS)

    def kl(student, teacher, _):
        return cross_entropy(student, teacher, rewrite) - teacher.entropy

    check(world, {"kl": kl})


@pytest.mark.parametrize("student", [BIO, BIOES])
def test_views_keep_the_distribution(student):
    """Whatever tags it is seen in, log Z is that of the teacher."""
    world = World("kl", tagger(student), (Teacher(tags=BIO), Teacher(tags=BIO)))
    table, batch = world.frozen["teachers"], world.batch
    for b, k in np.argwhere((NUMBERS >= 0) & (LENGTHS[:, None] <= 3)):
        seen = LinearChain(
            np.asarray(batch.teacher_emissions)[b, k, : LENGTHS[b]],
            *(table[name][NUMBERS[b, k]] for name in ("transitions", "start", "end")),
        )
        np.testing.assert_allclose(Enumeration(seen).log_z, world.teacher(b, k).log_z, rtol=1e-5)


def test_a_constraint_is_put_on_the_teacher_too():
    world = World("kl", tagger(BIOES, constrained=True), (Teacher(tags=BIO), Teacher(tags=BIO)))
    table = world.frozen["teachers"]
    for number in range(2):
        forbidden = table["transitions"][number] == -np.inf
        assert (forbidden >= ~BIOES.allowed_transitions()).all()
        assert (table["start"][number][~BIOES.allowed_starts()] == -np.inf).all()
        assert (table["end"][number][~BIOES.allowed_ends()] == -np.inf).all()


@pytest.mark.parametrize(
    ("teacher", "message"),
    [
        (Teacher(tags=tags.TagSet.of_types(["LOC"], "BIO")), "does not know"),
        (Teacher(tags=tags.TagSet.of_types(["LOC", "PER", "TIME"], "BIO")), "say what it becomes"),
        (Teacher(tags=tags.TagSet.of_types(["LOC", "PER"], "IO")), "no map of single tags"),
        (Teacher(tags=POS), "cannot map"),
    ],
)
def test_tags_that_do_not_fit_are_refused(teacher, message):
    settings = StructuredSettings(objective="kl", annealing=CONSTANT)
    with pytest.raises(ValueError, match=message):
        Structured(settings, tagger(BIO), (teacher,))


def test_types_may_be_renamed_and_dropped():
    known = tags.TagSet.of_types(["LOC", "person", "TIME"], "BIO")
    teacher = Teacher(tags=known, renamed=(("person", "PER"), ("TIME", None)))
    settings = StructuredSettings(objective="kl", annealing=CONSTANT)
    [view] = Structured(settings, tagger(BIO), (teacher,)).teacher_views
    assert view.kind == "merged"
    named = [BIO.names[index] for index in view.of_teacher]
    assert named == ["O", "B-LOC", "I-LOC", "B-PER", "I-PER", "O", "O"]
    with pytest.raises(ValueError, match="weight must be above 0"):
        Teacher(tags=BIO, weight=0.0)
