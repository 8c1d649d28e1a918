"""Models and batches of `mmkd_step.py`: real pairs where they are, else the sample corpus."""

from typing import NamedTuple

import data_texts
import jax
import numpy as np

from mmkd_jax import data, models, training
from mmkd_jax.data import sample
from mmkd_jax.methods import MMKD, MMKDSettings

LENGTH = 128
TEACHER_VOCABULARY, STUDENT_VOCABULARY = 28996, 119547  # of bert-base-cased and multilingual BERT
SMALL = {"width": 384, "layers": 6, "heads": 12, "hidden_width": 1536, "positions": 512}
BASE = {"width": 768, "layers": 12, "heads": 12, "hidden_width": 3072, "positions": 512}
IGNORED = -100  # the label of a token that is not to be predicted


class Ours:
    """Our training step, with the state that it changes.

    Args:
      method: the loss.
      weights: of `new_weights`; those that are trained are given up.
      batch: pairs a batch.
    """

    def __init__(self, method: MMKD, weights: tuple[dict, dict, dict], batch: int):
        params, stats, self.frozen = weights
        self.optimizer = new_optimizer(method, batch)
        self.state = training.new_state(params, stats, self.optimizer, False)
        step = training.make_step(method, self.optimizer, seed=0)
        self.function = jax.jit(step, donate_argnums=0)

    def step(self, batch: data.PairBatch) -> dict[str, jax.Array]:
        self.state, metrics = self.function(self.state, self.frozen, batch)
        return metrics


def new_method(sizes: dict, projection: str = "frozen_random", **computing) -> MMKD:
    # Weights so large that sentences come out unlike each other, as they do from trained models.
    computing = {"vocabulary_multiple": 128, "initial_scale": 0.1} | computing
    teacher, student = (
        models.EncoderConfig(vocabulary_size=size, **sizes, **computing)
        for size in (TEACHER_VOCABULARY, STUDENT_VOCABULARY)
    )
    return MMKD(MMKDSettings(teacher_projection=projection), teacher, student)


def new_weights(method: MMKD) -> tuple[dict, dict, dict]:
    """Random ones: what is trained, its statistics, what is frozen."""
    one, two, three = jax.random.split(jax.random.key(0), 3)
    heads, stats, fixed = method.new_heads(one)
    student = models.initial_params(method.student, two, heads=["masked_lm"])
    teacher = models.initial_params(method.teacher, three)
    return {"encoder": student, "heads": heads}, stats, {"teacher": teacher, "heads": fixed}


def new_optimizer(method: MMKD, batch: int):
    """The paper's, at a constant rate, so that all sides take the same steps."""
    settings = training.OptimizerSettings(schedule="constant", warmup=0.0)
    return training.make_optimizer(settings, 1000, batch, method.is_trained)


def learning_rate(batch: int) -> float:
    settings = training.OptimizerSettings()
    return settings.learning_rate * batch / settings.reference_batch


# --- Batches ------------------------------------------------------------------------------------


class Pairs(NamedTuple):
    """Batches of a run, the first of each shape that an epoch has.

    Attributes:
      name: of the corpus.
      batches: the cheapest shape first.
      shares: of an epoch's batches that have each shape.
    """

    name: str
    batches: list[data.PairBatch]
    shares: np.ndarray


def draw(pairs: int, batch: int) -> Pairs:
    """Prepares so many pairs, mixed in the proportion of their sources, as a run does."""
    if (data_texts.FOLDER / "bert_vocab").exists():
        name, sources, *tokenizers = data_texts.corpus(pairs)
    else:
        name, sources, *tokenizers = of_sample()
    teacher, student = map(data.SubwordTokenizer, tokenizers)
    prepared = data.tokenize_pairs(sources, teacher, student, LENGTH)
    sampling = data.Sampling(prepared.languages)
    plan = data.plan_pairs(prepared.lengths[:, :3], sampling, batch, LENGTH)
    source = data.PairBatches(prepared, plan, teacher, student, LENGTH)
    return first_of_each_shape(name, plan, source)


def first_of_each_shape(name: str, plan: data.Plan, source: data.PairBatches) -> Pairs:
    first: dict[int, int] = {}
    for step in range(plan.steps(0)):
        first.setdefault(plan.step(step).shape, step)
    counts = plan.shape_counts(0)
    here = sorted(first)
    return Pairs(name, [source(first[shape]) for shape in here], counts[here] / counts.sum())


def of_sample() -> tuple:
    others = [language for language in sample.languages() if language != "en"]
    sources = [
        data.Source(f"sample.{language}", language, list(sample.pairs(language, "train")))
        for language in others
    ]
    texts = [text for source in sources for pair in source.pairs for text in pair]
    tokenizer = data.train_vocabulary(texts, 2000)
    return "sample corpus", sources, tokenizer, tokenizer


def padded(batch: data.PairBatch, length: int = LENGTH) -> data.PairBatch:
    """The same pairs and masks in rows of one length. 0 is the padding of all vocabularies."""
    by_token = ("teacher_", "student_ids", "student_mask", "pair_", "tlm_ids", "word_ids")
    return batch._replace(
        **{
            name: np.pad(array, ((0, 0), (0, length - array.shape[1])))
            for name, array in batch._asdict().items()
            if name.startswith(by_token) and name != "teacher_words"
        }
    )


def labels(batch: data.PairBatch) -> np.ndarray:
    """The original token at the chosen positions of each row, and `IGNORED` elsewhere."""
    found = np.full(batch.tlm_ids.shape, IGNORED, np.int64)
    rows, columns = np.nonzero(batch.tlm_where)
    found[rows, batch.tlm_positions[rows, columns]] = batch.tlm_targets[rows, columns]
    return found
