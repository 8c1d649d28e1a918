"""Teachers with tags of their own, against sums over all of their tag sequences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf, losses, tags
from mmkd_jax.methods import Structured, StructuredSettings, Teacher
from mmkd_jax.tags import BioesRewrite, TagMap, TagSet
from tests.methods.taggers import BIO, BIOES, CONSTANT, LENGTHS, NUMBERS, POS, World, tagger
from tests.methods.test_structured import GOLD, TAUGHT, found


def sequences(chain):
    """Every tag sequence with its probability."""
    steps, count = chain.emissions.shape
    every = np.array(list(itertools.product(range(count), repeat=steps)), np.int32)
    many = crf.LinearChain(
        *(jnp.broadcast_to(chain.emissions, (len(every), steps, count)), chain.transitions),
        *(chain.start, chain.end),
    )
    return every, np.exp(np.asarray(crf.log_prob(many, every), np.float64))


def cross_entropy(world, b, k, rewrite):
    """-Σ p(y) log q(what y is to the student), over all of the teacher's sequences."""
    every, chances = sequences(world.teacher(b, k))
    student = world.student(world.params, b)
    named = np.stack([rewrite(y) for y in every])
    log_probs = jax.vmap(lambda y: crf.log_prob(student, y))(named)
    return -float((chances * np.asarray(log_probs, np.float64)).sum()), (every, chances)


def entropy(chances):
    return -float((chances * np.log(chances)).sum())


def mean_over_taught(world, of):
    """The metric of an objective from a function of sentence and teacher."""
    weights = np.array([teacher.weight for teacher in world.teachers])
    total = 0.0
    for b in np.flatnonzero(TAUGHT):
        slots = np.flatnonzero(NUMBERS[b] >= 0)
        shares = weights[NUMBERS[b][slots]] / weights[NUMBERS[b][slots]].sum()
        total += sum(share * of(b, k) for share, k in zip(shares, slots, strict=True))
    return total / TAUGHT.sum()


def test_another_order_of_the_same_tags_changes_nothing():
    other = TagSet([POS.names[i] for i in (2, 0, 1)], None)
    world = World("kl + posterior + top_k + emission", teachers=(Teacher(tags=other),) * 2)
    order = [other.index(name) for name in POS]

    def reordered(b, k):
        chain = world.teacher(b, k)
        return crf.LinearChain(
            *(chain.emissions[:, order], chain.transitions[order][:, order]),
            *(chain.start[order], chain.end[order]),
        )

    _, metrics = found(world)
    assert set(world.frozen["teachers"]) == {"transitions", "start", "end", "weights"}
    for name, plain in (("kl", losses.crf_kl), ("posterior", losses.crf_posterior)):
        expected = mean_over_taught(
            world, lambda b, k, plain=plain: plain(world.student(world.params, b), reordered(b, k))
        )
        np.testing.assert_allclose(metrics[name], expected, rtol=1e-5)


def test_a_bio_teacher_of_a_bioes_student_is_exact():
    few = tags.TagSet.of_types(["PER"], "BIO")
    student = tags.TagSet.of_types(["PER"], "BIOES")
    world = World("kl", tagger(student), (Teacher(tags=few), Teacher(tags=few)))
    rewrite = BioesRewrite(few, student)

    def divergence(b, k):
        value, (_, chances) = cross_entropy(world, b, k, rewrite)
        return value - entropy(chances)

    _, metrics = found(world)
    np.testing.assert_allclose(metrics["kl"], mean_over_taught(world, divergence), rtol=1e-4)


def test_tags_that_are_one_to_the_student_are_merged():
    fine = TagSet(["NOUN", "PROPN", "VERB", "DET"], None)
    teacher = Teacher(tags=fine, renamed=(("PROPN", "NOUN"),))
    mapping = TagMap.of_names(fine, POS, {"PROPN": "NOUN"})
    world = World("kl + posterior + hard + emission", teachers=(teacher, Teacher(tags=POS)))
    maps = [mapping, lambda y: y]
    _, metrics = found(world)

    def kl(b, k):
        return cross_entropy(world, b, k, maps[NUMBERS[b, k]])[0]

    def hard(b, k):
        best, _ = crf.viterbi(world.teacher(b, k))
        named = maps[NUMBERS[b, k]](np.asarray(best))
        return losses.crf_nll(world.student(world.params, b), jnp.asarray(named))

    def posterior(b, k):
        marginals = crf.marginals(world.teacher(b, k))
        if NUMBERS[b, k] == 0:
            marginals = crf.map_marginals(marginals, mapping)
        student = crf.marginals(world.student(world.params, b))
        return losses.marginal_kl(student, marginals, np.ones(LENGTHS[b], bool))

    def emission(b, k):
        p = jax.nn.softmax(world.teacher(b, k).emissions)
        if NUMBERS[b, k] == 0:
            p = crf.map_marginals(p, mapping)
        q = jax.nn.log_softmax(world.student(world.params, b).emissions)
        return (p * (jnp.log(p) - q)).sum()

    for name, one in (("kl", kl), ("hard", hard), ("posterior", posterior), ("emission", emission)):
        np.testing.assert_allclose(metrics[name], mean_over_taught(world, one), rtol=1e-4)


def test_partial_teachers_are_compared_in_what_both_can_say():
    known = tags.TagSet.of_types(["LOC", "TIME"], "BIO")
    teacher = Teacher(tags=known, partial=True)
    world = World("posterior", tagger(BIO), (teacher, teacher))
    of_teacher, of_student = tags.shared(known, BIO)

    def posterior(b, k):
        one = crf.map_marginals(crf.marginals(world.student(world.params, b)), of_student)
        other = crf.map_marginals(crf.marginals(world.teacher(b, k)), of_teacher)
        return losses.marginal_kl(one, other, np.ones(LENGTHS[b], bool))

    _, metrics = found(world)
    np.testing.assert_allclose(metrics["posterior"], mean_over_taught(world, posterior), rtol=1e-4)
    with pytest.raises(ValueError, match="cannot learn from partial teachers"):
        World("kl", tagger(BIO), (teacher, teacher))


def test_a_teacher_without_some_tags_gives_them_no_chance():
    few = TagSet(["VERB", "NOUN"], None)
    world = World("kl", teachers=(Teacher(tags=few),) * 2)
    table = world.frozen["teachers"]
    assert (table["start"][:, POS.index("DET")] == -np.inf).all()
    value, metrics = found(world)
    assert np.isfinite(value)


@pytest.mark.parametrize("student", [BIO, BIOES])
def test_views_keep_the_distribution(student):
    """Whatever tags it is seen in, log Z is that of the teacher."""
    world = World("kl", tagger(student), (Teacher(tags=BIO), Teacher(tags=BIO)))
    table, batch = world.frozen["teachers"], world.batch
    for b, k in np.argwhere(NUMBERS >= 0):
        number = NUMBERS[b, k]
        seen = crf.LinearChain(
            batch.teacher_emissions[b, k, : LENGTHS[b]],
            *(table[name][number] for name in ("transitions", "start", "end")),
        )
        np.testing.assert_allclose(
            crf.log_partition(seen), crf.log_partition(world.teacher(b, k)), rtol=1e-5
        )


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


def test_types_may_be_dropped_by_name():
    known = tags.TagSet.of_types(["LOC", "person", "TIME"], "BIO")
    teacher = Teacher(tags=known, renamed=(("person", "PER"), ("TIME", None)))
    settings = StructuredSettings(objective="kl", annealing=CONSTANT)
    method = Structured(settings, tagger(BIO), (teacher,))
    assert method.teacher_views[0].kind == "merged"
    assert (GOLD | TAUGHT).any()
    with pytest.raises(ValueError, match="weight must be above 0"):
        Teacher(tags=BIO, weight=0.0)
