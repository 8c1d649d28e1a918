"""First and second derivatives against differences of what enumeration says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmkd_jax import crf
from tests.crf import enumerate as brute
from tests.crf.chains import KINDS, forbid, random_chain
from tests.crf.everything import (
    TOTALS,
    K,
    along,
    assert_finite,
    differentiate,
    gradients,
    random_direction,
    scores_of,
    weighted_sum,
    with_scores,
)

B, T, N = 6, 5, 3
TAGS = np.random.default_rng(0).integers(0, N, (B, T)).astype(np.int32)


def enumerated_total(name, p, q):
    """`TOTALS` by enumeration."""
    q = dataclasses.replace(q, lengths=p.lengths)
    ps = brute.enumerate_all(p)
    pairs = list(zip(ps, brute.enumerate_all(q), strict=True)) if name[:2] in ("cr", "kl") else []
    match name.split(" by ")[0]:
        case "score":
            return sum(one.score(path) for one, path in zip(ps, TAGS, strict=True))
        case "log_partition":
            return sum(one.log_z for one in ps)
        case "log_prob":
            return sum(one.score(path) - one.log_z for one, path in zip(ps, TAGS, strict=True))
        case "marginals" | "pair_marginals" as field:
            value = np.stack([getattr(one, field) for one in ps])
            return weighted_sum(value, 2 if field == "marginals" else 3)
        case "viterbi":
            return sum(one.viterbi[1] for one in ps)
        case "k_best":
            scores = np.stack([one.k_best(K)[1] for one in ps])
            return scores[np.isfinite(scores)].sum()
        case "entropy":
            return sum(one.entropy for one in ps)
        case "cross_entropy":
            return sum(brute.cross_entropy(*pair) for pair in pairs)
        case "kl_divergence":
            return sum(brute.kl_divergence(*pair) for pair in pairs)


def check_gradients(p, q, names=tuple(TOTALS), atol=3e-5):
    actual = gradients(p, q, TAGS)
    assert_finite(actual)
    for name in names:
        by_q = name.endswith("by q")
        chain = q if by_q else p

        def total(moved, name=name, by_q=by_q):
            return enumerated_total(name, *((p, moved) if by_q else (moved, q)))

        # One field at a time, so that an error in a small one is not lost in a large one.
        for field in scores_of(chain):
            direction = {field: random_direction(chain, seed=1)[field]}
            full = {name: direction.get(name, np.zeros_like(v)) for name, v in scores_of(p).items()}
            right = differentiate(total, chain, full)
            np.testing.assert_allclose(
                along(actual[name], direction), right, atol=atol, rtol=2e-5, err_msg=(name, field)
            )


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_gradients(kind):
    check_gradients(random_chain(0, kind=kind), random_chain(1, kind=kind))


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_gradients_beside_impossible_scores(kind):
    """Both forbid the same, so that divergences are finite; score and log_prob may be -inf."""
    p = forbid(random_chain(2, kind=kind), 3, 0.12)
    q = forbid(random_chain(4, kind=kind), 3, 0.12)
    assert all(np.isfinite(one.log_z) for one in brute.enumerate_all(p))
    names = [name for name in TOTALS if name not in ("score by p", "log_prob by p")]
    check_gradients(p, q, names)


@pytest.mark.parametrize("high", [10, 23, 30, 40, 80])
def test_gradients_where_the_two_messages_hardly_overlap(high):
    """One transition that the chain would like to take at every step, and cannot."""
    chain = random_chain(5, scale=0.1)
    transitions = np.zeros((N, N), np.float32)
    transitions[0, 1] = high
    p = with_scores(chain, {"transitions": transitions})
    q = with_scores(random_chain(6, scale=0.1), {"transitions": 0.5 * transitions})
    names = ("marginals by p", "pair_marginals by p", "entropy by p", "kl_divergence by p")
    check_gradients(p, q, names, atol=3e-4)


def test_gradients_where_no_path_is_left():
    """0 through every function, and other sequences keep theirs."""
    p, q = random_chain(7), random_chain(8)
    emissions = p.emissions.copy()
    emissions[3:, 0] = -np.inf
    blocked = with_scores(p, {"emissions": emissions})
    free, found = gradients(p, q, TAGS), gradients(blocked, q, TAGS)
    assert_finite(found)
    for name in set(TOTALS) - {"score by p"}:
        if name.endswith("by p"):
            assert (found[name]["emissions"][3:] == 0).all(), name
        close = {"atol": 2e-6, "rtol": 1e-6, "err_msg": name}
        np.testing.assert_allclose(
            found[name]["emissions"][:3], free[name]["emissions"][:3], **close
        )


SECOND = ("log_partition by p", "marginals by p", "entropy by p", "cross_entropy by p") + (
    "cross_entropy by q",
    "kl_divergence by p",
    "kl_divergence by q",
)


@jax.jit
def second_derivatives(p, q, by_p, by_q):
    """Reverse mode twice: the curvature along a direction."""

    def curvature(name):
        chain, direction = (q, by_q) if name.endswith("by q") else (p, by_p)

        def slope(fields):
            def total(fields):
                moved = with_scores(chain, fields)
                return TOTALS[name](*((p, moved) if chain is q else (moved, q)), TAGS)

            by = jax.grad(total)(fields)
            return sum((by[field] * direction[field]).sum() for field in by)

        by = jax.grad(slope)(scores_of(chain))
        return by, sum((by[field] * direction[field]).sum() for field in by)

    return {name: curvature(name) for name in SECOND}


def check_second_derivatives(p, q, rtol=1e-3, atol=1e-3):
    directions = [
        {name: value.astype(np.float32) for name, value in random_direction(c, seed).items()}
        for seed, c in enumerate((p, q))
    ]
    actual = second_derivatives(p, q, *directions)
    assert_finite(actual)
    for name in SECOND:
        by_q = name.endswith("by q")
        chain, direction = (q, directions[1]) if by_q else (p, directions[0])

        def total(moved, name=name, by_q=by_q):
            return enumerated_total(name, *((p, moved) if by_q else (moved, q)))

        def slope(moved, total=total, direction=direction):
            return differentiate(total, moved, direction, step=1e-3)

        right = differentiate(slope, chain, direction, step=1e-3)
        np.testing.assert_allclose(actual[name][1], right, rtol=rtol, atol=atol, err_msg=name)


@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2]])
def test_second_derivatives(kind):
    check_second_derivatives(random_chain(9, kind=kind), random_chain(10, kind=kind))


def test_second_derivatives_beside_impossible_scores():
    p, q = (forbid(random_chain(seed), 3, 0.12) for seed in (2, 4))
    check_second_derivatives(p, q)
    # and where sequences have no path, or q forbids what p allows: finite
    p, q = forbid(random_chain(11), 12, 0.5), forbid(random_chain(13), 14, 0.3)
    directions = [jax.tree.map(np.ones_like, scores_of(chain)) for chain in (p, q)]
    assert_finite(second_derivatives(p, q, *directions))


def test_hessian_is_symmetric():
    chain = random_chain(15, lengths=None, leading=(1,))

    def gradient(fields):
        return jax.grad(lambda f: crf.log_partition(with_scores(chain, f)).sum())(fields)

    rows = jax.jit(jax.jacrev(gradient))(scores_of(chain))
    sizes = {name: value.size for name, value in scores_of(chain).items()}
    hessian = np.block(
        [[np.reshape(rows[a][b], (sizes[a], sizes[b])) for b in sizes] for a in sizes]
    )
    np.testing.assert_allclose(hessian, hessian.T, atol=2e-6)
    assert np.linalg.eigvalsh(hessian).min() > -1e-5  # log Z is convex


def test_a_loss_on_marginals_can_be_trained():
    """Raising the probability of given tags, token by token."""
    chain = random_chain(16)
    inside = np.arange(T) < chain.lengths[:, None]

    def loss(fields):
        marginals = crf.marginals(with_scores(chain, fields))
        chosen = (marginals * jax.nn.one_hot(TAGS, N)).sum(-1)
        return -jnp.where(inside, jnp.log(jnp.where(inside, chosen, 1.0)), 0.0).sum()

    step = jax.jit(jax.value_and_grad(loss))
    fields, losses = scores_of(chain), []
    for _ in range(30):
        value, by = step(fields)
        losses.append(float(value))
        fields = jax.tree.map(lambda x, g: x - 0.2 * g, fields, by)
    assert losses[-1] < 0.3 * losses[0]


def test_a_student_learns_its_teacher():
    teacher, student = random_chain(17), random_chain(18)

    def loss(fields):
        return crf.kl_divergence(teacher, with_scores(student, fields)).sum()

    step = jax.jit(jax.value_and_grad(loss))
    fields = scores_of(student)
    first, _ = step(fields)
    for _ in range(300):
        last, by = step(fields)
        fields = jax.tree.map(lambda x, g: x - 0.3 * g, fields, by)
    assert 0 <= last < 0.01 * first
    learnt = with_scores(student, fields)
    np.testing.assert_allclose(crf.marginals(learnt), crf.marginals(teacher), atol=0.05)


def test_scores_of_paths_have_gradients():
    """A loss over K best paths reaches every field: the path's own tags get the gradient."""
    chain = random_chain(19)
    tags, _ = crf.viterbi(chain)
    by = jax.grad(lambda c: crf.viterbi(c)[1].sum(), allow_int=True)(chain)
    np.testing.assert_array_equal(by.emissions, jax.nn.one_hot(tags, N))
    starts = jax.nn.one_hot(tags[:, 0], N).sum(0)
    np.testing.assert_array_equal(by.start, starts)
    assert by.transitions.sum() == np.maximum(chain.lengths - 1, 0).sum()
