"""Measures `mmkd_jax.data`: pairs made ready for training, beside a plain pipeline.

    python benchmarks/data.py              # about 3 minutes
    python benchmarks/data.py --quick      # a tenth of the texts; prints, writes nothing

A whole run writes `results/data.json` and its section of `RESULTS.md`. The plain pipeline is
`data_plain.py`. Texts and vocabularies are read from the folder that MMKD_SHARED_DATA names;
without them the program makes up its own, and says so in every row.
"""

import argparse
import functools
import gc
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import data_plain
import data_texts
import jax
import numpy as np
from side_by_side import Report, Row, installed

from mmkd_jax import data

BATCH, LENGTH = 256, 128
SHARDS = 16
AHEAD = 8  # batches that wait, `Batches`' default

BARE = "plain, tokenizers"
USUAL = "plain, transformers"

PREPARED = "prepared pairs [µs a pair]"
RAW = "raw text, tokenising included [µs a pair]"
PADDING = "token slots that hold padding [%]"
SHAPES = "shapes of a run"
READING = "records in random order [µs a record]"
LINES = "readers [µs a line or record]"
PREPARING = "tokenising into shards [µs a pair]"

INTRO = f"""\
MMKD's views of pairs: the teacher's English, the translation alone, the pair with masked tokens,
the pair with masked English words; {BATCH} pairs a batch, at most {LENGTH} subwords a row. Texts
are all training pairs of Tatoeba (7 languages) and of Python's documentation (6), mixed in
proportion, under the vocabularies of bert-base-cased (teacher) and multilingual BERT (student). The
plain pipeline tokenises each sentence when it comes up, masks in Python loops and pads every row to
{LENGTH}; *{BARE}* calls a bare `tokenizers.Tokenizer`, *{USUAL}* the fast tokenizer of
`transformers`, as most users would. All sides run in one process, in turns; figures are medians.
Ours is `Batches` as it comes (2 threads make batches ahead) unless a row says otherwise;
`tokenizers` uses all cores by itself for the many texts that it gets from us at once. A ratio is
the peer's figure divided by ours. Shares of slots are those of one epoch's plan.

How sure this is: the machine had other work on its two cores, and three whole runs differ. Beside
the table below, which is the last of them, the other two had these ratios: prepared pairs, 2
threads, 9.9 and 17.4 against *{BARE}*, 14.3 and 25.7 against *{USUAL}*; raw text 2.2 and 1.4, 3.0
(2.98) and 2.2. So the targets are met against *{USUAL}* in some runs and not in others, and against
*{BARE}* they are not met, but for prepared pairs in the busiest run. Shares of slots and the number
of shapes are the same in each run.

Where we fall short: finding 256 records one by one is a third of the work of a batch. The threads
of `Batches` do not add up: one was faster than two in two of three runs, probably because the many
short numpy calls of small batches take Python's lock from one another. Of raw text more than half
the time is the tokenizers', which the plain pipeline needs as well; we save what is around them,
and use the second core where it is free. A second process that prepares shards gains 0 to 26 %;
`tokenizers` uses both cores already."""

PACKAGES = ["numpy", "tokenizers", "transformers", "array_record", "grain", "jax"]


class Setup(NamedTuple):
    """Texts, tokenised and not.

    Attributes:
      corpus: the texts.
      teacher: its tokenizer.
      student: its tokenizer.
      folder: of the prepared pairs.
      prepared: the same, opened.
      plan: of their batches.
      mixed: pairs in random order, in the proportion of their sources.
    """

    corpus: data_texts.Corpus
    teacher: data.SubwordTokenizer
    student: data.SubwordTokenizer
    folder: Path
    prepared: data.Prepared
    plan: data.Plan
    mixed: list[tuple[str, str]]


def set_up(folder: Path, most: int | None) -> Setup:
    corpus = data_texts.corpus(most)
    teacher, student = map(data.SubwordTokenizer, (corpus.teacher, corpus.student))
    data.prepare_pairs(folder, corpus.sources, teacher, student, LENGTH, SHARDS)
    prepared = data.load_pairs(folder, teacher, student)
    every = [pair for source in corpus.sources for pair in source.pairs]
    order = np.random.default_rng(0).permutation(len(every)).tolist()
    plan = plan_of(prepared)
    return Setup(corpus, teacher, student, folder, prepared, plan, [every[i] for i in order])


def plan_of(prepared: data.Prepared) -> data.Plan:
    sampling = data.Sampling(prepared.languages)
    return data.plan_pairs(prepared.lengths[:, :3], sampling, BATCH, LENGTH)


# --- Timing -------------------------------------------------------------------------------------


def in_turns(calls: dict[str, Callable[[], int]], rounds: int) -> dict[str, float]:
    """Median microseconds for each thing that a call says it has made."""
    samples: dict[str, list[float]] = {name: [] for name in calls}
    for name in calls:
        calls[name]()  # not timed: fills caches and starts threads
    gc.collect()
    gc.freeze()  # texts are many objects, which no collection below should look at
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            made = call()
            samples[name].append(1e6 * (time.perf_counter() - begin) / made)
    gc.unfreeze()
    return {name: statistics.median(found) for name, found in samples.items()}


def rate(microseconds: float, what: str) -> str:
    return f"{1e6 / microseconds:,.0f} {what}/s"


# --- The plain pipeline -------------------------------------------------------------------------


def plain_calls(setup: Setup, batches: int) -> dict[str, Callable[[], int] | None]:
    """The peers that are installed, each going on through the mixed pairs; else None."""
    specials = {
        name: tokenizer.specials._asdict()
        for name, tokenizer in (("teacher", setup.teacher), ("student", setup.student))
    }
    kinds = {BARE: data_plain.with_tokenizers}
    if installed("transformers"):
        kinds[USUAL] = lambda bare: data_plain.with_transformers(of_transformers(bare))
    calls: dict[str, Callable[[], int] | None] = {BARE: None, USUAL: None}
    for name, kind in kinds.items():
        plain = data_plain.PlainPairs(
            kind(setup.corpus.teacher),
            kind(setup.corpus.student),
            specials,
            setup.student.vocabulary_size,
            LENGTH,
        )
        calls[name] = functools.partial(make_plain, plain, endless(setup.mixed), batches)
    return calls


def of_transformers(bare):
    from transformers import PreTrainedTokenizerFast

    names = {f"{name}_token": f"[{name.upper()}]" for name in ("cls", "sep", "pad", "mask", "unk")}
    return PreTrainedTokenizerFast(tokenizer_object=bare, **names)


def endless(pairs: list) -> Iterator[list]:
    while True:
        for begin in range(0, len(pairs) - BATCH + 1, BATCH):
            yield pairs[begin : begin + BATCH]


def make_plain(plain: data_plain.PlainPairs, chunks: Iterator[list], batches: int) -> int:
    for _ in range(batches):
        plain.batch(next(chunks))
    return batches * BATCH


def peer_rows(case: str, metric: str, found: dict[str, float], ours: str, target: float | None):
    note = rate(found[ours], "pairs")
    for peer in (BARE, USUAL):
        theirs = found.get(peer)
        said = f"{note} against {rate(theirs, 'pairs')}" if theirs else "not installed"
        yield Row(case, metric, found[ours], theirs, peer, target, said)


# --- Prepared pairs -----------------------------------------------------------------------------


def prepared_rows(setup: Setup, rounds: int) -> list[Row]:
    """Batches from shards, with and without threads."""
    source = data.PairBatches(setup.prepared, setup.plan, setup.teacher, setup.student, LENGTH)
    streams = {threads: data.Batches(source, threads, AHEAD) for threads in (2, 1, 0)}
    ours = {
        f"{threads} threads": functools.partial(make_ours, stream, 200, AHEAD if threads else 0)
        for threads, stream in streams.items()
    }
    plain = {name: call for name, call in plain_calls(setup, 8).items() if call}
    found = in_turns(ours | plain, rounds)
    for stream in streams.values():
        stream.close()
    name = setup.corpus.name
    rows = [*peer_rows(f"{name}, 2 threads (default)", PREPARED, found, "2 threads", 15.0)]
    for threads in (1, 0):
        case = f"{name}, {threads} threads" if threads != 1 else f"{name}, 1 thread"
        rows += peer_rows(case, PREPARED, found, f"{threads} threads", 15.0)
    return rows


def make_ours(batches: data.Batches, count: int, ahead: int) -> int:
    """As many as may have been made ahead, while others had their turn, do not count."""
    for _ in range(count):
        next(batches)
    return (count - ahead) * BATCH


# --- Raw text -----------------------------------------------------------------------------------


def raw_rows(setup: Setup, rounds: int, most: int) -> list[Row]:
    """From texts to batches: tokenising, planning, and an epoch of batches."""
    texts = setup.mixed[:most]
    ours = functools.partial(make_from_text, setup, texts)
    plain = {name: call for name, call in plain_calls(setup, 16).items() if call}
    alone = functools.partial(tokenise, setup, texts)
    found = in_turns({"ours": ours, "tokenising": lambda: len(alone())} | plain, rounds)
    name = setup.corpus.name
    rows = [*peer_rows(f"{name}, batches", RAW, found, "ours", 3.0)]
    return [*rows, *peer_rows(f"{name}, tokenising alone", RAW, found, "tokenising", None)]


def tokenise(setup: Setup, texts: list[tuple[str, str]]) -> data.Prepared:
    source = data.Source("mixed", "xx", texts)
    return data.tokenize_pairs([source], setup.teacher, setup.student, LENGTH)


def make_from_text(setup: Setup, texts: list[tuple[str, str]]) -> int:
    prepared = tokenise(setup, texts)
    plan = plan_of(prepared)
    source = data.PairBatches(prepared, plan, setup.teacher, setup.student, LENGTH)
    batches = data.Batches(source)
    made = make_ours(batches, plan.steps(0), 0)
    batches.close()
    return made


# --- Padding ------------------------------------------------------------------------------------


def padding_rows(setup: Setup) -> list[Row]:
    """Of the pair view, and of all views, where the pair's slots count twice."""
    used, slots, plain = slot_counts(setup)
    rows = []
    views = {"pair view": ([2], 15.0), "all views": ([0, 1, 2, 2], 25.0)}
    for view, (columns, limit) in views.items():
        case = f"{setup.corpus.name}, {view}"
        shares = [
            100 * (1 - float(used[columns].sum() / every[columns].sum()))
            for every in (slots, plain)
        ]
        note = f"{100 - shares[0]:.1f} % hold tokens"
        rows.append(Row(case, PADDING, shares[0], limit, f"limit of {limit:.0f} %", 1.0, note))
        note = f"{100 - shares[1]:.1f} % hold tokens"
        rows.append(Row(case, PADDING, shares[0], shares[1], "plain", note=note))
    shapes = len(setup.plan.shapes)
    rows.append(Row(setup.corpus.name, SHAPES, shapes, 6, "limit of 6", 1.0))
    return rows


def slot_counts(setup: Setup) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``[3]`` each: tokens, our slots, and slots in rows that are padded to the end."""
    plan = setup.plan
    steps = [plan.step(number) for number in range(plan.steps(0))]
    drawn = np.concatenate([step.example for step in steps])
    lengths = data.row_lengths(setup.prepared.lengths[drawn, :3], LENGTH)
    shapes = plan.shapes[[step.shape for step in steps]]
    return lengths.sum(axis=0), shapes.sum(axis=0) * BATCH, np.full(3, len(drawn) * LENGTH)


# --- Reading ------------------------------------------------------------------------------------


def record_rows(setup: Setup, rounds: int) -> list[Row]:
    """Records of our shards, beside array_record's own way to read a list of them."""
    from array_record.python.array_record_data_source import ArrayRecordDataSource

    theirs = ArrayRecordDataSource([str(p) for p in sorted(setup.folder.glob("*.array_record"))])
    draw = np.random.default_rng(0)

    def read(from_where: Callable) -> int:
        for _ in range(20):
            from_where(draw.integers(0, len(setup.prepared), BATCH))
        return 20 * BATCH

    peer = "ArrayRecordDataSource"
    calls = {
        "ours": functools.partial(read, setup.prepared.read),
        peer: functools.partial(read, lambda chosen: theirs.__getitems__(chosen.tolist())),
    }
    found = in_turns(calls, rounds)
    case = f"{setup.corpus.name}, {SHARDS} shards, {BATCH} at once"
    note = rate(found["ours"], "records")
    return [Row(case, READING, found["ours"], found[peer], peer, note=note)]


def reader_rows(rounds: int) -> list[Row]:
    calls = {case: functools.partial(count_of, call) for case, call in readers().items()}
    if not data_texts.FOLDER.exists():
        return [Row("all", LINES, None, None, "none", note="needs MMKD_SHARED_DATA")]
    found = in_turns(calls, rounds)
    return [
        Row(case, LINES, value, None, "none", note=rate(value, "records"))
        for case, value in found.items()
    ]


def readers() -> dict[str, Callable[[], Iterator]]:
    """One of each kind; what is left out is counted, not logged."""
    folder, report = data_texts.FOLDER, data.Report()
    kept = {"report": report}
    uner, ud = folder / "uner", folder / "ud_pos"
    return {
        "read_tsv, .gz": lambda: data.read_tsv(folder / "tatoeba_pairs/train.en-zh.tsv.gz", **kept),
        "read_tsv, columns by name": lambda: data.read_tsv(
            folder / data_texts.PYDOCS, "en", "fr", **kept
        ),
        "read_ntrex": lambda: data.read_ntrex(folder / "ntrex", "deu", **kept),
        "read_uner, sentences": lambda: data.read_uner(
            first(uner, "*-train.iob2"), repair=True, **kept
        ),
        "read_conllu, sentences": lambda: data.read_conllu(first(ud, "*-dev.conllu"), **kept),
        "read_squad, questions": lambda: data.read_squad(first(folder / "xquad", "*.json"), **kept),
    }


def first(folder: Path, pattern: str) -> Path:
    return min(folder.rglob(pattern))


def count_of(call: Callable[[], Iterator]) -> int:
    return sum(1 for _ in call())


# --- Preparation --------------------------------------------------------------------------------


def preparing_rows(setup: Setup, rounds: int, most: int) -> list[Row]:
    """Shards written by one process and by two, which have begun before the clock does."""
    texts = setup.mixed[:most]
    context = multiprocessing.get_context("spawn")
    with context.Pool(2, begin_worker, (setup.corpus.teacher, setup.corpus.student, texts)) as pool:
        calls = {
            processes: functools.partial(prepare_with, pool, processes, len(texts))
            for processes in (1, 2)
        }
        found = in_turns(calls, rounds)
    name = setup.corpus.name
    return [
        Row(
            f"{name}, 1 process",
            PREPARING,
            found[1],
            None,
            "1 process",
            note=rate(found[1], "pairs"),
        ),
        Row(
            f"{name}, 2 processes",
            PREPARING,
            found[2],
            found[1],
            "1 process",
            note=rate(found[2], "pairs"),
        ),
    ]


_worker: dict = {}


def begin_worker(teacher, student, texts) -> None:
    tokenizers = [data.SubwordTokenizer(each) for each in (teacher, student)]
    _worker.update(tokenizers=tokenizers, sources=[data.Source("mixed", "xx", texts)])


def prepare_with(pool, processes: int, count: int) -> int:
    """As many shards as processes, one each."""
    with tempfile.TemporaryDirectory() as folder:
        tasks = [(folder, shard, processes) for shard in range(processes)]
        pool.starmap(write_shard, tasks, chunksize=1)
    return count


def write_shard(folder: str, shard: int, shards: int) -> None:
    data.prepare_pairs(
        folder, _worker["sources"], *_worker["tokenizers"], LENGTH, shards=shards, shard=shard
    )


# --- Program ------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer texts; writes nothing")
    return parser.parse_args()


def main():
    quick = arguments().quick
    jax.config.update("jax_platforms", "cpu")
    # The peers' progress on one machine should not depend on a warning about forks.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    rounds, few = (2, 10_000) if quick else (7, 40_000)
    report = Report("data", "Data on a CPU", INTRO, PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        setup = set_up(Path(folder), 30_000 if quick else None)
        report.add(*prepared_rows(setup, rounds))
        report.add(*raw_rows(setup, rounds, few))
        report.add(*padding_rows(setup))
        report.add(*record_rows(setup, rounds))
        report.add(*reader_rows(rounds))
        report.add(*preparing_rows(setup, 2 if quick else 5, few))
    for metric in dict.fromkeys(row.metric for row in report.rows):
        report.show(metric)
    print(report.verdict())
    if not quick:
        report.write()


if __name__ == "__main__":
    main()
