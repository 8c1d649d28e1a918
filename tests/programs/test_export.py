"""Export as a program: the student as a folder that others read."""

import numpy as np
import pytest
from safetensors import safe_open
from transformers import AutoTokenizer

from mmkd_jax import export, inference
from mmkd_jax.data import sample
from tests.programs.runs import run


def export_of(workdir, out, **more):
    """As the program does it, in this process."""
    assert export.export(str(workdir), str(out), **more) == 0
    return out


def vectors(folder, **overrides):
    texts = [german for _, german in sample.pairs("de", "test")]
    return inference.load_encoder(folder, **overrides).encode(texts, batch_size=16)


def file_of(folder):
    return (folder / "model.safetensors").read_bytes()


def test_has_a_pulse(undisturbed, tmp_path):
    out = tmp_path / "student"
    printed = run("export", f"--workdir={undisturbed}", f"--out={out}")
    assert printed == f"{out}: the student after 20 steps\n"
    made_by_run = undisturbed / "student"
    assert file_of(out) == file_of(made_by_run)
    assert {path.name for path in out.iterdir()} == {path.name for path in made_by_run.iterdir()}
    np.testing.assert_array_equal(vectors(out), vectors(made_by_run))


def test_transformers_reads_the_tokenizer(undisturbed, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(export_of(undisturbed, tmp_path / "student"))
    ids = tokenizer("Guten Morgen")["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert tokenizer.unk_token_id not in ids


def test_steps_by_number_and_the_best_one(undisturbed, tmp_path, capsys):
    fifteen = export_of(undisturbed, tmp_path / "fifteen", step="15")
    twenty = export_of(undisturbed, tmp_path / "twenty", step="20")
    assert file_of(fifteen) != file_of(twenty)
    assert file_of(twenty) == file_of(export_of(undisturbed, tmp_path / "latest", step="latest"))
    capsys.readouterr()
    best = export_of(undisturbed, tmp_path / "best", step="best")
    step = capsys.readouterr().out.split()[-2]
    assert step in ("10", "20")  # at which it was judged
    assert file_of(best) == file_of(export_of(undisturbed, tmp_path / "same", step=step))


def test_half_as_large_in_bfloat16(undisturbed, tmp_path):
    out = export_of(undisturbed, tmp_path / "half", dtype="bfloat16")
    with safe_open(out / "model.safetensors", "numpy") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    assert kinds == {"BF16"}
    whole = vectors(undisturbed / "student")
    np.testing.assert_allclose(vectors(out), whole, atol=0.02 * np.abs(whole).max())


def test_what_cannot_be_exported_is_said(undisturbed, tmp_path):
    with pytest.raises(FileNotFoundError, match="is no workdir: it has no config.json"):
        export.export(str(tmp_path / "nowhere"), str(tmp_path / "out"))
    with pytest.raises(ValueError, match=r"must be latest, best, or one of \[.*15, 20\], got '7'"):
        export.export(str(undisturbed), str(tmp_path / "out"), step="7")
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_bytes((undisturbed / "config.json").read_bytes())
    with pytest.raises(FileNotFoundError, match="begun has no checkpoint yet"):
        export.export(str(begun), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_errors_of_the_program_are_one_line(tmp_path):
    printed = run("export", f"--workdir={tmp_path}", f"--out={tmp_path}/out", code=1)
    assert printed == f"export: {tmp_path} is no workdir: it has no config.json\n"
