"""Every function of `mmkd_jax.crf` in one compilation, and what enumeration says they are."""

import dataclasses
from collections.abc import Callable

import jax
import numpy as np

from mmkd_jax import crf
from tests.crf import enumerate as brute

FIELDS = ("emissions", "transitions", "start", "end")
K = 8


@jax.jit
def values(p: crf.LinearChain, q: crf.LinearChain, tags) -> dict[str, jax.Array]:
    """What each function returns, by name."""
    best, best_score = crf.viterbi(p)
    paths, scores = crf.k_best(p, K)
    return {
        "score": crf.score(p, tags),
        "log_partition": crf.log_partition(p),
        "log_prob": crf.log_prob(p, tags),
        "marginals": crf.marginals(p),
        "pair_marginals": crf.pair_marginals(p),
        "viterbi_tags": best,
        "viterbi_score": best_score,
        "k_best_tags": paths,
        "k_best_scores": scores,
        "entropy": crf.entropy(p),
        "cross_entropy": crf.cross_entropy(p, q),
        "kl_divergence": crf.kl_divergence(p, q),
        **{f"counts_{name}": count for name, count in scores_of(crf.expected_counts(p)).items()},
    }


def weighted_sum(value, rank: int):
    """A scalar of an array: fixed weights along its last axes, the same for every sequence."""
    return (value * np.broadcast_to(weights(value.shape[-rank:]), value.shape)).sum()


# A scalar of each function that has a derivative, for the gradients by p or by q.
TOTALS = {
    "score by p": lambda p, q, tags: crf.score(p, tags).sum(),
    "log_partition by p": lambda p, q, tags: crf.log_partition(p).sum(),
    "log_prob by p": lambda p, q, tags: crf.log_prob(p, tags).sum(),
    "marginals by p": lambda p, q, tags: weighted_sum(crf.marginals(p), 2),
    "pair_marginals by p": lambda p, q, tags: weighted_sum(crf.pair_marginals(p), 3),
    "viterbi by p": lambda p, q, tags: crf.viterbi(p)[1].sum(),
    "k_best by p": lambda p, q, tags: crf.k_best(p, K)[1].sum(),
    "entropy by p": lambda p, q, tags: crf.entropy(p).sum(),
    "cross_entropy by p": lambda p, q, tags: crf.cross_entropy(p, q).sum(),
    "cross_entropy by q": lambda p, q, tags: crf.cross_entropy(p, q).sum(),
    "kl_divergence by p": lambda p, q, tags: crf.kl_divergence(p, q).sum(),
    "kl_divergence by q": lambda p, q, tags: crf.kl_divergence(p, q).sum(),
}


@jax.jit
def gradients(p: crf.LinearChain, q: crf.LinearChain, tags) -> dict[str, dict]:
    """The gradients of `TOTALS` by the fields."""

    def gradient(name):
        if name.endswith("by q"):
            return jax.grad(lambda fields: TOTALS[name](p, with_scores(q, fields), tags))(
                scores_of(q)
            )
        return jax.grad(lambda fields: TOTALS[name](with_scores(p, fields), q, tags))(scores_of(p))

    return {name: gradient(name) for name in TOTALS}


def scores_of(chain: crf.LinearChain) -> dict[str, jax.Array]:
    """The fields that have a derivative."""
    fields = {name: getattr(chain, name) for name in FIELDS}
    return {name: value for name, value in fields.items() if value is not None}


def with_scores(chain: crf.LinearChain, fields: dict[str, jax.Array]) -> crf.LinearChain:
    """The chain with other scores."""
    return dataclasses.replace(chain, **fields)


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """Fixed weights that make a scalar of an array."""
    return np.cos(1.7 * np.arange(np.prod(shape, dtype=int))).reshape(shape).astype(np.float32)


def enumerated_values(
    p: crf.LinearChain, q: crf.LinearChain, tags: np.ndarray
) -> dict[str, np.ndarray]:
    """`values` by enumeration, where the answer is one number: without tags and paths."""
    leading = np.shape(p.emissions)[:-2]
    ps = brute.enumerate_all(p)
    qs = brute.enumerate_all(dataclasses.replace(q, lengths=p.lengths))
    tags = np.reshape(tags, (len(ps), -1))
    score = np.array([one.score(path) for one, path in zip(ps, tags, strict=True)])
    log_z = np.array([one.log_z for one in ps])
    possible = np.isfinite(log_z)
    flat = {
        "score": score,
        "log_partition": log_z,
        "log_prob": np.where(possible, score - np.where(possible, log_z, 0.0), -np.inf),
        "marginals": np.stack([one.marginals for one in ps]),
        "pair_marginals": np.stack([one.pair_marginals for one in ps]),
        "viterbi_score": np.array([one.viterbi[1] for one in ps]),
        "k_best_scores": np.stack([one.k_best(K)[1] for one in ps]),
        "entropy": np.array([one.entropy for one in ps]),
        "cross_entropy": np.array([brute.cross_entropy(*pq) for pq in zip(ps, qs, strict=True)]),
        "kl_divergence": np.array([brute.kl_divergence(*pq) for pq in zip(ps, qs, strict=True)]),
    }
    result = {name: value.reshape((*leading, *value.shape[1:])) for name, value in flat.items()}
    counts = enumerated_counts(p, ps)
    return result | {f"counts_{name}": count for name, count in counts.items()}


def enumerated_counts(
    chain: crf.LinearChain, enumerations: list[brute.Enumeration]
) -> dict[str, np.ndarray]:
    """Expected counts in the shape of each field."""
    leading = np.shape(chain.emissions)[:-2]
    pairs = np.stack([one.pair_marginals for one in enumerations])
    if np.ndim(chain.transitions) != len(leading) + 3:
        pairs = pairs.sum(axis=1)
    marginals = np.stack([one.marginals for one in enumerations])
    last = np.array([max(one.length - 1, 0) for one in enumerations])
    counts = {
        "emissions": marginals,
        "transitions": pairs,
        "start": marginals[:, 0],
        "end": marginals[np.arange(len(last)), last],
    }
    return {
        name: summed_to(
            counts[name].reshape((*leading, *counts[name].shape[1:])),
            np.shape(getattr(chain, name)),
        )
        for name in FIELDS
        if getattr(chain, name) is not None
    }


def summed_to(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum over the leading axes that a field of this shape shares."""
    while value.ndim > len(shape):
        value = value.sum(axis=0)
    axes = [i for i, size in enumerate(shape) if size == 1 != value.shape[i]]
    return value.sum(axis=tuple(axes), keepdims=True)


def assert_all_close(actual: dict, desired: dict, atol: float = 2e-5, rtol: float = 1e-5) -> None:
    """Compares what both have by name; infinities must be equal, and nothing is NaN."""
    for name in sorted(set(actual) & set(desired)):
        if isinstance(actual[name], dict):
            assert_all_close(actual[name], desired[name], atol, rtol)
            continue
        np.testing.assert_allclose(
            actual[name], desired[name], atol=atol, rtol=rtol, equal_nan=False, err_msg=name
        )


def assert_finite(tree) -> None:
    """No NaN and no infinity anywhere."""
    for path, leaf in jax.tree.leaves_with_path(tree):
        assert np.isfinite(leaf).all(), jax.tree_util.keystr(path)


def assert_paths_right(actual: dict, chain: crf.LinearChain, atol: float = 1e-4) -> None:
    """What `values` says of best paths: real, distinct, of the scores claimed, and -1 elsewhere.

    With the best scores known, that is all there is to be right about, at ties too.
    """
    flat = [np.reshape(actual["k_best_tags"], (-1, K, chain.emissions.shape[-2]))]
    flat += [np.reshape(actual["k_best_scores"], (-1, K))]
    flat += [np.reshape(actual["viterbi_tags"], (-1, chain.emissions.shape[-2]))]
    flat += [np.reshape(actual["viterbi_score"], -1)]
    for one, paths, scores, best, best_score in zip(brute.enumerate_all(chain), *flat, strict=True):
        for path, score in zip([*paths, best], [*scores, best_score], strict=True):
            assert (path[one.length :] == -1).all()
            if score == -np.inf:
                assert (path == -1).all()
            else:
                np.testing.assert_allclose(one.score(path), score, atol=atol, rtol=1e-5)
        real = paths[scores > -np.inf]
        assert len({tuple(path.tolist()) for path in real}) == len(real)
        assert (np.diff(scores[: len(real)]) <= 0).all()


def differentiate(function: Callable, chain: crf.LinearChain, direction: dict, step=1e-5) -> float:
    """A central difference in float64; scores of -inf stay where they are."""

    def moved(by):
        fields = {
            name: np.where(np.isfinite(value), np.float64(value) + by * direction[name], value)
            for name, value in scores_of(chain).items()
        }
        return function(with_scores(chain, fields))

    return (moved(step) - moved(-step)) / (2 * step)


def random_direction(chain: crf.LinearChain, seed: int) -> dict[str, np.ndarray]:
    """A normally distributed change of all finite scores."""
    random = np.random.default_rng(seed)
    return {
        name: np.where(np.isfinite(value), random.normal(size=np.shape(value)), 0.0)
        for name, value in scores_of(chain).items()
    }


def along(gradient: dict, direction: dict) -> float:
    """The derivative along a direction."""
    return sum(float((np.float64(gradient[name]) * direction[name]).sum()) for name in direction)
