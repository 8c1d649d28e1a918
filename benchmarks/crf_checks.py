"""Whether a peer computes the same as we do: asked once for each shape before it is timed.

Each check takes the case, the peer's result and ours, and raises `Differs`.
"""

import numpy as np
from crf_peers import Case


class Differs(Exception):
    """A peer's result is not ours, so its time means nothing."""


def array(x) -> np.ndarray:
    return np.asarray(x.detach().cpu() if hasattr(x, "detach") else x)


def near(what: str, value, expected, tolerance: float):
    """Relative to the largest expected entry, or absolute where that is small."""
    value, expected = array(value), array(expected)
    error = np.abs(value - expected).max() / max(1.0, np.abs(expected).max())
    if not error <= tolerance:
        raise Differs(f"{what} off by {error:.1e}")


def near_gradients(gradients, expected):
    # Marginals in log space lose digits with T: 4e-3 at T 2048 in pytorch-crf.
    for mine, other in zip(expected, gradients, strict=False):
        near("gradient", other, mine, 2e-2)


def path_scores(case: Case, paths) -> np.ndarray:
    """Scores [..., B] of paths [..., B, T], or of lists of tags."""
    if isinstance(paths, list):
        paths = [path + [0] * (case.steps - len(path)) for path in paths]
    paths = np.maximum(array(paths), 0)
    emissions, transitions, start, end = case.p
    inside = np.arange(case.steps) < case.lengths[:, None]
    rows, last = np.arange(len(case.lengths)), case.lengths - 1
    unary = emissions[rows[:, None], np.arange(case.steps), paths]
    pairs = transitions[paths[..., :-1], paths[..., 1:]]
    score = (unary * inside).sum(-1) + (pairs * inside[:, 1:]).sum(-1)
    return score + start[paths[..., 0]] + end[paths[..., rows, last]]


def check_log_z(case, result, ours):
    near("log Z", result[0], ours[0], 1e-3)
    near_gradients(result[1], ours[1])


def check_nll(case, result, ours):
    near("log Z", array(result[0]) + path_scores(case, case.gold), ours[0], 1e-3)


def check_viterbi(case, result, ours):
    """Some peers give a path only; ours gives both."""
    paths = result
    if isinstance(result, tuple):
        paths, scores = result
        near("score", scores, ours[1], 1e-3)
    near("score of the path", path_scores(case, paths), ours[1], 1e-3)


def check_k_best(case, result, ours):
    paths, scores = array(result[0]), array(result[1])
    near("scores", scores, ours[1], 1e-3)
    near("scores of the paths", path_scores(case, np.moveaxis(paths, 1, 0)).T, ours[1], 1e-3)


def check_kl(case, result, ours):
    near("KL", result[0], ours[0], 1e-3)
    near_gradients(result[1], ours[1])


def check_sample(case, result, ours):
    """Mean scores a token agree up to chance: it sees wrong scores, not a wrong end."""
    tokens = case.lengths.sum()
    mean, expected = (path_scores(case, x).sum() / tokens for x in (result, ours))
    if not abs(mean - expected) < 6 * np.sqrt(2 / tokens) * 1.5:
        raise Differs(f"mean score a token {mean:.2f}, ours {expected:.2f}")


CHECKS = {
    "log_z": check_log_z,
    "nll": check_nll,
    "viterbi": check_viterbi,
    "k_best": check_k_best,
    "kl": check_kl,
    "kl_student": check_kl,
    "sample": check_sample,
}
