"""A run as one page of HTML that opens anywhere."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmkd_jax.evaluation._report._files import read_run
from mmkd_jax.evaluation._report._page import page
from mmkd_jax.evaluation._report._versions import write_versions

__all__ = ["write_report", "write_versions"]


def write_report(
    workdir: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    texts: Sequence[str | Sequence[str]] | None = None,
) -> Path:
    """Writes what a run has come to as one HTML file, which needs nothing else to be seen.

    It shows retrieval before and after, the curves of training, what teacher and student find
    alike, models, data, settings and versions. Whatever the workdir does not hold is left out. A
    run that goes on has a report too.

    The picture of teacher and student is made from ``similarity.npz``: arrays "teacher" and
    "student", ``[n, n]``, the cosines among the same sentences, and optionally "texts", a json list
    of them.

    Args:
      workdir: Of the run.
      out: The file; by default ``report.html`` in the workdir.
      texts: The sentences of ``similarity.npz``, each as it is or as several wordings of it, such
        as English and translation; by default those in the file.

    Returns:
      The file's path.

    Raises:
      FileNotFoundError: if the folder is not there, or is no workdir.
    """
    folder = Path(workdir)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there, or is no folder")
    run = read_run(folder, texts)
    if run.is_empty:
        raise FileNotFoundError(
            f"{folder} is no workdir: it has no metrics.jsonl, no config.json, nothing of a run"
        )
    path = Path(out) if out is not None else folder / "report.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{os.getpid()}")
    temporary.write_text(page(run), encoding="utf-8")
    os.replace(temporary, path)
    return path
