"""Measures what structured distillation is worth, on real taggers, over several seeds.

    python benchmarks/structured.py --task=pos --setting=paper           # about 45 minutes, 2 cores
    python benchmarks/structured.py --task=pos --setting=low_resource
    python benchmarks/structured.py --task=ner --setting=joint           # a multilingual teacher
    python benchmarks/structured.py --task=ner --setting=joint_low_resource
    python benchmarks/structured.py --task=absa --setting=paper          # one language: a check
    python benchmarks/structured.py --task=pos --setting=paper --report  # writes what there is

Where could soft targets be worth more than hard pseudo-labels? A command each:

    python benchmarks/structured.py --task=pos --setting=little_raw      # few sentences to read
    python benchmarks/structured.py --task=pos --setting=few_labels      # teachers know no more
    python benchmarks/structured.py --task=pos --setting=noisy_teachers  # of a tenth of the labels
    python benchmarks/structured.py --task=pos --setting=cross_fitted    # never of their own text

And apart from all this:

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

from structured_settings import SETTINGS, Method, Setting

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Not runs/structured: there launch/local.sh puts the run of configs/structured.py.
TRIALS = ROOT / "runs" / "structured_benchmark"
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
        if not (folder / trials.FOLDERS[task]).is_dir():
            raise SystemExit(
                f"{folder} has no folder {trials.FOLDERS[task]}: MMKD_SHARED_DATA must name one "
                "that has"
            )
        self.score = self.score_of(task)
        self.corpus = trials.READERS[task](folder)

    @staticmethod
    def score_of(task: str) -> Callable:
        """From predicted and gold tags to accuracy, or the F1 of spans."""
        from mmkd_jax import evaluation

        if task == "pos":
            return evaluation.tag_accuracy
        return lambda predicted, gold: evaluation.span_counts(predicted, gold).f1

    def seen(self, labelled: float, read: float) -> dict:
        """Training sentences: a share with labels, others up to a share without."""
        among = self.trials.is_among
        return {
            language: [
                s if among(s, labelled) else s._replace(tags=()) for s in found if among(s, read)
            ]
            for language, found in self.corpus.train.items()
        }

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
        if self.setting.teacher_epochs != Setting._field_defaults["teacher_epochs"]:
            who += f"-{self.setting.teacher_epochs}"
        return self.workdir / f"teachers-{who}-{seed % TEACHER_SETS}.npz"

    def _teach(self, path: pathlib.Path, kind: str, folds: int, seed: int) -> None:
        trials, begin = self.trials, time.monotonic()
        known = self.seen(self.setting.teachers_see, self.setting.teachers_see)
        groups = self.groups
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
                    epochs=self.setting.teacher_epochs,
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

    @property
    def groups(self) -> list[list[str]]:
        """The languages of each teacher."""
        languages = list(self.corpus.train)
        return [languages] if self.setting.joint else [[language] for language in languages]

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

        trials, setting = self.trials, self.setting
        share = setting.labelled
        if method.objective:
            sentences, epochs = self.seen(share, setting.read), setting.epochs
            lessons = self.teachers(method.kind, method.folds, seed)
            every = (s for found in self.corpus.train.values() for s in found)
            lessons = lessons.of([trials.is_among(s, setting.read) for s in every])
            settings = methods.StructuredSettings(
                objective=method.objective,
                temperature=method.temperature,
                confidence=method.confidence,
                paths=10,
                per="token",
            )
        else:
            # As many steps as the others.
            sentences, epochs = self.seen(share, share), setting.epochs * setting.read / share
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
        is_chosen = chosen.rows is None or row in chosen.rows
        if is_chosen and (chosen.seeds is None or seed < chosen.seeds):
            experiment.run(row, seed)


def start_workers(chosen: argparse.Namespace) -> None:
    """One process a core: small taggers gain nothing from a second one."""
    cores = sorted(os.sched_getaffinity(0))[: chosen.workers]
    flags = [f"--task={chosen.task}", f"--setting={chosen.setting}", f"--workdir={chosen.workdir}"]
    flags += [] if chosen.seeds is None else [f"--seeds={chosen.seeds}"]
    flags += [] if chosen.rows is None else ["--rows", *chosen.rows]
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
    parser.add_argument("--task", choices=("pos", "ner", "absa"), default="pos")
    parser.add_argument("--setting", choices=sorted(SETTINGS), default="paper")
    parser.add_argument("--seeds", type=int, help="fewer than each row's own")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="some of the table's")
    parser.add_argument(
        "--workdir", type=pathlib.Path, default=ROOT / "runs" / "structured_benchmark"
    )
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
        import structured_tables

        experiment = Experiment(chosen.task, chosen.setting, chosen.workdir)
        if not chosen.report:
            start_workers(chosen)
        structured_tables.write_report(experiment)


if __name__ == "__main__":
    main()
