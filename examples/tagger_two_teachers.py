"""A CRF tagger learns from two teachers whose tags are not its own, without any labels.

One teacher writes BIO where the student writes BIOES; the other tells cities from countries, where
the student has one tag for both. `mmkd_jax` brings both to the student's tags, exactly, and mixes
them. Everything else is anybody's Flax Linen code: python examples/tagger_two_teachers.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from mmkd_jax import crf, losses
from mmkd_jax.tags import BioesRewrite, TagMap, TagSet

FIRST = TagSet.of_types(["PER", "LOC"], "BIO")
SECOND = TagSet.of_types(["PER", "CITY", "COUNTRY"], "BIOES")
STUDENT = TagSet.of_types(["PER", "LOC"], "BIOES")
SECOND_TO_STUDENT = TagMap.of_types(SECOND, STUDENT, {"CITY": "LOC", "COUNTRY": "LOC"})
STUDENT_TO_FIRST = TagMap.of_types(STUDENT, FIRST)
LENGTH, VOCABULARY = 10, 40


class Tagger(nn.Module):
    """Looks at a word and its neighbours; the CRF keeps to the scheme."""

    tags: TagSet

    @nn.compact
    def __call__(self, words, lengths):
        """The chain of sentences [B, T]."""
        features = nn.gelu(nn.Conv(48, kernel_size=(3,))(nn.Embed(VOCABULARY, 24)(words)))
        n = len(self.tags)
        transitions = self.param("transitions", nn.initializers.zeros, (n, n))
        transitions = jnp.where(self.tags.allowed_transitions(), transitions, -jnp.inf)
        return crf.LinearChain(nn.Dense(n)(features), transitions, *edges(self.tags), lengths)


def edges(tags):
    """The scores of tags that may begin and end a sentence."""
    return (jnp.where(some, 0.0, -jnp.inf) for some in (tags.allowed_starts(), tags.allowed_ends()))


def sentences(seed, count):
    """Words that hint at the type of what they are part of; and the tags of SECOND."""
    random = np.random.default_rng(seed)
    lengths = random.integers(3, LENGTH + 1, count)
    legal = jnp.where(SECOND.allowed_transitions(), 0.0, -jnp.inf)
    emissions = jnp.zeros((count, LENGTH, len(SECOND))).at[..., 0].set(2.0)  # most are O
    chain = crf.LinearChain(emissions, legal, *edges(SECOND), lengths)
    tags = np.asarray(crf.sample(jax.random.key(seed), chain, n=1)[0])
    kind = (np.maximum(tags, 0) + 3) // 4  # 0 for O, then PER, CITY, COUNTRY
    hint = np.where(random.random(tags.shape) < 0.95, kind, random.integers(0, 4, tags.shape))
    return hint * 10 + random.integers(0, 10, tags.shape), lengths, tags


def train(name, tagger, loss, *data):
    """Adam on the mean of a loss of the tagger's chain and the rest of the data."""
    optimizer, params = optax.adam(1e-2), tagger.init(jax.random.key(0), *data[:2])
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        def mean(params):
            return loss(tagger.apply(params, *data[:2]), *data[2:]).mean()

        value, gradient = jax.value_and_grad(mean)(params)
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(params, updates), state, value

    history = []
    for _ in range(60):
        params, state, value = step(params, state)
        history.append(float(value))
    print(f"{name}: loss {history[0]:.3f} -> {history[-1]:.3f}")
    return params


# Each teacher has labels of its own.
first, second, student = Tagger(FIRST), Tagger(SECOND), Tagger(STUDENT)
words, lengths, tags = sentences(seed=1, count=256)
tags = STUDENT_TO_FIRST(SECOND_TO_STUDENT(tags))
first_params = train("first teacher", first, losses.crf_nll, words, lengths, tags)
second_params = train("second teacher", second, losses.crf_nll, *sentences(seed=2, count=256))

# The student has none: what it learns is the teachers' mixture, in its own tags.
words, lengths, _ = sentences(seed=3, count=512)
of_first = crf.moments(first.apply(first_params, words, lengths))
of_second = crf.moments(second.apply(second_params, words, lengths))
of_first = crf.bio_to_bioes(of_first, BioesRewrite(FIRST, STUDENT))
of_second = crf.map_tags(of_second, SECOND_TO_STUDENT)
mixed = crf.mixture([of_first, of_second])
params = train("student", student, losses.crf_cross_entropy, words, lengths, mixed)

words, lengths, tags = sentences(seed=4, count=512)
found, _ = crf.viterbi(student.apply(params, words, lengths))
right = (found == SECOND_TO_STUDENT(tags))[tags >= 0].mean()
print(f"agreement with tags that it never saw: {right:.3f}")
