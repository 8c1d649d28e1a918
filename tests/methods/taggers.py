"""A small student, its teachers, and a batch in which sentences have all, some or none of these."""

import jax
import jax.numpy as jnp
import numpy as np

from mmkd_jax import crf, models, tags
from mmkd_jax.data import TaggedBatch, seen_as
from mmkd_jax.methods import AnnealingSettings, Scores, Structured, StructuredSettings, Teacher
from tests.crf.enumerate import Enumeration

WORDS, LONGEST, SENTENCES = 20, 5, 8
LENGTHS = np.array([5, 3, 1, 0, 2, 4, 3, 5], np.int32)
LABELLED = np.array([True, True, False, False, True, False, True, True])
NUMBERS = np.array(
    [[0, -1], [1, -1], [1, -1], [-1, -1], [0, 1], [0, -1], [-1, -1], [1, 0]], np.int32
)
POS = tags.TagSet(["NOUN", "VERB", "DET"])
BIO, BIOES = (tags.TagSet.of_types(["PER", "LOC"], scheme) for scheme in ("BIO", "BIOES"))
TAUGHT = (NUMBERS >= 0).any(axis=1) & (LENGTHS > 0)
GOLD = LABELLED & (LENGTHS > 0)
CONSTANT = AnnealingSettings(kind="constant", start=0.25)


def tagger(of=POS, **fields):
    recurrent = models.RecurrentConfig(
        words=WORDS, word_width=6, width=4, dropout=0.0, word_dropout=0.0
    )
    return models.TaggerConfig(tags=of, recurrent=recurrent, dropout=0.0, **fields)


def scores(of, seed):
    random = np.random.default_rng(seed)
    count = len(of)
    return Scores(*(random.normal(size=shape) for shape in ((count, count), count, count)))


def emissions(of, seed):
    """Of both teachers, in the teacher's own tags."""
    random = np.random.default_rng(seed)
    return random.normal(scale=1.5, size=(SENTENCES, 2, LONGEST, len(of))).astype(np.float32)


class World:
    """A method, what it is given, and the same as plain chains."""

    def __init__(self, objective="kl", student=None, teachers=None, **settings):
        student = student or tagger()
        teachers = teachers or (Teacher(tags=POS), Teacher(tags=POS, weight=3.0))
        settings = {"annealing": CONSTANT} | settings
        self.method = Structured(
            StructuredSettings(objective=objective, **settings),
            student,
            () if objective == "nll" else teachers,
        )
        self.teachers = teachers
        self.scores = [scores(teacher.tags, 10 + i) for i, teacher in enumerate(teachers)]
        self.own = [emissions(teacher.tags, 20 + i) for i, teacher in enumerate(teachers)]
        self.frozen = {}
        if self.method.teachers:
            self.frozen = {"teachers": self.method.teacher_table(self.scores)}
        self.batch = self._batch()
        inside = np.arange(LONGEST) < LENGTHS[:, None]
        variables = models.Tagger(student).init(
            jax.random.key(0), jnp.asarray(inside), words=self.batch.words
        )
        self.params = variables["params"]

    def _batch(self):
        random = np.random.default_rng(0)
        inside = np.arange(LONGEST) < LENGTHS[:, None]
        words = np.where(inside, random.integers(1, WORDS, inside.shape), 0)
        gold = random.integers(0, 3, inside.shape)
        if self.method.tagger.constrained:
            gold = np.zeros(inside.shape, int)
        gold = np.where(inside & LABELLED[:, None], gold, -1)
        batch = TaggedBatch(
            *(None, None, None, None),
            LENGTHS,
            gold.astype(np.int32),
            np.where(LENGTHS > 0, 0, -1).astype(np.int32),
            np.arange(SENTENCES, dtype=np.int32),
            words=words.astype(np.int32),
        )
        if self.method.teachers:
            batch = batch._replace(teachers=NUMBERS, teacher_emissions=self._seen())
        return jax.tree.map(jnp.asarray, batch)

    def _seen(self):
        room = self.method.teacher_tags
        found = np.zeros((SENTENCES, 2, LONGEST, room), np.float32)
        for b, k in np.argwhere(NUMBERS >= 0):
            number = NUMBERS[b, k]
            view = self.method.teacher_views[number]
            found[b, k] = seen_as(self.own[number][b, k], view.columns, room)
        return found

    def teacher(self, b, k):
        """All tag sequences of the k-th teacher of a sentence, in its own tags."""
        number = NUMBERS[b, k]
        own = self.own[number][b, k, : LENGTHS[b]]
        return Enumeration(crf.LinearChain(own, *self.scores[number]))

    def students(self, params=None):
        """All tag sequences of the student, of each sentence."""
        chain = jax.jit(self.method.chain)(self.params if params is None else params, self.batch)
        chain = jax.tree.map(np.asarray, chain)
        return [
            Enumeration(
                crf.LinearChain(
                    chain.emissions[b, : max(LENGTHS[b], 1)],
                    *(chain.transitions, chain.start, chain.end),
                    LENGTHS[b],
                )
            )
            for b in range(SENTENCES)
        ]

    def gold(self, b):
        return np.asarray(self.batch.tags)[b, : LENGTHS[b]]

    def mean_over_teachers(self, b, of):
        """The mean of ``of(b, k)`` over the teachers of a sentence, by their weights."""
        slots = np.flatnonzero(NUMBERS[b] >= 0)
        weights = [self.teachers[NUMBERS[b, k]].weight for k in slots]
        return np.average([of(b, k) for k in slots], weights=weights)
