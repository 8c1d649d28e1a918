"""What `evaluate` measures of encoders: against the functions that it calls, and known answers."""

import json

import jax
import pytest

from mmkd_jax import evaluation, inference, models
from mmkd_jax._encoder_tasks import Options, sample_pairs
from mmkd_jax._evaluating import evaluate, report
from mmkd_jax.data import WordVocabulary, open_sources, sample
from mmkd_jax.runs._tagger_shapes import drawn
from mmkd_jax.tags import TagSet
from tests.programs import benchmarks
from tests.programs.runs import run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(benchmarks.tiny_encoder(tmp_path_factory.mktemp("model")))


@pytest.fixture
def same(tmp_path):
    """Pairs whose translation is the sentence itself, so that every answer is known."""
    words = benchmarks.WORDS
    lines = [f"{a} {b}\t{a} {b}" for a in words[:6] for b in words[6:12]]
    (tmp_path / "same.tsv").write_text("\n".join(lines))
    return {"same": {"reader": "tsv", "language": "xx", "path": str(tmp_path / "same.tsv")}}


def test_where_translations_are_the_sentences_all_is_perfect(model, same):
    options = Options(teacher=model)
    found = evaluate(model, "retrieval", same)
    assert found["languages"]["xx"] == {"to_english": 100.0, "from_english": 100.0}
    found = evaluate(model, "agreement", same, options=options)
    assert found["languages"]["xx"] == pytest.approx(
        {"spearman": 100.0, "pearson": 100.0, "cosine": 100.0}
    )
    found = evaluate(model, "probe", same, options=options)
    assert found["languages"]["xx"]["to_english"] == 100.0
    assert found["languages"]["en"]["anisotropy"] == found["languages"]["xx"]["anisotropy"]
    assert found["languages"]["xx"]["unknown"] == 0.0
    assert found["languages"]["xx"]["subwords a word"] == pytest.approx(1.0, abs=0.5)
    assert found["layers"]["English"] == pytest.approx([100.0, 100.0])
    assert found["layers"]["teacher"][-1] == pytest.approx(100.0)
    assert found["layers"]["teacher"][0] < 99.9
    lines = report(found).splitlines()
    assert lines[0] == "| probe | mean | en | xx |"
    assert lines[-4:-2] == ["| layer | 0 | 1 |", "| --- | --- | --- |"]


def test_retrieval_is_that_of_the_library_on_the_sample(model):
    found = evaluate(model, "retrieval", options=Options(margin=True, limit=50))
    pairs = {}
    for source in open_sources(sample_pairs()):
        pairs.setdefault(source.language, []).extend(source.pairs())
    pairs = {code: rows[:50] for code, rows in sorted(pairs.items())}
    encode = inference.load_encoder(model).encode
    expected = evaluation.retrieval_by_language(encode, pairs, margin=True)
    assert set(found["languages"]) == set(sample.languages()) - {"en"}
    for code, scores in found["languages"].items():
        assert scores["to_english"] == pytest.approx(100 * expected["to_english"][code])
        assert scores["from_english"] == pytest.approx(100 * expected["from_english"][code])
    assert found["to_english"] == pytest.approx(100 * expected["to_english"]["mean"])


def test_what_is_missing_is_said(model, same):
    with pytest.raises(ValueError, match="--teacher must name"):
        evaluate(model, "agreement", same)
    with pytest.raises(ValueError, match="--task must be one of .*probe.*, got 'prob'"):
        evaluate(model, "prob", same)
    with pytest.raises(ValueError, match="there is no test corpus"):
        evaluate(model, "xnli")
    with pytest.raises(FileNotFoundError, match="neither classifier.json nor reader.json"):
        path = {"x": {"reader": "pawsx", "language": "de", "path": same["same"]["path"]}}
        evaluate(model, "paws_x", path)


@pytest.mark.parametrize("known", [("PER", "LOC"), None])
def test_taggers_are_measured_on_tags_that_they_know(tmp_path, caplog, known):
    tags = TagSet(["NOUN", "O"], None) if known is None else TagSet.of_types(known)
    made_of = models.TaggerConfig(tags=tags, recurrent=models.RecurrentConfig(words=2, width=2))
    vocabulary = WordVocabulary((), ())
    params = drawn(made_of, jax.random.key(0))
    tagger = inference.SentenceTagger(made_of, params, vocabulary=vocabulary)
    inference.save_tagger(tmp_path / "tagger", tagger)

    def measured(*tags):
        path = tmp_path / "corpus.conll"
        path.write_text("".join(f"Eva {tag}\n" for tag in tags))
        spec = {"reader": "conll", "language": "de", "path": str(path)}
        spec |= {"scheme": None} if known is None else {}
        return evaluate(str(tmp_path / "tagger"), "tagging", {"corpus": spec})

    few, more, others = (
        (("B-PER", "O"), ("B-PER", "B-MISC"), ("B-DATE", "O"))
        if known
        else (("NOUN", "O"), ("NOUN", "VERB"), ("VERB", "ADJ"))
    )
    assert set(measured(*few)["languages"]) == {"de"} and not caplog.records
    measured(*more)
    [record] = caplog.records
    assert record.getMessage().endswith(f"also {more[1].removeprefix('B-')}, which it never finds")
    with pytest.raises(ValueError, match="the corpus has none of them, but (DATE|ADJ, VERB)"):
        measured(*others)


def test_the_program_probes_without_any_corpus(model, tmp_path):
    out = tmp_path / "probe.json"
    printed = run("evaluate", "--task=probe", f"--model={model}", "--limit=20", f"--out={out}")
    found = json.loads(out.read_text())
    assert set(found["languages"]) == set(sample.languages())
    assert "| probe | mean |" in printed
    assert list(found["layers"]) == ["English"]
    assert 0 <= found["to_english"] <= 100
