"""What a student has yet to learn from its teachers, sentence by sentence."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from mmkd_jax import crf, losses
from mmkd_jax.crf import LinearChain

OBJECTIVES = ("emission", "token", "top_k", "weighted_top_k", "posterior", "kl", "hard")
_LEAST = -1e30  # a softmax of -inf alone would be NaN


class Teachers(NamedTuple):
    """The K teachers of each sentence of a batch.

    Attributes:
      table: What M teachers have in common in all sentences: "transitions" [M, N, N], "start" and
        "end" [M, N], "weights" [M]; "of_teacher" [M, N] where their tags are not the student's;
        "of_student" [M, S] where the student's are merged too.
      emissions: ``[B, K, W, N]``.
      numbers: ``[B, K]``, which of the M; -1 for none.
      lengths: ``[B]``.
    """

    table: dict[str, Array]
    emissions: Float[Array, "B K W N"]
    numbers: Int[Array, "B K"]
    lengths: Int[Array, "B"]

    @property
    def weights(self) -> Float[Array, "B K"]:
        """1 together; all 0 for a sentence that has no teacher."""
        found = jnp.where(self.numbers >= 0, self._of("weights"), 0.0)
        total = found.sum(axis=-1, keepdims=True)
        return found / jnp.where(total > 0, total, 1.0)

    def one(self, k: int) -> tuple[LinearChain, dict[str, Array]]:
        """Everyone's k-th teacher as a chain, and what its tags are compared as."""
        chain = LinearChain(
            self.emissions[:, k],
            *(self._of(name)[:, k] for name in ("transitions", "start", "end")),
            self.lengths,
        )
        maps = {"of_teacher", "of_student"} & set(self.table)
        return chain, {name: self._of(name)[:, k] for name in maps}

    def _of(self, name: str) -> Array:
        return self.table[name][jnp.maximum(self.numbers, 0)]


def confidence(teachers: Teachers) -> Float[Array, "B"]:
    """How sure they are of what they think is right: a probability a token."""
    found = jnp.zeros(teachers.lengths.shape)
    for k in range(teachers.numbers.shape[1]):
        chain, _ = teachers.one(k)
        best, _ = crf.viterbi(chain)
        log_prob = crf.log_prob(chain, best)
        found += teachers.weights[:, k] * jnp.exp(log_prob / jnp.maximum(teachers.lengths, 1))
    return found


def distillation(settings: Any, student: LinearChain, teachers: Teachers) -> dict[str, Array]:
    """Each objective's loss of each sentence: the mean over its teachers, by their weights."""
    found = {name: jnp.zeros(teachers.lengths.shape) for name in settings.weights}
    for k in range(teachers.numbers.shape[1]):
        weight = teachers.weights[:, k]
        for name, values in _of_one(settings, student, *teachers.one(k)).items():
            # A loss that is infinite where there is no such teacher must not make NaN of 0 times.
            found[name] += jnp.where(weight > 0, weight * values, 0.0)
    return found


def _of_one(
    settings: Any, student: LinearChain, teacher: LinearChain, maps: dict[str, Array]
) -> dict[str, Array]:
    """The losses with one teacher a sentence."""
    asked = set(settings.weights)
    tempered = {"emission": _emission, "token": _emission, "posterior": _posterior, "kl": _kl}
    found = {
        name: tempered[name](student, teacher, maps, settings.temperature)
        for name in sorted(asked & set(tempered))
    }
    return found | _of_paths(asked - set(tempered), settings.paths, student, teacher, maps)


def _emission(student: LinearChain, teacher: LinearChain, maps: dict, temperature: float) -> Array:
    scores = teacher.emissions
    if maps:
        flat = _mapped(jax.nn.softmax(scores / temperature), maps["of_teacher"], student)
        # The scores that have these probabilities.
        scores = temperature * _log(flat)
    return losses.emission_kl(student.emissions, scores, _inside(teacher), temperature)


def _posterior(student: LinearChain, teacher: LinearChain, maps: dict, temperature: float) -> Array:
    if not maps:
        return losses.crf_posterior(student, teacher, temperature)
    of_student = crf.marginals(student)
    of_teacher = _mapped(crf.marginals(teacher), maps["of_teacher"], student)
    if "of_student" in maps:
        of_student = _mapped(of_student, maps["of_student"], student)
    return losses.marginal_kl(of_student, of_teacher, _inside(teacher), temperature)


def _kl(student: LinearChain, teacher: LinearChain, maps: dict, temperature: float) -> Array:
    if not maps:
        return losses.crf_kl(student, teacher, temperature)
    # With tags merged the teacher is no chain, and its entropy, which no student can change, is
    # not known: this is the cross-entropy.
    moments = crf.moments(crf.temper(teacher, temperature))
    mapped = jax.vmap(crf.map_tags)(moments, _matrices(maps["of_teacher"], student))
    student = crf.temper(student, temperature)
    return temperature**2 * losses.crf_cross_entropy(student, mapped)


def _of_paths(
    asked: set[str], count: int, student: LinearChain, teacher: LinearChain, maps: dict
) -> dict[str, Array]:
    """What learns from the teacher's best paths."""
    if not asked:
        return {}
    if asked == {"hard"}:
        paths, scores = (found[:, None] for found in crf.viterbi(teacher))
    else:
        paths, scores = crf.k_best(teacher, count)
    if maps:
        named = jax.vmap(lambda index, tags: index[tags])(maps["of_teacher"], paths)
        paths = jnp.where(paths >= 0, named, -1)
    found = {}
    if "hard" in asked:
        found["hard"] = losses.crf_top_k(student, paths[:, :1])
    if "top_k" in asked:
        found["top_k"] = losses.crf_top_k(student, paths)
    if "weighted_top_k" in asked:
        exists = scores > -jnp.inf
        weights = jax.nn.softmax(jnp.where(exists, scores, _LEAST), axis=-1)
        weights = jnp.where(exists, weights, 0.0)
        found["weighted_top_k"] = losses.crf_top_k(student, paths, weights)
    return found


def _mapped(marginals: Array, index: Array, student: LinearChain) -> Array:
    return jax.vmap(crf.map_marginals)(marginals, _matrices(index, student))


def _matrices(index: Int[Array, "B N"], student: LinearChain) -> Array:
    """[B, N, S], 1 where one of the N tags is compared as one of S."""
    return jax.nn.one_hot(index, student.emissions.shape[-1])


def _inside(chain: LinearChain) -> Array:
    return jnp.arange(chain.emissions.shape[1])[None] < chain.lengths[:, None]


def _log(values: Array) -> Array:
    some = values > 0
    return jnp.where(some, jnp.log(jnp.where(some, values, 1.0)), -jnp.inf)
