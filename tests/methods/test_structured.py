"""The loss of a student against sums over all tag sequences, one sentence and teacher a time."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmkd_jax import models
from mmkd_jax.methods import AnnealingSettings, Method, Structured, StructuredSettings, Teacher
from mmkd_jax.training import AccumulationSettings, TrainState, loss_of, make_step
from tests.crf.enumerate import kl_divergence
from tests.losses.chains import softmax
from tests.methods.taggers import BIO, BIOES, CONSTANT, GOLD, LENGTHS, POS, TAUGHT, World, tagger

TEMPERATURE, PATHS, STEPS = 1.7, 4, 4
TERMS = {
    "emission": 0.5,
    "top_k": 0.25,
    "weighted_top_k": 2.0,
    "posterior": 1.0,
    "kl": 1.5,
    "hard": 0.75,
}


@functools.cache
def everything():
    """Every objective at once, and λ = 1, 0.75, 0.5, 0.25, 0 after 0, 1, 2, 3, 4 steps."""
    objective = "+".join(f"{weight}*{name}" for name, weight in TERMS.items())
    annealing = AnnealingSettings(steps=float(STEPS))
    return World(objective, annealing=annealing, temperature=TEMPERATURE, paths=PATHS)


def jitted(world):
    def loss(params, frozen, batch, step):
        return loss_of(world.method, params, {}, frozen, batch, None, step)

    with_gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))

    def call(params=None, batch=None, step=3):
        params, batch = params or world.params, batch or world.batch
        (value, (metrics, _)), gradient = with_gradient(params, world.frozen, batch, step)
        return float(value), jax.device_get(metrics), gradient

    return call


@functools.cache
def found():
    return jitted(everything())


def tempered(probs):
    probs = probs ** (1 / TEMPERATURE)
    return probs / probs.sum(axis=-1, keepdims=True)


def divergence(p, q):
    return TEMPERATURE**2 * float((p * (np.log(p) - np.log(q))).sum())


def of_temperature(found):
    chain = found.chain
    scores = (chain.emissions, chain.transitions, chain.start, chain.end)
    scores = [np.float64(part) / TEMPERATURE for part in scores]
    return type(found)(
        dataclasses.replace(
            chain, **dict(zip(("emissions", "transitions", "start", "end"), scores, strict=True))
        )
    )


def log_prob(student, path):
    return student.score(path) - student.log_z


def top_k(student, teacher, weights_of):
    best = teacher.ranked[:PATHS]
    weights = weights_of(teacher.scores[best])
    return -sum(w * log_prob(student, teacher.paths[i]) for w, i in zip(weights, best, strict=True))


PLAIN = {
    "emission": lambda s, t: divergence(
        softmax(np.float64(t.chain.emissions) / TEMPERATURE),
        softmax(np.float64(s.chain.emissions) / TEMPERATURE),
    ),
    "posterior": lambda s, t: divergence(tempered(t.marginals), tempered(s.marginals)),
    "kl": lambda s, t: TEMPERATURE**2 * kl_divergence(of_temperature(t), of_temperature(s)),
    "hard": lambda s, t: -log_prob(s, t.viterbi[0]),
    "top_k": lambda s, t: top_k(s, t, lambda scores: np.full(len(scores), 1 / len(scores))),
    "weighted_top_k": lambda s, t: top_k(s, t, softmax),
}


def plainly(world, students, name):
    """An objective's value of each sentence."""
    return np.array(
        [
            world.mean_over_teachers(b, lambda b, k: PLAIN[name](students[b], world.teacher(b, k)))
            if TAUGHT[b]
            else 0.0
            for b in range(len(LENGTHS))
        ]
    )


def gold_losses(world, students):
    return np.array(
        [-log_prob(students[b], world.gold(b)) if GOLD[b] else 0.0 for b in range(len(LENGTHS))]
    )


@pytest.mark.parametrize("step", [0, 3, 99])
def test_the_loss_is_that_of_the_plain_formulas(step):
    world, mix = everything(), max(0.0, 1 - step / STEPS)
    value, metrics, _ = found()(step=step)
    students = world.students()
    distilled = 0.0
    for name, weight in TERMS.items():
        values = plainly(world, students, name)
        np.testing.assert_allclose(
            metrics[name], values.sum() / TAUGHT.sum(), rtol=2e-4, err_msg=name
        )
        distilled = distilled + weight * values
    gold = gold_losses(world, students)
    np.testing.assert_allclose(metrics["nll"], gold.sum() / GOLD.sum(), rtol=1e-5)
    np.testing.assert_allclose(metrics["lambda"], mix, atol=1e-6)
    share = np.where(GOLD & TAUGHT, mix, TAUGHT)  # what has only the one or the other counts that
    expected = (share * distilled + (1 - share) * gold).sum() / (GOLD | TAUGHT).sum()
    np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_the_gradient_is_that_of_the_loss():
    world = everything()
    random = np.random.default_rng(0)
    direction = jax.tree.map(
        lambda leaf: jnp.asarray(random.normal(size=leaf.shape), jnp.float32), world.params
    )
    _, _, gradient = found()()
    along = sum(
        float((g * d).sum())
        for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    )
    little = 1e-2

    def at(distance):
        return found()(jax.tree.map(lambda p, d: p + distance * d, world.params, direction))[0]

    expected = (at(little) - at(-little)) / (2 * little)
    np.testing.assert_allclose(along, expected, rtol=5e-3)


def test_at_first_gold_tags_of_taught_sentences_are_not_read():
    batch = everything().batch
    others = jnp.where((GOLD & TAUGHT)[:, None] & (batch.tags >= 0), 2 - batch.tags, batch.tags)
    assert (others != batch.tags).any()
    changed = batch._replace(tags=others)
    assert found()(step=0)[0] == found()(batch=changed, step=0)[0]
    assert found()(step=1)[0] != found()(batch=changed, step=1)[0]


def test_at_last_teachers_of_labelled_sentences_are_not_heard():
    batch = everything().batch
    louder = jnp.asarray(1.0 + (GOLD & TAUGHT)).reshape(-1, 1, 1, 1)
    changed = batch._replace(teacher_emissions=batch.teacher_emissions * louder)
    np.testing.assert_allclose(
        found()(step=STEPS)[0], found()(batch=changed, step=STEPS)[0], rtol=1e-6
    )
    assert abs(found()(step=3)[0] - found()(batch=changed, step=3)[0]) > 1e-3


def test_raw_sentences_have_no_gold_loss_and_are_always_taught():
    batch = everything().batch
    raw = batch._replace(tags=jnp.full_like(batch.tags, -1))
    value, metrics, _ = found()(batch=raw, step=STEPS)
    assert metrics["nll"] == 0.0
    expected = sum(weight * metrics[name] for name, weight in TERMS.items())
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_what_empty_rows_and_padding_hold_changes_nothing():
    world = everything()
    batch = world.batch
    outside = np.arange(batch.tags.shape[1]) >= LENGTHS[:, None]
    changed = batch._replace(
        tags=jnp.where(outside, 1, batch.tags),
        words=jnp.where(outside, 3, batch.words),
        teacher_emissions=jnp.where(outside[:, None, :, None], jnp.nan, batch.teacher_emissions),
        teachers=batch.teachers.at[3].set(0),
    )
    assert LENGTHS[3] == 0
    for one, other in zip(found()(), found()(batch=changed), strict=True):
        jax.tree.map(np.testing.assert_array_equal, one, other)


def test_nothing_but_empty_rows_gives_nothing():
    empty = jax.tree.map(lambda rows: jnp.stack([rows[3]] * len(LENGTHS)), everything().batch)
    value, _, gradient = found()(batch=empty)
    assert value == 0.0
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_teachers_get_no_gradient():
    world = World("emission")

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1))
    def gradient(frozen, emissions):
        batch = world.batch._replace(teacher_emissions=emissions)
        return loss_of(world.method, world.params, {}, frozen, batch, None)[0]

    found = gradient(world.frozen, world.batch.teacher_emissions)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(found))


def test_softmax_taggers_learn_token_by_token():
    world = World("token", tagger(kind="softmax"))
    _, metrics, _ = jitted(world)()
    emissions = np.asarray(jax.jit(world.method.chain)(world.params, world.batch).emissions)
    values = emission_losses(world, emissions)
    np.testing.assert_allclose(metrics["token"], values.sum() / TAUGHT.sum(), rtol=1e-4)


def emission_losses(world, emissions):
    """Of each sentence, at temperature 1."""

    def one(b, k):
        p = softmax(np.float64(world.teacher(b, k).chain.emissions))
        q = softmax(np.float64(emissions[b, : LENGTHS[b]]))
        return float((p * (np.log(p) - np.log(q))).sum())

    return np.array(
        [world.mean_over_teachers(b, one) if TAUGHT[b] else 0.0 for b in range(len(LENGTHS))]
    )


@pytest.mark.parametrize("per", ["sentence", "token"])
def test_without_teachers_it_is_the_mean_of_the_gold_losses(per):
    world = World("nll", per=per)
    value, metrics, _ = jitted(world)()
    losses = gold_losses(world, world.students()).sum()
    counts = LENGTHS if per == "token" else np.ones(len(LENGTHS))
    np.testing.assert_allclose(value, losses / counts[GOLD].sum(), rtol=1e-5)
    assert set(metrics) == {"loss", "nll"}
    assert metrics["loss"] == metrics["nll"]
    assert isinstance(world.method, Method)


@pytest.mark.parametrize("across", ["piece", "batch"])
def test_pieces_are_the_whole_batch(across):
    world = World("emission", annealing=AnnealingSettings(steps=10.0))
    optimizer = optax.sgd(0.1)
    state = TrainState(jnp.int32(3), world.params, {}, optimizer.init(world.params), ())

    def after(pieces):
        accumulation = AccumulationSettings(pieces=pieces, across=across)
        step = jax.jit(make_step(world.method, optimizer, 0, accumulation))
        return step(state, world.frozen, world.batch)

    (one, metrics), (many, more) = after(1), after(4)
    assert set(metrics) == set(more)
    for name in metrics:
        np.testing.assert_allclose(metrics[name], more[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(metrics["lambda"], 0.7, rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
        *(one.params, many.params),
    )


def test_unsure_teachers_of_raw_sentences_are_left_out():
    world = World("emission")
    raw = np.flatnonzero(TAUGHT & ~GOLD)

    def chance(b, k):
        """A token's, of the best tags."""
        teacher = world.teacher(b, k)
        return np.exp((teacher.viterbi[1] - teacher.log_z) / LENGTHS[b])

    sure = np.array([world.mean_over_teachers(b, chance) for b in raw])
    assert len(raw) == 2 and abs(sure[0] - sure[1]) > 0.01
    strict = World("emission", confidence=float(sure.mean()))
    emissions = np.asarray(jax.jit(world.method.chain)(world.params, world.batch).emissions)
    values = emission_losses(world, emissions)
    kept = TAUGHT.copy()
    kept[raw[sure < sure.mean()]] = False
    _, metrics, _ = jitted(strict)()
    np.testing.assert_allclose(metrics["kept"], kept.sum() / TAUGHT.sum(), rtol=1e-6)
    np.testing.assert_allclose(metrics["emission"], values[kept].sum() / TAUGHT.sum(), rtol=1e-4)


def test_a_constrained_student_learns_from_teachers_that_know_no_constraints():
    world = World("kl", tagger(BIO, constrained=True), (Teacher(tags=BIO), Teacher(tags=BIO)))
    value, _, gradient = jitted(world)()
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_dropout_depends_on_the_key_alone():
    world = World("nll")
    config = dataclasses.replace(world.method.tagger, dropout=0.5)
    method = dataclasses.replace(world.method, tagger=config)

    @jax.jit
    def loss(key):
        return loss_of(method, world.params, {}, {}, world.batch, key)[0]

    one, same, other = (float(loss(jax.random.key(number))) for number in (0, 0, 1))
    assert one == same
    assert one != other


def test_what_is_counted():
    world = World("nll")
    batch = jax.tree.map(np.asarray, world.batch)
    assert world.method.tokens(batch) == LENGTHS.sum()
    # Four gates of each direction; the head.
    assert world.method.flops(batch) == 3 * 2 * LENGTHS.sum() * (2 * 4 * 4 * (6 + 4) + 8 * 3)


def test_a_frozen_encoder_is_not_trained():
    encoder = models.EncoderConfig(
        vocabulary_size=30, width=8, layers=1, heads=2, hidden_width=16, positions=12
    )
    for frozen in (False, True):
        config = models.TaggerConfig(tags=POS, encoder=encoder, freeze_encoder=frozen)
        method = Structured(StructuredSettings(), config)
        assert method.is_trained(("encoder", "layers", "0")) is not frozen
        assert not method.is_trained(("encoder", "pooler", "kernel"))
        assert method.is_trained(("head", "kernel"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"objective": "klm"}, "objective must be nll"),
        ({"objective": "kl + kl"}, "name kl once"),
        ({"objective": "nll + kl"}, "what gold tags count"),
        ({"objective": "0*kl"}, "weights above 0"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"paths": 0}, "paths must be at least 1"),
        ({"confidence": 1.0}, "confidence must lie in"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        StructuredSettings(**settings)


def test_a_sum_of_objectives_is_read():
    settings = StructuredSettings(objective="posterior+ .5*weighted_top_k + 2 * kl")
    assert settings.weights == {"posterior": 1.0, "weighted_top_k": 0.5, "kl": 2.0}
    assert StructuredSettings().weights == {}


def test_what_does_not_go_together_is_refused():
    teachers = (Teacher(tags=POS),)
    with pytest.raises(ValueError, match="needs teachers"):
        Structured(StructuredSettings(objective="kl"), tagger())
    with pytest.raises(ValueError, match="no use for teachers"):
        Structured(StructuredSettings(), tagger(), teachers)
    with pytest.raises(ValueError, match=r"annealing\.steps"):
        Structured(StructuredSettings(objective="kl"), tagger(), teachers)
    with pytest.raises(ValueError, match="softmax students"):
        Structured(StructuredSettings(objective="token", annealing=CONSTANT), tagger(), teachers)


@pytest.mark.parametrize("objective", ["emission", "kl + emission"])
def test_tag_by_tag_nothing_is_learned_from_tags_that_are_several_of_the_students(objective):
    settings = StructuredSettings(objective=objective, annealing=CONSTANT)
    with pytest.raises(ValueError, match="compares tag by tag"):
        Structured(settings, tagger(BIOES), (Teacher(tags=BIO),))
    assert Structured(settings, tagger(BIO), (Teacher(tags=BIO),)).teacher_tags == len(BIO)
