"""Measures what each objective of structured distillation adds to a student's training step.

    python benchmarks/structured_speed.py            # about 5 minutes on 2 cores
    python benchmarks/structured_speed.py --merge --only steps

A whole run writes `results/structured_speed.json` and its section of `RESULTS.md`. A part only
prints, unless `--merge` puts its rows among the stored ones.
"""

import argparse
import dataclasses
import functools
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from side_by_side import Candidate, Report, Row, figure, medians, warm_up

from mmkd_jax import crf, losses, models
from mmkd_jax.crf import LinearChain
from mmkd_jax.tags import TagSet

STEP = "student step [times that of plain nll]"
LOSS = "loss + gradient [times that of plain nll]"

K = 10
TEMPERATURE = 2.0
SHARE = 0.5  # of the labels in a mixture, in the middle of the papers' annealing

LIMITS = {"emission": 1.5, "posterior": 1.5, "exact KL": 1.5, "weighted top-10": 2.0}
PLAIN = "nll"

INTRO = f"""\
How many times as long as with `crf_nll` alone, on a CPU in float32: medians of calls that take
turns in one process, compilation outside; also in processor time, which other work on the machine
changes less. The teacher comes as its emissions and transitions, as it is cached; its marginals and
its {K} best paths are computed in the step. Temperature {TEMPERATURE:g}, but for paths.

A step is the forward pass, the gradient by all parameters, and Adam. The student is a word table,
a character CNN and a BiLSTM of width 64 a direction, with 17 tags; dropout is on. A batch has 32
sentences of 15 to 20 words. The objective is that of the papers between the ends of their
annealing, labels and teacher mixed, so that nothing of `crf_nll` is saved. *Constrained*: 17 BIO
tags, whose illegal transitions score -inf in student and teacher.

A loss with its gradient by the four arrays of a chain is what a student of no size would pay: 32
sentences of T/2 to T words."""

PACKAGES = ["jax", "jaxlib", "flax", "optax", "numpy"]


# --- Objectives: student, teacher, gold tags -> one value a sentence ------------------------------


def nll(student: LinearChain, teacher: LinearChain, gold):
    return losses.crf_nll(student, gold)


def emission(student: LinearChain, teacher: LinearChain, gold):
    words = jnp.arange(student.emissions.shape[-2])
    inside = words[None] < teacher.lengths[:, None]
    return losses.emission_kl(student.emissions, teacher.emissions, inside, TEMPERATURE)


def posterior(student: LinearChain, teacher: LinearChain, gold):
    return losses.crf_posterior(student, teacher, TEMPERATURE)


def exact_kl(student: LinearChain, teacher: LinearChain, gold):
    return losses.crf_kl(student, teacher, TEMPERATURE)


def weighted_top_k(student: LinearChain, teacher: LinearChain, gold):
    paths, scores = crf.k_best(teacher, K)
    return losses.crf_top_k(student, paths, jax.nn.softmax(scores))


def mixed(objective: Callable) -> Callable:
    def with_labels(student: LinearChain, teacher: LinearChain, gold):
        taught = objective(student, teacher, gold)
        return SHARE * nll(student, teacher, gold) + (1 - SHARE) * taught

    return with_labels


OBJECTIVES = {
    "emission": emission,
    "posterior": posterior,
    "exact KL": exact_kl,
    f"weighted top-{K}": weighted_top_k,
}
WITH_LABELS = " with nll"
IN_STEPS = {PLAIN: nll} | {name + WITH_LABELS: mixed(f) for name, f in OBJECTIVES.items()}


# --- Data ---------------------------------------------------------------------------------------


class Batch(NamedTuple):
    """Sentences with their labels, and the teacher's view of them."""

    words: jax.Array
    characters: jax.Array
    mask: jax.Array
    gold: jax.Array
    teacher: LinearChain


@dataclasses.dataclass(frozen=True)
class Shape:
    """So many sentences of so many words, over 17 tags."""

    sentences: int
    steps: int
    constrained: bool = False

    @property
    def case(self) -> str:
        kind = " constrained" if self.constrained else ""
        return f"{self.sentences} × {self.steps} words{kind}"


WORDS, CHARACTERS, LONGEST_WORD = 8000, 120, 16
BIO = TagSet.of_types([f"T{i}" for i in range(8)])
PARTS_OF_SPEECH = TagSet([f"T{i}" for i in range(len(BIO))])


def legal_tags(random, lengths: np.ndarray, steps: int) -> np.ndarray:
    """A walk over the tags of `BIO`; padding is -1."""
    allowed, tags = BIO.allowed_transitions(), np.full((len(lengths), steps), -1, np.int32)
    for row, length in zip(tags, lengths, strict=True):
        here = np.flatnonzero(BIO.allowed_starts())
        for t in range(length):
            row[t] = random.choice(here)
            here = np.flatnonzero(allowed[row[t]])
    return tags


def forbidding(scores: dict) -> dict:
    """Transitions, start and end with -inf where the scheme of `BIO` forbids."""
    allowed = {
        "transitions": BIO.allowed_transitions(),
        "start": BIO.allowed_starts(),
        "end": BIO.allowed_ends(),
    }
    return {k: np.where(allowed[k], v, -np.inf).astype(np.float32) for k, v in scores.items()}


def draw_chain(random, shape: Shape, tags: int, lengths) -> LinearChain:
    """A teacher that is fairly sure of itself."""
    sizes = {"transitions": (tags, tags), "start": (tags,), "end": (tags,)}
    scores = {k: random.standard_normal(size).astype(np.float32) for k, size in sizes.items()}
    emissions = 3 * random.standard_normal((shape.sentences, shape.steps, tags))
    scores = forbidding(scores) if shape.constrained else scores
    return LinearChain(emissions.astype(np.float32), **scores, lengths=lengths)


def draw_batch(shape: Shape) -> Batch:
    """Sentences of three quarters of the longest, or more: batches are made of alike lengths."""
    random = np.random.default_rng(0)
    size = shape.sentences, shape.steps
    lengths = random.integers(3 * shape.steps // 4, shape.steps + 1, shape.sentences)
    lengths = lengths.astype(np.int32)
    mask = np.arange(shape.steps) < lengths[:, None]
    words = random.integers(1, WORDS, size, np.int32)
    letters = np.arange(LONGEST_WORD) < random.integers(1, LONGEST_WORD + 1, size)[..., None]
    characters = random.integers(1, CHARACTERS, (*size, LONGEST_WORD), np.int32) * letters
    return Batch(
        *map(jnp.asarray, (words, characters, mask, legal_tags(random, lengths, shape.steps))),
        jax.tree.map(jnp.asarray, draw_chain(random, shape, len(BIO), lengths)),
    )


# --- A step -------------------------------------------------------------------------------------


def new_student(constrained: bool) -> models.Tagger:
    """The size of the benchmark of structured distillation."""
    recurrent = models.RecurrentConfig(
        words=WORDS,
        word_width=64,
        characters=CHARACTERS,
        character_width=24,
        filters=32,
        width=64,
        dropout=0.2,
    )
    tags = BIO if constrained else PARTS_OF_SPEECH
    return models.Tagger(
        models.TaggerConfig(tags=tags, recurrent=recurrent, constrained=constrained, dropout=0.2)
    )


def apply(student: models.Tagger, params, batch: Batch, key) -> LinearChain:
    return student.apply(
        {"params": params},
        batch.mask,
        words=batch.words,
        characters=batch.characters,
        deterministic=False,
        rngs={"dropout": key},
    )


def step_call(student: models.Tagger, objective: Callable, batch: Batch) -> Callable:
    """A training step that keeps its own state, as a trainer does."""
    optimizer = optax.adam(3e-3)

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params, state, batch, key):
        def loss(params):
            chain = apply(student, params, batch, key)
            return objective(chain, batch.teacher, batch.gold).sum() / batch.mask.sum()

        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradients, state)
        return optax.apply_updates(params, updates), state, value

    key = jax.random.key(0)
    params = student.init(key, batch.mask, words=batch.words, characters=batch.characters)
    held = {"params": params["params"], "state": optimizer.init(params["params"])}

    def call():
        held["params"], held["state"], value = step(held["params"], held["state"], batch, key)
        return value, held["params"]

    return call


def loss_call(objective: Callable, student: LinearChain, teacher: LinearChain, gold) -> Callable:
    scores = student.emissions, student.transitions, student.start, student.end

    @jax.jit
    def run(scores, teacher, gold):
        def loss(scores):
            return objective(LinearChain(*scores, teacher.lengths), teacher, gold).sum()

        return jax.value_and_grad(loss)(scores)

    return functools.partial(run, *jax.tree.map(jnp.asarray, (scores, teacher, gold)))


# --- Rows ---------------------------------------------------------------------------------------


def compare(case: str, metric: str, calls: dict[str, Callable], limited: bool) -> list[Row]:
    """All objectives in turns: one row each but the plain one."""
    candidates: dict[str, Candidate] = {}
    processor = {name: [] for name in calls}
    for name, call in calls.items():
        candidate, (value, *_) = warm_up(call, compiles=True)
        if not np.isfinite(value):
            raise SystemExit(f"{name}, {case}: the loss is {value}")
        candidates[name] = Candidate(counting(call, processor[name]), candidate.warm)
    found = medians(candidates, seconds=6.0, most=100)
    worked = {name: statistics.median(seconds) for name, seconds in processor.items()}
    rows = []
    for name, seconds in found.items():
        if name == PLAIN:
            continue
        limit = LIMITS[name.removesuffix(WITH_LABELS)] if limited else None
        peer = f"limit of {figure(limit)}" if limited else "no limit"
        ratio, of_processor = seconds / found[PLAIN], worked[name] / worked[PLAIN]
        note = (
            f"{figure(1e3 * seconds)} ms against {figure(1e3 * found[PLAIN])} ms; "
            f"{figure(of_processor)} of processor time"
        )
        target = 1.0 if limited else None
        rows.append(Row(f"{name}, {case}", metric, ratio, limit, peer, target, note))
    return rows


def counting(call: Callable, seconds: list[float]) -> Callable:
    """The call, which notes the processor time of each: it is the same on a busy machine."""

    def counted():
        begin = time.process_time()
        result = jax.block_until_ready(call())
        seconds.append(time.process_time() - begin)
        return result

    return counted


STEPS = (Shape(32, 20), Shape(32, 20, constrained=True))


def step_rows() -> list[Row]:
    rows = []
    for shape in STEPS:
        student, batch = new_student(shape.constrained), draw_batch(shape)
        calls = {name: step_call(student, objective, batch) for name, objective in IN_STEPS.items()}
        rows += compare(shape.case, STEP, calls, limited=True)
    return rows


def loss_rows() -> list[Row]:
    rows = []
    for steps, tags, constrained in ((32, 9, False), (64, 17, False), (128, 17, False)) + (
        (64, 17, True),
    ):
        random = np.random.default_rng(0)
        shape = Shape(32, steps, constrained)
        lengths = random.integers(steps // 2, steps + 1, 32).astype(np.int32)
        student, teacher = (draw_chain(random, shape, tags, lengths) for _ in range(2))
        gold = legal_tags(random, lengths, steps) % tags
        calls = {
            name: loss_call(objective, student, teacher, gold)
            for name, objective in ({PLAIN: nll} | OBJECTIVES).items()
        }
        kind = " constrained" if constrained else ""
        rows += compare(f"T{steps} N{tags}{kind}", LOSS, calls, limited=False)
    return rows


PARTS = {"steps": step_rows, "losses": loss_rows}


def measure(only: tuple[str, ...] = tuple(PARTS), merge: bool = False) -> Report:
    """Measures, prints, and writes what `only` names, if that is all or `merge` is asked for."""
    jax.config.update("jax_platforms", "cpu")
    report = Report("structured_speed", "Objectives of structured distillation", INTRO, PACKAGES)
    if merge:
        report.check_mergeable()
    for part in only:
        report.add(*PARTS[part]())
    for metric in dict.fromkeys(row.metric for row in report.rows):
        report.show(metric)
    print(report.verdict())
    if merge or set(only) == set(PARTS):
        report.write(merge=merge)
    return report


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--only",
        type=lambda text: tuple(text.split(",")),
        default=tuple(PARTS),
        help=f"some of {','.join(PARTS)}",
    )
    parser.add_argument("--merge", action="store_true", help="put a part among the stored rows")
    chosen = parser.parse_args()
    if unknown := set(chosen.only) - set(PARTS):
        parser.error(f"--only: {', '.join(sorted(unknown))}: not among {', '.join(PARTS)}")
    measure(chosen.only, chosen.merge)


if __name__ == "__main__":
    main()
