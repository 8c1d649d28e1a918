"""The tables of `structured.py`: what its trials have come to, in RESULTS.md."""

import dataclasses
import json
import math
import statistics

from side_by_side import Report, Row, aligned

LARGE_TESTS = 5000  # words


def runs_of(experiment) -> dict[str, dict[int, dict]]:
    """The scores of finished trials: row, seed."""
    found: dict[str, dict[int, dict]] = {}
    for row, seed in experiment.jobs():
        path = experiment.path(row, seed)
        if path.exists():
            found.setdefault(row, {})[seed] = json.loads(path.read_text())
    return found


def teachers_of(experiment) -> dict[int, dict]:
    """The scores of the teachers that most rows learned from."""
    folds = statistics.mode(row.folds for row in experiment.setting.rows.values() if row.objective)
    paths = {
        seed: experiment.trials.scores_beside(experiment.lessons_path("crf", folds, seed))
        for seed in range(experiment.teacher_sets)
    }
    return {seed: json.loads(path.read_text()) for seed, path in paths.items() if path.exists()}


def macro(run: dict, languages: list[str], part: str = "test") -> float:
    return statistics.mean(run[part][language] for language in languages)


@dataclasses.dataclass(frozen=True)
class Gain:
    """Of one row over another, by pairs of runs that share a seed."""

    mean: float
    error: float | None  # the standard error of the mean; None of one pair
    seeds: int

    def __str__(self) -> str:
        error = "" if self.error is None else f" ± {self.error:.2f}"
        return f"{self.mean:+.2f}{error} (n = {self.seeds})"

    @property
    def is_clear(self) -> bool:
        """Whether it is above two of its errors; two pairs are too few to tell."""
        return self.seeds > 2 and self.mean > 2 * self.error


@dataclasses.dataclass
class TrialRow(Row):
    """A mean over seeds beside another one's.

    Attributes:
        deviation: Of ours, over seeds; None of one seed.
        gain: Over the peer, as `Gain`; None where nothing is gained, or no seed is shared.
    """

    deviation: float | None = None
    gain: Gain | None = None


class Tables(Report):
    """One line a tagger: its mean with its deviation, and what it gains over others."""

    def table(self, metric: str) -> str:
        rows = [row for row in self.rows if row.metric == metric]
        peers = list(dict.fromkeys(row.peer_name for row in rows))
        gains = {(row.case, row.peer_name): row.gain for row in rows}
        means = {
            row.case: f"{row.ours:.2f}"
            + ("" if row.deviation is None else f" ± {row.deviation:.2f}")
            for row in rows
        }
        lines = [["", "mean", *(f"gain over {peer}" for peer in peers)]]
        for case, mean in means.items():
            found = (gains.get((case, peer)) for peer in peers)
            lines.append([case, mean, *("" if gain is None else str(gain) for gain in found)])
        return aligned(lines)


def gain(
    runs: dict[int, dict], base: dict[int, dict], languages: list[str], part: str = "test"
) -> Gain | None:
    """What one row gains over another; None where no seed is shared."""
    both = sorted(set(runs) & set(base))
    gains = [macro(runs[s], languages, part) - macro(base[s], languages, part) for s in both]
    if not gains:
        return None
    error = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else None
    return Gain(statistics.mean(gains), error, len(gains))


def hard_rows(experiment) -> list[str]:
    return [name for name, row in experiment.setting.rows.items() if row.objective == "hard"]


def soft_rows(experiment) -> list[str]:
    return [
        name for name, row in experiment.setting.rows.items() if row.objective not in ("", "hard")
    ]


def verdict(experiment) -> str:
    """Whether teachers know more, the floor is reached, and soft beats hard, in words."""
    found, learned = runs_of(experiment), list(experiment.corpus.test)

    def gains(over: str, names: list[str]) -> dict[str, Gain]:
        some = {n: gain(found[n], found.get(over, {}), learned) for n in names if n in found}
        return {name: each for name, each in some.items() if each}

    said = []
    sides = [
        list(each.values()) for each in (teachers_of(experiment), found.get("CRF baseline", {}))
    ]
    if all(sides):
        theirs, ours = (statistics.mean(macro(run, learned) for run in runs) for runs in sides)
        said.append(
            f"Teachers {'beat' if theirs > ours else 'do not beat'} the baseline student: "
            f"{theirs:.2f} against {ours:.2f}."
        )
    floor = experiment.setting.floor
    main = gains("CRF baseline", [n for n in ("posterior", "exact KL") if n in found])
    if floor is not None and experiment.task == "pos" and main:
        met = [n for n, each in main.items() if each.mean >= floor and each.is_clear]
        said.append(
            f"Asked for: a macro gain over the CRF baseline of at least {floor:+.1f}, and of two "
            f"standard errors, by posterior or exact KL: {'met' if met else 'not met'} "
            f"({_listed(main)})."
        )
    for hard in hard_rows(experiment):
        if above := gains(hard, soft_rows(experiment)):
            clear = {name: each for name, each in above.items() if each.is_clear}
            who = _listed(clear) if clear else f"none ({_listed(above)})"
            said.append(f"Above {hard} by more than two standard errors, macro: {who}.")
    return "\n\n".join(said)


def _listed(gains: dict[str, Gain]) -> str:
    return "; ".join(f"{name} {each}" for name, each in gains.items())


def rows_of(experiment) -> list:
    corpus, found = experiment.corpus, runs_of(experiment)
    learned = list(corpus.test)
    large = [
        language
        for language, sentences in corpus.test.items()
        if sum(len(s.words) for s in sentences) > LARGE_TESTS
    ]
    parts = {f"macro over {' '.join(learned)}": (learned, "test")}
    if large != learned:
        title = f"macro over {' '.join(large)} (test sets above {LARGE_TESTS:,} words)"
        parts[title] = large, "test"
    if corpus.zero_shot:
        unknown = list(corpus.zero_shot)
        parts[f"zero-shot, macro over {' '.join(unknown)}"] = unknown, "zero_shot"
    if len(learned) > 1:
        parts |= {language: ([language], "test") for language in learned}
    all_rows = {"teachers": teachers_of(experiment)} | found
    rows = []
    for title, (languages, part) in parts.items():
        metric = f"{experiment.setting.title}: {title} [%]"
        for name, runs in all_rows.items():
            if not runs or (name == "teachers" and part == "zero_shot"):
                continue
            values = [macro(run, languages, part) for run in runs.values()]
            base = found.get("CRF baseline", {})
            ours = statistics.mean(values)
            theirs = [macro(run, languages, part) for run in base.values()]
            theirs = statistics.mean(theirs) if theirs else None
            deviation = statistics.stdev(values) if len(values) > 1 else None
            gained = gain(runs, base, languages, part) if name != "CRF baseline" else None
            row = TrialRow(
                name, metric, ours, theirs, "CRF baseline", deviation=deviation, gain=gained
            )
            rows.append(row)
            for hard in hard_rows(experiment) if name in soft_rows(experiment) else ():
                if others := found.get(hard):
                    theirs = statistics.mean(macro(x, languages, part) for x in others.values())
                    gained = gain(runs, others, languages, part)
                    more = {"peer": theirs, "peer_name": hard, "gain": gained}
                    rows.append(dataclasses.replace(row, **more))
    return rows


INTRO = """\
{about} {task} Taggers: words, characters and one BiLSTM (Adam 3e-3 falling to 0, dropout 0.2,
batches of {tokens} words, {epochs} epochs, no model selection; the baselines take as many steps as
the others). The student's LSTM is {small} wide in each direction, a teacher's {large}; a student
has {student:,} parameters, its teachers have {teachers:,} together. λ falls from 1 to 0 by step,
temperature 1 unless a row says otherwise, losses per word. *Mean* is that over seeds, with their
standard deviation; *gain* the mean difference between runs with the same seed, with its standard
error; there are two sets of teachers, which take turns, and learn for {teacher_epochs} epochs.
The paper (Wang et al. 2020, with frozen M-BERT) has +0.36 for NER, +0.95 for aspect
terms and +0.23 for POS, posterior over the CRF baseline.

{verdict}"""
TASKS = {
    "pos": "Accuracy on Universal Dependencies, vi wo af te mr, trained on all of their sentences "
    "(cut at 80 words); te and mr have test sets of 721 and 412 words, and so few "
    "sentences that a teacher of one of them stays below a multilingual tagger with all labels.",
    "ner": "Span F1 on Universal NER, da pt sv zh, of each the first 1,500 training sentences in "
    "the order of a hash of their words.",
    "absa": "Span F1 of aspect terms in English restaurant reviews (MAMS), of which the first "
    "1,500 training sentences in the order of a hash of their words: one language, so that student "
    "and teacher differ in size alone.",
}


def parameters(experiment) -> tuple[int, int]:
    """Of a student with teachers, and of these together, as long as none is cross-fitted."""
    trials, setting, corpus = experiment.trials, experiment.setting, experiment.corpus
    student = experiment.seen(setting.labelled, setting.read)
    known = experiment.seen(setting.teachers_see, setting.teachers_see)
    teachers = [{language: known[language] for language in group} for group in experiment.groups]
    return trials.parameters(corpus, student, trials.SMALL), sum(
        trials.parameters(corpus, words, trials.LARGE) for words in teachers
    )


def write_report(experiment) -> None:
    """Prints what there is of an experiment, and writes it down."""
    setting, trials = experiment.setting, experiment.trials
    student, teachers = parameters(experiment)
    intro = INTRO.format(
        about=setting.about,
        task=TASKS[experiment.task],
        tokens=trials.TOKENS,
        epochs=setting.epochs,
        teacher_epochs=setting.teacher_epochs,
        small=trials.SMALL["width"],
        large=trials.LARGE["width"],
        student=student,
        teachers=teachers,
        verdict=verdict(experiment),
    )
    title = f"Structured distillation, {experiment.task.upper()}, {setting.title}"
    report = Tables(
        f"structured_{experiment.task}_{experiment.name}",
        title,
        intro,
        ["jax", "jaxlib", "flax", "optax", "numpy"],
    )
    report.add(*rows_of(experiment))
    for metric in dict.fromkeys(row.metric for row in report.rows):
        report.show(metric)
    report.write()
