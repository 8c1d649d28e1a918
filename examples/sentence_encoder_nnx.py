"""A sentence encoder learns another language from a teacher that knows only the first one.

The teacher encodes sentences of one language; the student sees their translations, and learns to
put each where the teacher put the original (the sentence loss), and all of them as near to each
other as the teacher has them (the structure loss). The losses are `mmkd_jax`'s; everything else is
anybody's Flax NNX code: python examples/sentence_encoder_nnx.py
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from mmkd_jax import losses

VOCABULARY, LENGTH, WIDTH, BATCH = 200, 12, 32, 64


class Encoder(nnx.Module):
    """The mean of word vectors, and a hidden layer."""

    def __init__(self, rngs):
        self.embed = nnx.Embed(VOCABULARY, 64, rngs=rngs)
        self.hidden = nnx.Linear(64, 128, rngs=rngs)
        self.out = nnx.Linear(128, WIDTH, rngs=rngs)

    def __call__(self, words):
        """Vectors [B, WIDTH] of sentences [B, T]."""
        return self.out(nnx.gelu(self.hidden(self.embed(words).mean(axis=1))))


random = np.random.default_rng(0)
DICTIONARY = random.permutation(VOCABULARY)  # the other language, word by word


def sentence_pairs(count):
    """Sentences about a few topics each, and their translations in another word order."""
    topics = random.integers(0, 20, (count, 3))
    words = np.take_along_axis(topics, random.integers(0, 3, (count, LENGTH)), axis=1)
    words = words * 10 + random.integers(0, 10, words.shape)
    return words, random.permuted(DICTIONARY[words], axis=1)


def loss_fn(student, targets, translations):
    """What the student minimises."""
    vectors = student(translations)
    sentence = losses.sentence_alignment(vectors, targets)
    structure = losses.structure_alignment(vectors, targets, temperature=0.1)
    return (sentence + 10 * structure).mean()


@nnx.jit
def train_step(student, optimizer, teacher, words, translations):
    """One update of the student, by one batch."""
    targets = jax.lax.stop_gradient(teacher(words))
    loss, gradients = nnx.value_and_grad(loss_fn)(student, targets, translations)
    optimizer.update(student, gradients)
    return loss


def retrieved(student, teacher, words, translations):
    """How many translations lie nearest to their own original."""
    student, teacher = student(translations), teacher(words)
    student, teacher = (v / jnp.linalg.norm(v, axis=1, keepdims=True) for v in (student, teacher))
    return (jnp.argmax(student @ teacher.T, axis=1) == jnp.arange(len(words))).mean()


teacher, student = Encoder(nnx.Rngs(0)), Encoder(nnx.Rngs(1))
optimizer = nnx.Optimizer(student, optax.adam(3e-3), wrt=nnx.Param)
test = sentence_pairs(256)
print(f"translations found before: {retrieved(student, teacher, *test):.3f}")
history = [
    float(train_step(student, optimizer, teacher, *sentence_pairs(BATCH))) for _ in range(100)
]
print(f"student: loss {history[0]:.3f} -> {history[-1]:.3f}")
print(f"translations found after: {retrieved(student, teacher, *test):.3f}")
