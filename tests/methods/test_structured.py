"""The loss of a student against the losses it is made of, one sentence and one teacher a time."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf, losses, models
from mmkd_jax.methods import AnnealingSettings, Method, Structured, StructuredSettings, Teacher
from mmkd_jax.training import AccumulationSettings, loss_of, make_step
from tests.methods.taggers import (
    BIO,
    CONSTANT,
    LABELLED,
    LENGTHS,
    NUMBERS,
    POS,
    SENTENCES,
    World,
    tagger,
)

TAUGHT = (NUMBERS >= 0).any(axis=1) & (LENGTHS > 0)
GOLD = LABELLED & (LENGTHS > 0)
TEMPERATURE, PATHS = 1.7, 4


def found(world, params=None, batch=None, step=0):
    @jax.jit
    def loss(params, frozen, batch, step):
        return loss_of(world.method, params, {}, frozen, batch, None, step)

    params = world.params if params is None else params
    value, (metrics, _) = loss(params, world.frozen, batch or world.batch, step)
    return value, metrics


def mask(length):
    return np.ones(length, bool)


def _top_k(student, teacher, weighted):
    paths, scores = crf.k_best(teacher, PATHS)
    weights = jax.nn.softmax(scores) if weighted else None
    return losses.crf_top_k(student, paths, weights)


PLAIN = {
    "kl": lambda s, t: losses.crf_kl(s, t, TEMPERATURE),
    "posterior": lambda s, t: losses.crf_posterior(s, t, TEMPERATURE),
    "emission": lambda s, t: losses.emission_kl(
        s.emissions, t.emissions, mask(len(s.emissions)), TEMPERATURE
    ),
    "hard": lambda s, t: losses.crf_nll(s, crf.viterbi(t)[0]),
    "top_k": lambda s, t: _top_k(s, t, weighted=False),
    "weighted_top_k": lambda s, t: _top_k(s, t, weighted=True),
}
PLAIN["token"] = PLAIN["emission"]


def plainly(world, params, terms, mix):
    """The same loss, a sentence at a time: λ · distillation + (1 - λ) · gold."""
    weights = np.array([teacher.weight for teacher in world.teachers])
    total = 0.0
    for b in np.flatnonzero(GOLD | TAUGHT):
        student = world.student(params, b)
        distilled, gold = 0.0, 0.0
        if TAUGHT[b]:
            slots = np.flatnonzero(NUMBERS[b] >= 0)
            shares = weights[NUMBERS[b][slots]] / weights[NUMBERS[b][slots]].sum()
            for share, k in zip(shares, slots, strict=True):
                for term, weight in terms.items():
                    distilled += share * weight * PLAIN[term](student, world.teacher(b, k))
        if GOLD[b]:
            gold = losses.crf_nll(student, world.gold(b))
        share = mix if GOLD[b] and TAUGHT[b] else float(TAUGHT[b])
        total += share * distilled + (1 - share) * gold
    return total / (GOLD | TAUGHT).sum()


@functools.cache
def world_of(objective):
    kind = "softmax" if objective == "token" else "crf"
    return World(objective, tagger(kind=kind), temperature=TEMPERATURE, paths=PATHS)


@pytest.mark.parametrize(
    "objective",
    [*PLAIN, "0.5*posterior + 0.25*weighted_top_k + hard"],
)
def test_value_and_gradient_are_those_of_the_plain_losses(objective):
    world = world_of(objective)
    terms = world.method.settings.weights
    value, gradient = jax.jit(jax.value_and_grad(lambda p: found(world, p)[0]))(world.params)
    expected, wanted = jax.jit(
        jax.value_and_grad(lambda p: plainly(world, p, terms, CONSTANT.start))
    )(world.params)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-6),
        gradient,
        wanted,
    )


def test_is_a_method():
    assert isinstance(World().method, Method)


def test_without_teachers_it_is_the_mean_of_the_gold_losses():
    world = World("nll")
    value, metrics = found(world)
    values = [
        losses.crf_nll(world.student(world.params, b), world.gold(b)) for b in np.flatnonzero(GOLD)
    ]
    np.testing.assert_allclose(value, np.mean(values), rtol=1e-5)
    np.testing.assert_allclose(metrics["nll"], value, rtol=1e-6)


@pytest.mark.parametrize("mix", [0.0, 1.0])
def test_both_ends_of_lambda(mix):
    """At 1 the gold tags of taught sentences are not read; at 0 their teachers are not."""
    world = World(annealing=dataclasses.replace(CONSTANT, start=mix))
    value, metrics = found(world)
    assert metrics["lambda"] == mix
    both = GOLD & TAUGHT
    if mix == 1.0:
        other = jnp.where(both[:, None] & (world.batch.tags >= 0), 0, world.batch.tags)
        assert (other != world.batch.tags).any()
        same = world.batch._replace(tags=other)
        moved = world.batch._replace(
            teacher_emissions=world.batch.teacher_emissions.at[0, 0, 0, 0].add(1.0)
        )
    else:
        changed = world.batch.teacher_emissions.at[both].add(
            jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3)
        )
        same = world.batch._replace(teacher_emissions=changed)
        moved = world.batch._replace(
            tags=world.batch.tags.at[0, 0].set((world.batch.tags[0, 0] + 1) % 3)
        )
    assert found(world, batch=same)[0] == value
    assert found(world, batch=moved)[0] != value


def test_lambda_follows_the_steps_taken():
    world = World(annealing=AnnealingSettings(steps=10, every=2))
    shares = [float(found(world, step=step)[1]["lambda"]) for step in (0, 1, 2, 5, 10, 99)]
    np.testing.assert_allclose(shares, [1.0, 1.0, 0.8, 0.6, 0.0, 0.0], atol=1e-6)


def test_raw_sentences_have_no_gold_loss_and_are_always_taught():
    world = World(annealing=dataclasses.replace(CONSTANT, start=0.0))
    raw = world.batch._replace(tags=jnp.full_like(world.batch.tags, -1))
    value, metrics = found(world, batch=raw)
    assert metrics["nll"] == 0.0
    np.testing.assert_allclose(value, metrics["kl"], rtol=1e-6)
    assert value > 0


def test_empty_rows_give_nothing():
    world = World()
    value, metrics = found(world)
    fuller = jax.tree.map(lambda rows: jnp.concatenate([rows, rows[3:4], rows[3:4]]), world.batch)
    assert LENGTHS[3] == 0
    again, more = found(world, batch=fuller)
    np.testing.assert_allclose(again, value, rtol=1e-6)
    np.testing.assert_allclose(more["lambda"], metrics["lambda"], rtol=1e-6)
    nothing = jax.tree.map(lambda rows: jnp.stack([rows[3]] * 2), world.batch)
    gradient = jax.grad(lambda p: found(world, p, nothing)[0])(world.params)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_a_mean_over_tokens():
    world, by_token = World(), World(per="token")
    counted = GOLD | TAUGHT
    ratio = LENGTHS[counted].sum() / counted.sum()
    np.testing.assert_allclose(found(world)[0], found(by_token)[0] * ratio, rtol=1e-6)
    np.testing.assert_allclose(
        found(world)[1]["nll"] * GOLD.sum(),
        found(by_token)[1]["nll"] * LENGTHS[GOLD].sum(),
        rtol=1e-6,
    )


@pytest.mark.parametrize("across", ["piece", "batch"])
def test_pieces_are_the_whole_batch(across):
    import optax

    world = World("posterior + hard", annealing=AnnealingSettings(steps=10))
    optimizer = optax.sgd(0.1)
    from mmkd_jax.training import TrainState

    state = TrainState(jnp.int32(3), world.params, {}, optimizer.init(world.params), ())
    one, many = (
        jax.jit(
            make_step(world.method, optimizer, 0, AccumulationSettings(pieces=n, across=across))
        )(state, world.frozen, world.batch)
        for n in (1, 4)
    )
    for (name, a), b in zip(
        sorted(one[1].items()), [many[1][k] for k in sorted(many[1])], strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7, err_msg=name)
    np.testing.assert_allclose(one[1]["lambda"], 0.7, rtol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
        one[0].params,
        many[0].params,
    )


def test_unsure_teachers_of_raw_sentences_are_left_out():
    world = World()
    sure = np.zeros(SENTENCES)
    weights = np.array([teacher.weight for teacher in world.teachers])
    for b in np.flatnonzero(TAUGHT):
        slots = np.flatnonzero(NUMBERS[b] >= 0)
        shares = weights[NUMBERS[b][slots]] / weights[NUMBERS[b][slots]].sum()
        for share, k in zip(shares, slots, strict=True):
            teacher = world.teacher(b, k)
            best, _ = crf.viterbi(teacher)
            sure[b] += share * np.exp(crf.log_prob(teacher, best) / LENGTHS[b])
    raw = np.flatnonzero(TAUGHT & ~GOLD)
    assert len(raw) == 2
    least, most = sorted(sure[raw])
    strict = World(confidence=float((least + most) / 2))
    unsure = raw[sure[raw] == least][0]
    without = world.batch._replace(
        teacher_emissions=world.batch.teacher_emissions.at[unsure].add(
            jnp.arange(3.0).reshape(1, 1, 3) * 0.01
        )
    )
    assert found(strict)[0] < found(world)[0]
    assert found(strict)[0] == found(strict, batch=without)[0]
    assert found(world)[0] != found(world, batch=without)[0]


def test_teachers_get_no_gradient():
    world = World("kl + posterior + weighted_top_k")

    def of_teachers(frozen, emissions):
        batch = world.batch._replace(teacher_emissions=emissions)
        return loss_of(world.method, world.params, {}, frozen, batch, None)[0]

    gradient = jax.grad(of_teachers, argnums=(0, 1))(world.frozen, world.batch.teacher_emissions)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient))


def test_a_constrained_student_learns_from_teachers_that_know_no_constraints():
    world = World("kl", tagger(BIO, constrained=True), (Teacher(tags=BIO), Teacher(tags=BIO)))
    value, gradient = jax.value_and_grad(lambda p: found(world, p)[0])(world.params)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_dropout_depends_on_the_key_alone():
    world = World()
    config = dataclasses.replace(world.method.tagger, dropout=0.5)
    method = dataclasses.replace(world.method, tagger=config)
    one, same, other, none = (
        loss_of(method, world.params, {}, world.frozen, world.batch, key)[0]
        for key in (jax.random.key(0), jax.random.key(0), jax.random.key(1), None)
    )
    assert one == same
    assert len({float(one), float(other), float(none)}) == 3


def test_what_is_counted():
    world = World()
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
        ({"objective": "nll + kl"}, "objective must be nll"),
        ({"temperature": 0.0}, "temperature must be above 0"),
        ({"paths": 0}, "paths must be at least 1"),
        ({"confidence": 1.0}, "confidence must lie in"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        StructuredSettings(**settings)


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
