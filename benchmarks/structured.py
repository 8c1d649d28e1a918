"""Measures what structured distillation is worth, on real taggers, over several seeds.

    python benchmarks/structured.py --task=pos --setting=paper           # about 45 minutes, 2 cores
    python benchmarks/structured.py --task=pos --setting=low_resource
    python benchmarks/structured.py --task=ner --setting=paper
    python benchmarks/structured.py --task=pos --setting=paper --report  # writes what there is
    python benchmarks/structured.py --speed                              # time of a step

Trials are files below `--workdir`: the same command goes on where it was stopped. Corpora are read
from the folder that MMKD_SHARED_DATA names.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Method(NamedTuple):
    """A row of the table.

    Attributes:
      objective: what the student learns from teachers; empty for none.
      kind: of the student and its teachers, crf or softmax.
      folds: above 1, teachers are cross-fitted: none is asked about what it learned from.
      seeds: how many, at most.
    """

    objective: str
    kind: str = "crf"
    folds: int = 1
    seeds: int = 3


PAPER = {
    "CRF baseline": Method("", seeds=8),
    "posterior": Method("posterior", seeds=8),
    "exact KL": Method("kl", seeds=8),
    "exact KL, cross-fitted teachers": Method("kl", folds=3),
    "emission": Method("emission"),
    "top-10": Method("top_k"),
    "weighted top-10": Method("weighted_top_k"),
    "posterior + weighted top-10": Method("0.5*posterior + 0.5*weighted_top_k"),
    "softmax": Method("", kind="softmax"),
    "token": Method("token", kind="softmax"),
}
LOW = {
    "CRF baseline": Method("", seeds=8),
    "hard pseudo-labels": Method("hard", seeds=8),
    "posterior": Method("posterior", seeds=8),
    "exact KL": Method("kl", seeds=8),
}


class Setting(NamedTuple):
    """What is compared.

    Attributes:
      title: of the table.
      rows: the methods.
      labelled: the share of sentences whose gold tags the student sees; the others are raw text.
      teachers_see: the share whose gold tags the teachers see.
      joint: one teacher for all languages, instead of one for each.
      about: a sentence for the report.
    """

    title: str
    rows: dict[str, Method]
    labelled: float = 1.0
    teachers_see: float = 1.0
    joint: bool = False
    about: str = ""


SETTINGS = {
    "paper": Setting(
        "as in the paper",
        PAPER,
        about="All labels. Five seeds of the main rows were planned; more were added once these "
        "gave exact KL +0.31 ± 0.17 on parts of speech, which the reader should know.",
    ),
    "low_resource": Setting(
        "low-resource",
        LOW,
        labelled=0.25,
        about="The student has a quarter of the labels, its teachers had all; the rest is raw text "
        "for the student.",
    ),
    "few_labels": Setting(
        "few labels",
        LOW,
        labelled=0.25,
        teachers_see=0.25,
        about="Student and teachers have the same quarter of the labels; the rest is raw text for "
        "the student.",
    ),
    "joint": Setting(
        "as in the paper, with one multilingual teacher",
        PAPER,
        joint=True,
        about="All labels; one large teacher learned all languages.",
    ),
}
TEACHER_SETS = 2  # seeds 0, 2, 4 learn from the one, seeds 1 and 3 from the other


# --- Trials -------------------------------------------------------------------------------------


class Experiment:
    """The trials of one task in one setting."""

    teacher_sets = TEACHER_SETS

    def __init__(self, task: str, setting: str, workdir: pathlib.Path):
        import structured_trials as trials

        self.trials, self.task = trials, task
        self.setting, self.name = SETTINGS[setting], setting
        self.workdir = workdir / task
        folder = pathlib.Path(os.environ.get("MMKD_SHARED_DATA", ROOT.parent / "shared" / "data"))
        self.score = self.score_of(task)
        self.corpus = {"pos": trials.read_pos, "ner": trials.read_ner}[task](folder)

    @staticmethod
    def score_of(task: str) -> Callable:
        """From predicted and gold tags to accuracy, or the F1 of spans."""
        from mmkd_jax import evaluation

        if task == "pos":
            return evaluation.tag_accuracy
        return lambda predicted, gold: evaluation.span_counts(predicted, gold).f1

    def seen(self, share: float, raw: bool) -> dict:
        """Training sentences: a share with labels, the others without, or left out."""
        found = {}
        for language, sentences in self.corpus.train.items():
            known = [self.trials.is_labelled(s, share) for s in sentences]
            marked = zip(sentences, known, strict=True)
            found[language] = [s if k else s._replace(tags=()) for s, k in marked if k or raw]
        return found

    def teachers(self, kind: str, folds: int, seed: int):
        """What the teachers say about the training sentences; they are trained if they must be."""
        path = self.lessons_path(kind, folds, seed)
        with self.trials.held(path, wait=True):
            if not self.trials.scores_beside(path).exists():
                self._teach(path, kind, folds, seed % TEACHER_SETS)
        return self.trials.load_lessons(path)

    def lessons_path(self, kind: str, folds: int, seed: int) -> pathlib.Path:
        """Where what the teachers say is kept."""
        share = round(100 * self.setting.teachers_see)
        who = f"{kind}-{'joint' if self.setting.joint else 'each'}-{share}-{folds}"
        return self.workdir / f"teachers-{who}-{seed % TEACHER_SETS}.npz"

    def _teach(self, path: pathlib.Path, kind: str, folds: int, seed: int) -> None:
        trials, begin = self.trials, time.monotonic()
        known = self.seen(self.setting.teachers_see, raw=False)
        groups = [list(known)] if self.setting.joint else [[language] for language in known]
        numbers, emissions, taught, scores = {}, {}, [], {"test": {}}
        for languages in groups:
            for fold in range(folds):
                learned = {
                    language: [
                        s for s in known[language] if folds == 1 or trials.fold_of(s, folds) != fold
                    ]
                    for language in languages
                }
                tagger = trials.train(
                    self.corpus,
                    learned,
                    trials.LARGE,
                    100 + 10 * seed + fold,
                    kind,
                    epochs=trials.TEACHER_EPOCHS,
                )
                for language in languages:
                    found, _ = tagger.read(self.corpus.train[language])
                    for index, sentence in enumerate(self.corpus.train[language]):
                        if folds == 1 or trials.fold_of(sentence, folds) == fold:
                            numbers[language, index] = len(taught)
                            emissions[language, index] = found[index]
                    if fold == 0:
                        test = {language: self.corpus.test[language]}
                        scores["test"] |= trials.scores_of(tagger, test, self.score)
                taught.append(tagger.scores())
        order = [
            (language, i) for language in known for i in range(len(self.corpus.train[language]))
        ]
        lessons = trials.Lessons(
            taught,
            trials.np.array([numbers[key] for key in order]),
            [emissions[key] for key in order],
        )
        trials.save_lessons(path, lessons, scores | trials.measured(begin))

    def path(self, row: str, seed: int) -> pathlib.Path:
        return self.workdir / self.name / f"{row.replace(' ', '_')}-{seed}.json"

    def run(self, row: str, seed: int) -> None:
        """Trains a student and writes down its scores, unless somebody has or does."""
        path = self.path(row, seed)
        with self.trials.held(path, wait=False) as mine:
            if not mine or path.exists():
                return
            begin = time.monotonic()
            scores = self._student(self.setting.rows[row], seed)
            text = json.dumps(scores | self.trials.measured(begin))
            self.trials.write(path, lambda partial: partial.write_text(text))
        print(f"{self.task}, {self.name}, {row}, seed {seed}: {text}", flush=True)

    def _student(self, method: Method, seed: int) -> dict:
        from mmkd_jax import methods

        trials, share = self.trials, self.setting.labelled
        if method.objective:
            sentences, epochs = self.seen(share, raw=True), trials.EPOCHS
            lessons = self.teachers(method.kind, method.folds, seed)
            settings = methods.StructuredSettings(objective=method.objective, paths=10, per="token")
        else:
            # As many steps as the others.
            sentences, epochs = self.seen(share, raw=False), trials.EPOCHS / share
            lessons, settings = None, methods.StructuredSettings(per="token")
        tagger = trials.train(
            self.corpus,
            sentences,
            trials.SMALL,
            seed,
            method.kind,
            settings,
            lessons,
            epochs,
            words=self.corpus.train if share == 1 else sentences,
        )
        return {
            "test": trials.scores_of(tagger, self.corpus.test, self.score),
            "zero_shot": trials.scores_of(tagger, self.corpus.zero_shot, self.score),
        }

    def jobs(self) -> list[tuple[str, int]]:
        """The first seeds of all rows come first."""
        rows = self.setting.rows
        most = max(method.seeds for method in rows.values())
        return [(row, s) for s in range(most) for row, method in rows.items() if s < method.seeds]


def work(chosen: argparse.Namespace) -> None:
    """Makes the trials that nobody has made, on one core."""
    import jax

    jax.config.update("jax_platforms", "cpu")
    cache = chosen.workdir / "compiled"
    jax.config.update("jax_compilation_cache_dir", str(cache))
    experiment = Experiment(chosen.task, chosen.setting, chosen.workdir)
    for row, seed in experiment.jobs():
        if chosen.seeds is None or seed < chosen.seeds:
            experiment.run(row, seed)


def start_workers(chosen: argparse.Namespace) -> None:
    """One process a core: small taggers gain nothing from a second one."""
    cores = sorted(os.sched_getaffinity(0))[: chosen.workers]
    flags = [f"--task={chosen.task}", f"--setting={chosen.setting}", f"--workdir={chosen.workdir}"]
    flags += [] if chosen.seeds is None else [f"--seeds={chosen.seeds}"]
    workers = [
        subprocess.Popen(
            ["taskset", "-c", str(core), sys.executable, __file__, *flags, f"--worker={number}"]
        )
        for number, core in enumerate(cores)
    ]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        raise SystemExit("a worker failed, see above; what is finished is kept")


# --- Program ------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", choices=("pos", "ner"), default="pos")
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="paper")
    parser.add_argument("--seeds", type=int, help="fewer than each row's own")
    parser.add_argument("--workdir", type=pathlib.Path, default=ROOT / "runs" / "structured")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--report", action="store_true", help="trains nothing")
    parser.add_argument("--speed", action="store_true", help="time of a step instead")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.workdir = chosen.workdir.absolute()
    if chosen.speed:
        import structured_speed

        structured_speed.measure()
    elif chosen.worker is not None:
        work(chosen)
    else:
        if not chosen.report:
            start_workers(chosen)
        import structured_tables

        experiment = Experiment(chosen.task, chosen.setting, chosen.workdir)
        structured_tables.write_report(experiment)


if __name__ == "__main__":
    main()
