"""Measures what each objective of structured distillation adds to a student's training step.

    python benchmarks/structured_speed.py            # about 5 minutes on 2 cores
    python benchmarks/structured_speed.py --merge --only steps

A whole run writes `results/structured_speed.json` and its section of `RESULTS.md`. A part only
prints, unless `--merge` puts its rows among the stored ones.
"""

import argparse
import functools
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from side_by_side import Candidate, Report, Row, figure, medians, warm_up

from mmkd_jax import crf, losses, methods, models, training
from mmkd_jax.crf import LinearChain
from mmkd_jax.data import TaggedBatch
from mmkd_jax.tags import TagSet

STEP = "student step [times that of plain nll]"
LOSS = "loss + gradient [times that of plain nll]"

SENTENCES, LONGEST, TEACHERS = 32, 20, 5
K = 10
TEMPERATURE = 2.0
LAMBDA = 0.5  # the middle of the papers' annealing: gold tags and teachers both count

PLAIN = "nll"
# Of `methods.Structured`: how a row is called, and how often the time of plain nll is allowed.
OBJECTIVES = {
    "emission": ("emission", 1.5),
    "posterior": ("posterior", 1.5),
    "kl": ("exact KL", 1.5),
    "weighted_top_k": (f"weighted top-{K}", 2.0),
}
LIMITS = dict(OBJECTIVES.values())

INTRO = f"""\
How many times as long as with `crf_nll` alone, on a CPU in float32: medians of calls that take
turns in one process, compilation outside; also in processor time, which other work on the machine
changes less. The teacher comes as its emissions and transitions, as it is cached; its marginals and
its {K} best paths are computed in the step. Temperature {TEMPERATURE:g}, but for paths.

A step is the trainer's, with `methods.Structured` and AdamW. The student is a word table, a
character CNN and a BiLSTM of width 64 a direction, with 17 tags; dropout is on. A batch has
{SENTENCES} sentences of {3 * LONGEST // 4} to {LONGEST} words, with gold tags and one of
{TEACHERS} teachers each, at λ = {LAMBDA:g}: so nothing of `crf_nll` is saved. *Constrained*:
17 BIO tags, whose illegal transitions score -inf in student and teacher.

A loss with its gradient by the four arrays of a chain is what a student of no size would pay: 32
sentences of T/2 to T words."""

PACKAGES = ["jax", "jaxlib", "flax", "optax", "numpy"]


# --- Objectives as losses: student, teacher, gold tags -> one value a sentence --------------------


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


LOSSES = {
    PLAIN: nll,
    "emission": emission,
    "posterior": posterior,
    "exact KL": exact_kl,
    f"weighted top-{K}": weighted_top_k,
}


# --- Data ---------------------------------------------------------------------------------------

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


def draw_scores(random, tags: int) -> dict:
    sizes = {"transitions": (tags, tags), "start": (tags,), "end": (tags,)}
    return {k: random.standard_normal(size).astype(np.float32) for k, size in sizes.items()}


def draw_emissions(random, *size: int) -> np.ndarray:
    """Of someone who is fairly sure."""
    return (3 * random.standard_normal(size)).astype(np.float32)


def draw_batch() -> TaggedBatch:
    """Sentences of three quarters of the longest, or more: batches are made of alike lengths."""
    random = np.random.default_rng(0)
    size = SENTENCES, LONGEST
    lengths = random.integers(3 * LONGEST // 4, LONGEST + 1, SENTENCES).astype(np.int32)
    inside = np.arange(LONGEST) < lengths[:, None]
    letters = np.arange(LONGEST_WORD) < random.integers(1, LONGEST_WORD + 1, size)[..., None]
    nothing = np.zeros(SENTENCES, np.int32)
    return TaggedBatch(
        *(None,) * 4,
        lengths=lengths,
        tags=legal_tags(random, lengths, LONGEST),
        language=nothing,
        example=np.arange(SENTENCES, dtype=np.int32),
        words=random.integers(1, WORDS, size, np.int32) * inside,
        characters=random.integers(1, CHARACTERS, (*size, LONGEST_WORD), np.int32)
        * (letters & inside[..., None]),
        teachers=random.integers(0, TEACHERS, (SENTENCES, 1), np.int32),
        teacher_emissions=draw_emissions(random, SENTENCES, 1, LONGEST, len(BIO)),
    )


# --- A step of the trainer ----------------------------------------------------------------------


def new_student(constrained: bool) -> models.TaggerConfig:
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
    return models.TaggerConfig(tags=tags, recurrent=recurrent, constrained=constrained, dropout=0.2)


def new_method(objective: str, student: models.TaggerConfig) -> methods.Structured:
    annealing = methods.AnnealingSettings(kind="constant", start=LAMBDA)
    settings = methods.StructuredSettings(
        objective=objective, temperature=TEMPERATURE, paths=K, annealing=annealing
    )
    teachers = () if objective == PLAIN else (methods.Teacher(tags=student.tags),) * TEACHERS
    return methods.Structured(settings, student, teachers)


def step_call(objective: str, constrained: bool) -> Callable:
    """A training step that keeps its own state, as the trainer does."""
    random, batch = np.random.default_rng(1), draw_batch()
    student = new_student(constrained)
    method, frozen = new_method(objective, student), {}
    if method.teachers:
        scores = [draw_scores(random, len(student.tags)) for _ in range(TEACHERS)]
        frozen["teachers"] = method.teacher_table([methods.Scores(**each) for each in scores])
    else:
        batch = batch._replace(teachers=None, teacher_emissions=None)
    mask = np.arange(LONGEST) < batch.lengths[:, None]
    params = models.Tagger(student).init(
        jax.random.key(0), mask, words=batch.words, characters=batch.characters
    )["params"]
    optimizer = training.make_optimizer(
        training.OptimizerSettings(learning_rate=3e-3, schedule="constant", warmup=0.0),
        1000,
        SENTENCES,
        method.is_trained,
    )
    step = jax.jit(training.make_step(method, optimizer, seed=0), donate_argnums=0)
    held = {"state": training.new_state(params, {}, optimizer, False)}
    frozen, batch = jax.tree.map(jnp.asarray, (frozen, batch))

    def call():
        held["state"], metrics = step(held["state"], frozen, batch)
        return metrics["loss"], held["state"]

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
        limit = LIMITS[name] if limited else None
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


def step_rows(constrained: bool) -> list[Row]:
    calls = {PLAIN: step_call(PLAIN, constrained)}
    for objective, (name, _) in OBJECTIVES.items():
        calls[name] = step_call(objective, constrained)
    case = f"{SENTENCES} × {LONGEST} words{' constrained' * constrained}"
    return compare(case, STEP, calls, limited=True)


def loss_rows() -> list[Row]:
    rows = []
    cases = (32, 9, False), (64, 17, False), (128, 17, False), (64, 17, True)
    for steps, tags, constrained in cases:
        random = np.random.default_rng(0)
        lengths = random.integers(steps // 2, steps + 1, SENTENCES).astype(np.int32)

        def chain(tags=tags, steps=steps, constrained=constrained, lengths=lengths, random=random):
            scores = draw_scores(random, tags)
            emissions = draw_emissions(random, SENTENCES, steps, tags)
            scores = forbidding(scores) if constrained else scores
            return LinearChain(emissions, **scores, lengths=lengths)

        student, teacher = chain(), chain()
        gold = legal_tags(random, lengths, steps) % tags
        calls = {
            name: loss_call(objective, student, teacher, gold) for name, objective in LOSSES.items()
        }
        case = f"T{steps} N{tags}{' constrained' * constrained}"
        rows += compare(case, LOSS, calls, limited=False)
    return rows


PARTS = {
    "steps": functools.partial(step_rows, constrained=False),
    "constrained": functools.partial(step_rows, constrained=True),
    "losses": loss_rows,
}


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
