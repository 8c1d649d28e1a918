"""A run as one page of HTML that opens anywhere."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmkd_jax.evaluation._replace import replace_file
from mmkd_jax.evaluation._report._files import Run, read_run
from mmkd_jax.evaluation._report._page import page
from mmkd_jax.evaluation._report._reading import clean
from mmkd_jax.evaluation._report._versions import write_versions

__all__ = ["write_report", "write_versions"]


def write_report(
    workdir: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    texts: Sequence[str | Sequence[str]] | None = None,
    others: Sequence[str | os.PathLike[str]] = (),
) -> Path:
    """Writes what a run has come to as one HTML file, which needs nothing else to be seen.

    It shows scores by language, the curves of training, models, data, settings and versions, and
    what these files of the workdir tell of, each left out if it is not there:

    - ``results.json``: by task, "languages": percentages by language, or by language several by
      name, such as "student" and "baseline"; beside it means, and "languages_before";
    - ``data.json``: "sources", each a "name", "language", "part" (train, dev, test, ...) and
      "count"; "unit", what is counted;
    - ``similarity.npz``: arrays "teacher" and "student", ``[n, n]``, the cosines among the same
      sentences, and optionally "texts", a json list of them;
    - ``retrieval_details.json`` and ``vectors.npz``: see `write_retrieval_details`;
    - ``tagging_details.json``: see `write_tagging_details`.

    A run that goes on has a report too; one of several seeds, in folders ``seed-N``, the scores of
    all and the pictures of the first.

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
    folders = [Path(folder) for folder in (workdir, *others)]
    run, *compared = (
        _read(folder, texts if first else None)._replace(name=name)
        for folder, name, first in zip(
            folders, _names(folders), [True] + [False] * len(others), strict=True
        )
    )
    path = Path(out) if out is not None else folders[0] / "report.html"
    html = page(run._replace(others=tuple(compared))).encode()
    replace_file(path, lambda file: file.write(html))
    return path


def _read(folder: Path, texts: Sequence[str | Sequence[str]] | None) -> Run:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not there, or is no folder")
    run = read_run(folder, texts)
    if run.is_empty:
        raise FileNotFoundError(
            f"{folder} is no workdir: it has no metrics.jsonl, no config.json, nothing of a run"
        )
    return run


def _names(folders: Sequence[Path]) -> list[str]:
    """As much of the ends of their paths as tells them apart."""
    paths = [folder.absolute().parts for folder in folders]
    names: list[str] = []
    for length in range(1, max(map(len, paths)) + 1):
        names = [clean("/".join(parts[-length:])) for parts in paths]
        if len(set(names)) == len(names):
            break
    return names
