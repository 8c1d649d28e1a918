"""The tables of `structured.py`: what its trials have come to, in RESULTS.md."""

import json
import math
import statistics

from side_by_side import Report, Row

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
    """The scores of the teachers that all learned from."""
    paths = {
        seed: experiment.trials.scores_beside(experiment.lessons_path("crf", 1, seed))
        for seed in range(experiment.teacher_sets)
    }
    return {seed: json.loads(path.read_text()) for seed, path in paths.items() if path.exists()}


def macro(run: dict, languages: list[str], part: str = "test") -> float:
    return statistics.mean(run[part][language] for language in languages)


def spread(values: list[float]) -> str:
    return f"± {statistics.stdev(values):.2f}" if len(values) > 1 else "one seed"


def gain(runs: dict[int, dict], base: dict[int, dict], languages: list[str], part: str) -> str:
    """The mean gain over the same seeds, with its standard error."""
    both = sorted(set(runs) & set(base))
    gains = [macro(runs[s], languages, part) - macro(base[s], languages, part) for s in both]
    if not gains:
        return ""
    if len(gains) == 1:
        return f"{gains[0]:+.2f} (n = 1)"
    error = statistics.stdev(gains) / math.sqrt(len(gains))
    return f"{statistics.mean(gains):+.2f} ± {error:.2f} (n = {len(gains)})"


def rows_of(experiment) -> list:
    corpus, found = experiment.corpus, runs_of(experiment)
    learned = list(corpus.test)
    large = [
        language
        for language, sentences in corpus.test.items()
        if sum(len(s.words) for s in sentences) > LARGE_TESTS
    ]
    parts = {
        f"macro over {' '.join(learned)}": (learned, "test"),
        f"macro over {' '.join(large)} (test sets above {LARGE_TESTS:,} words)": (large, "test"),
        f"zero-shot, macro over {' '.join(corpus.zero_shot)}": (
            list(corpus.zero_shot),
            "zero_shot",
        ),
        **{f"{language}": ([language], "test") for language in learned},
    }
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
            theirs = statistics.mean(macro(run, languages, part) for run in base.values())
            note = spread(values)
            if name != "CRF baseline":
                note += f"; gain {gain(runs, base, languages, part)}"
            rows.append(Row(name, metric, ours, theirs, "CRF baseline", note=note))
            hard = found.get("hard pseudo-labels")
            if hard and name in ("posterior", "exact KL"):
                note = f"gain {gain(runs, hard, languages, part)}"
                theirs = statistics.mean(macro(run, languages, part) for run in hard.values())
                rows.append(Row(name, metric, ours, theirs, "hard pseudo-labels", note=note))
    return rows


INTRO = """\
{about} {task} Taggers: words, characters and one BiLSTM (Adam 3e-3 falling to 0, dropout 0.2,
batches of {tokens} words, {epochs} epochs, no model selection; the baselines take as many steps as
the others). The student's LSTM is {small} wide in each direction, a teacher's {large}. λ falls from
1 to 0 by step, temperature 1, losses per word. *Gain* is the mean difference between runs with the
same seed, with its standard error; there are two sets of teachers, which take turns, and learn for
{teacher_epochs} epochs. A ratio is the column's figure divided by the row's. The paper (Wang et al.
2020, with frozen M-BERT) has +0.36 for NER and +0.23 for POS, posterior over the CRF baseline."""
TASKS = {
    "pos": "Accuracy on Universal Dependencies, vi wo af te mr, trained on all of their sentences "
    "(cut at 80 words); te and mr have test sets of 721 and 412 words, and so few "
    "sentences that teachers of these alone stay below the multilingual baseline.",
    "ner": "Span F1 on Universal NER, da pt sv zh, of each the first 1,500 training sentences in "
    "the order of a hash of their words.",
}


def write_report(experiment) -> None:
    """Prints what there is of an experiment, and writes it down."""
    setting, trials = experiment.setting, experiment.trials
    intro = INTRO.format(
        about=setting.about,
        task=TASKS[experiment.task],
        tokens=trials.TOKENS,
        epochs=trials.EPOCHS,
        teacher_epochs=trials.TEACHER_EPOCHS,
        small=trials.SMALL["width"],
        large=trials.LARGE["width"],
    )
    title = f"Structured distillation, {experiment.task.upper()}, {setting.title}"
    report = Report(
        f"structured_{experiment.task}_{experiment.name}",
        title,
        intro,
        ["jax", "jaxlib", "flax", "optax", "numpy"],
    )
    report.add(*rows_of(experiment))
    for metric in dict.fromkeys(row.metric for row in report.rows):
        report.show(metric)
    report.write()
